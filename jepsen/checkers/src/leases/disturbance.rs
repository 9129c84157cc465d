//! Since when a cluster has been left in peace.
//!
//! In: what the nemesis did, and who was seen to lead. Out: for a moment, when the last fault ended, struck or was
//! healed, or the leader changed. Deliberately absent: which replicas a fault hit.

use crate::history::{FaultEvent, FaultPhase, Nanos};

/// After each event: since when there has been peace; `None`: a fault is active.
pub(super) struct Disturbances(Vec<(Nanos, Option<Nanos>)>);

impl Disturbances {
    pub(super) fn of(events: &[FaultEvent]) -> Self {
        let (mut active, mut leader, mut last) = (0_u32, None, Nanos(0));
        let after = events.iter().map(|event| {
            let disturbs = match &event.phase {
                FaultPhase::Began => {
                    active += 1;
                    true
                }
                FaultPhase::Ended => {
                    active = active.saturating_sub(1);
                    true
                }
                FaultPhase::Healed => {
                    active = 0;
                    true
                }
                FaultPhase::Struck => true,
                FaultPhase::LeaderSeen(name) => leader.replace(name).is_some_and(|before| before != name),
                FaultPhase::Skipped(_) => false,
            };
            if disturbs {
                last = event.at;
            }
            (event.at, (active == 0).then_some(last))
        });
        Self(after.collect())
    }

    /// Since when there has been peace at this moment; `None`: there is none.
    pub(super) fn quiet_since(&self, moment: Nanos) -> Option<Nanos> {
        let before = self.0.partition_point(|(at, _)| *at <= moment);
        before.checked_sub(1).map_or(Some(Nanos(0)), |last| self.0[last].1)
    }
}
