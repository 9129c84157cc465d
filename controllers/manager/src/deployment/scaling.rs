//! Another number of pods, without a step of a rollout: pure.
//!
//! Where one set has all the pods, it gets the number. In the middle of a rollout all sets grow or shrink in
//! proportion, so that a deployment that is scaled while it rolls keeps its mixture of old and new.

use std::cmp::Reverse;

use super::annotations::{DESIRED_REPLICAS, MAX_REPLICAS};
use super::bounds::is_rolling;
use super::draft::Draft;
use super::rollout::Rollout;

/// Spreads the number of pods that is wanted over the sets.
pub(super) fn scale(rollout: &mut Rollout<'_>) {
    let (desired, max) = (rollout.desired, rollout.max_total());
    let active = rollout.sets().filter(|set| set.is_active()).count();
    match active {
        0 => {
            // The latest; `new` is the last of all.
            let new_or_latest = rollout.new.as_mut().or_else(|| rollout.old.last_mut());
            if let Some(set) = new_or_latest {
                set.scale(desired, desired, max);
            }
        }
        1 => {
            if let Some(set) = rollout.sets_mut().find(|set| set.is_active()) {
                set.scale(desired, desired, max);
            }
        }
        _ if is_saturated(rollout) || is_recreating(rollout) => {
            rollout.old.iter_mut().filter(|set| set.is_active()).for_each(|set| set.scale(0, desired, max));
        }
        _ if is_rolling(rollout.deployment) => scale_in_proportion(rollout),
        // Paused between the old pods and the new ones: which of them the number is for is not decided.
        _ => {}
    }
}

/// Whether the new set has all the pods that are wanted and they are available: then what others have is too much.
fn is_saturated(rollout: &Rollout<'_>) -> bool {
    rollout.new.as_ref().is_some_and(|new| {
        new.replicas() == rollout.desired
            && new.number(DESIRED_REPLICAS) == Some(rollout.desired)
            && new.status(|status| status.available_replicas) == rollout.desired
    })
}

/// Whether all old pods are to go anyway.
fn is_recreating(rollout: &Rollout<'_>) -> bool {
    !is_rolling(rollout.deployment) && !rollout.is_paused()
}

fn scale_in_proportion(rollout: &mut Rollout<'_>) {
    let (desired, max) = (rollout.desired, rollout.max_total());
    let allowed = if desired > 0 { max } else { 0 };
    let to_add = allowed - rollout.total();
    let total_before =
        rollout.deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or(0).into();
    let mut active: Vec<_> = rollout.sets_mut().filter(|set| set.is_active()).collect();
    by_size(&mut active, to_add);
    let mut added = 0;
    let mut sizes = Vec::with_capacity(active.len());
    for set in &active {
        let share = share(set, desired, max, total_before);
        let rest = to_add - added;
        let share = if to_add > 0 { share.min(rest) } else { share.max(rest) };
        let share = if rest == 0 { 0 } else { share };
        sizes.push(set.replicas() + share);
        added += share;
    }
    // What rounding left over falls to the largest.
    if let Some(largest) = sizes.first_mut() {
        *largest += to_add - added;
    }
    for (set, size) in active.into_iter().zip(sizes) {
        set.scale(size, desired, max);
    }
}

/// The largest first; of equals the newest where pods are added, the oldest where they are taken.
fn by_size(sets: &mut [&mut Draft], to_add: i64) {
    // In the order of age before: the sort keeps it among equals.
    sets.sort_by(|a, b| a.age_order().cmp(&b.age_order()));
    if to_add > 0 {
        sets.reverse();
    }
    sets.sort_by_key(|set| Reverse(set.replicas()));
}

/// By how much the set would grow if all grew alike.
fn share(set: &Draft, desired: i64, max: i64, total_before: i64) -> i64 {
    if desired == 0 {
        return -set.replicas();
    }
    // Anybody may have written it.
    let is_sensible = |max: &i64| *max != 0 && i32::try_from(*max).is_ok();
    let max_before = set.number(MAX_REPLICAS).filter(is_sensible).unwrap_or(total_before);
    if max_before <= 0 {
        return 0;
    }
    rounded(set.replicas() * max, max_before) - set.replicas()
}

/// The quotient of two positive numbers, halves rounded up.
fn rounded(dividend: i64, divisor: i64) -> i64 {
    let rest = dividend % divisor;
    dividend / divisor + i64::from(rest >= divisor - rest)
}

#[cfg(test)]
mod tests;
