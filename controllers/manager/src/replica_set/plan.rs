//! How many pods a ReplicaSet has to create or delete: pure.

use std::cmp::Ordering;

/// The most pods that are created or deleted in one round.
const BURST: usize = 500;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// There are as many pods as wanted.
    Nothing,
    /// Create so many.
    Create(usize),
    /// Delete so many.
    Delete(usize),
}

/// From the number that is wanted and the number of active pods. The rest of a large step comes in the rounds after,
/// when the pods of this one have been seen.
pub(super) fn plan(wanted: usize, active: usize) -> Plan {
    let difference = wanted.abs_diff(active).min(BURST);
    match wanted.cmp(&active) {
        Ordering::Equal => Plan::Nothing,
        Ordering::Greater => Plan::Create(difference),
        Ordering::Less => Plan::Delete(difference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_made_up_in_bursts() {
        assert_eq!(plan(3, 3), Plan::Nothing);
        assert_eq!(plan(3, 1), Plan::Create(2));
        assert_eq!(plan(0, 3), Plan::Delete(3));
        assert_eq!(plan(2000, 100), Plan::Create(500));
        assert_eq!(plan(0, 501), Plan::Delete(500));
    }
}
