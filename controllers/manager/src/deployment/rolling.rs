//! One step of a rolling update: pure.
//!
//! New pods come as far as `maxSurge` allows, old ones go as far as `maxUnavailable` does. One of the two moves in a
//! round; what the sets make of it brings the next round.

use super::draft::Draft;
use super::rollout::Rollout;

/// Moves the new set towards what is wanted. Whether there was a move.
pub(super) fn scale_new(rollout: &mut Rollout<'_>) -> bool {
    let Some(present) = rollout.new.as_ref().map(Draft::replicas) else { return false };
    let replicas = if present < rollout.desired { rollout.replicas_of_new(present) } else { rollout.desired };
    if replicas == present {
        return false;
    }
    let (desired, max) = (rollout.desired, rollout.max_total());
    if let Some(new) = &mut rollout.new {
        new.scale(replicas, desired, max);
    }
    true
}

/// Takes away old pods as far as enough others are available. Whether there was something to take.
pub(super) fn scale_down_old(rollout: &mut Rollout<'_>) -> bool {
    let old: i64 = rollout.old.iter().map(Draft::replicas).sum();
    if old == 0 {
        return false;
    }
    // Pods of the new set that are not available yet do not make up for old ones.
    let missing = rollout.new.as_ref().map_or(0, |new| new.replicas() - new.available().unwrap_or(0));
    let spare = rollout.total() - rollout.min_available() - missing;
    if spare <= 0 {
        return false;
    }
    let taken = take_unavailable(rollout, spare);
    taken + take_available(rollout) > 0
}

/// Old pods that serve nobody go first: taking them costs nothing, and a broken old set must not stop the rollout.
fn take_unavailable(rollout: &mut Rollout<'_>, spare: i64) -> i64 {
    take(rollout, spare, |set| set.available().map_or(0, |available| set.replicas() - available))
}

fn take_available(rollout: &mut Rollout<'_>) -> i64 {
    let available: i64 = rollout.sets().filter_map(Draft::available).sum();
    let spare = available - rollout.min_available();
    take(rollout, spare, Draft::replicas)
}

/// Takes up to `spare` pods from the old sets, the oldest first, from each as many as `offer` says.
fn take(rollout: &mut Rollout<'_>, spare: i64, offer: impl Fn(&Draft) -> i64) -> i64 {
    let (desired, max) = (rollout.desired, rollout.max_total());
    let mut taken = 0;
    for set in &mut rollout.old {
        let count = offer(set).min(spare - taken);
        if count > 0 {
            set.scale(set.replicas() - count, desired, max);
            taken += count;
        }
    }
    taken
}
