//! Who belonged to the cluster, and when: what the logs say about it. Pure.
//!
//! In: the memberships in logs. Out: whether some disks are a quorum, and whether one membership may follow another.
//! What a store that changes voters without a joint membership would break is checked here.

use std::collections::BTreeMap;

use keelson_store_core::id::{LogIndex, LogPosition, ReplicaId, Term};

use crate::disk::Config;

/// All memberships that were ever written to any log.
#[derive(Default)]
pub(super) struct Memberships {
    known: BTreeMap<(LogIndex, Term), Config>,
}

impl Memberships {
    pub(super) fn add(&mut self, at: LogPosition, config: &Config) {
        self.known.entry((at.index, at.term)).or_insert_with(|| config.clone());
    }

    /// The last one up to an entry, in the log whose entries have these terms.
    pub(super) fn in_force(
        &self,
        upto: LogIndex,
        term: impl Fn(LogIndex) -> Option<Term>,
    ) -> Option<&Config> {
        let mut before = self.known.range(..=(upto, Term::new(u64::MAX))).rev();
        before.find(|((index, at), _)| term(*index) == Some(*at)).map(|(_, config)| config)
    }

    /// Those behind an entry: whoever committed it may have had one of them in its log, where it counts from then on.
    pub(super) fn behind(&self, index: LogIndex) -> impl Iterator<Item = &Config> {
        self.known.range((index.next(), Term::new(0))..).map(|(_, config)| config)
    }

    /// The one that an entry has, if it has one.
    pub(super) fn at(&self, index: LogIndex, term: Term) -> Option<&Config> {
        self.known.get(&(index, term))
    }
}

impl Config {
    /// Whether those for whom `is_in` holds are a majority of every set of voters.
    pub(super) fn has_quorum(&self, is_in: impl Fn(ReplicaId) -> bool) -> bool {
        self.voters.iter().all(|voters| {
            let count = voters.iter().filter(|voter| is_in(**voter)).count();
            count > voters.len() / 2
        })
    }

    /// Whether this one may come right after another one: with the same voters, or one of the two is joint and has the
    /// other's voters as one of its sets.
    pub(super) fn may_follow(&self, before: &Self) -> bool {
        match (before.voters.as_slice(), self.voters.as_slice()) {
            (before, after) if before == after => true,
            ([one], joint) | (joint, [one]) => joint.len() > 1 && joint.contains(one),
            _ => false,
        }
    }

    pub(super) fn is_joint(&self) -> bool {
        self.voters.len() > 1
    }

    pub(super) fn has_voter(&self, replica: ReplicaId) -> bool {
        self.voters.iter().any(|voters| voters.contains(&replica))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn config(voters: &[&[u64]]) -> Config {
        let set = |ids: &[u64]| ids.iter().map(|id| ReplicaId::new(*id)).collect::<BTreeSet<_>>();
        let voters: Vec<_> = voters.iter().map(|ids| set(ids)).collect();
        Config { members: voters.iter().flatten().copied().collect(), voters }
    }

    #[test]
    fn a_quorum_of_a_joint_membership_is_one_of_both_sets() {
        let joint = config(&[&[1, 2, 3], &[3, 4, 5]]);
        let is_quorum = |ids: &[u64]| joint.has_quorum(|id| ids.contains(&id.get()));
        assert!(!is_quorum(&[1, 2, 4]));
        assert!(!is_quorum(&[3, 4, 5]));
        assert!(is_quorum(&[1, 3, 4]));
    }

    #[test]
    fn voters_change_through_a_joint_membership_alone() {
        let (old, new) = (config(&[&[1, 2, 3]]), config(&[&[1, 2, 3, 4]]));
        let joint = config(&[&[1, 2, 3], &[1, 2, 3, 4]]);
        assert!(joint.may_follow(&old) && new.may_follow(&joint) && old.may_follow(&old));
        assert!(!new.may_follow(&old));
        assert!(!config(&[&[1, 2]]).may_follow(&joint));
    }
}
