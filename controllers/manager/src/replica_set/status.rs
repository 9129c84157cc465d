//! What a ReplicaSet's status says: pure.
//!
//! In: the set, its pods, and how the last attempt to have the right number went. Out: the status, and when it changes
//! without anybody doing anything. Zeros are left out where Go leaves them out.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;

use super::keeper::Keeper;
use crate::pod_state::{self, Availability};

/// The condition of a set that cannot create or delete its pods.
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// A set's own pods.
#[derive(Debug, Default)]
pub(super) struct OwnPods {
    /// Those that count.
    pub(super) active: Vec<Arc<Pod>>,
    /// Those that are on their way out.
    pub(super) terminating: Vec<Arc<Pod>>,
}

/// How the attempt of this round to have the right number of pods went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// There was none: earlier ones have not been seen in full yet.
    None,
    /// All that was to be done was done.
    Succeeded,
    /// Not all of it.
    Failed {
        /// `FailedCreate` or `FailedDelete`.
        reason: &'static str,
        /// Why.
        message: String,
    },
}

/// The status of `set` now.
pub(super) fn status(
    set: &impl Keeper,
    pods: &OwnPods,
    attempt: &Attempt,
    now: Timestamp,
) -> ReplicaSetStatus {
    let availabilities: Vec<_> = pods.active.iter().map(|pod| availability(set, pod, now)).collect();
    let labeled = pods.active.iter().filter(|pod| has_template_labels(set, pod)).count();
    let ready = availabilities.iter().filter(|availability| **availability != Availability::Unready).count();
    let available =
        availabilities.iter().filter(|availability| **availability == Availability::Available).count();
    ReplicaSetStatus {
        replicas: number(pods.active.len()),
        fully_labeled_replicas: unless_zero(labeled),
        ready_replicas: unless_zero(ready),
        available_replicas: unless_zero(available),
        terminating_replicas: Some(number(pods.terminating.len())),
        observed_generation: observed_generation(set, attempt),
        conditions: conditions(set, attempt, now),
    }
}

/// A generation counts as observed when it has been decided on, which needs a full view of the pods: whoever reads the
/// status may then rely on it that no pods are on their way that it does not count.
fn observed_generation(set: &impl Keeper, attempt: &Attempt) -> Option<i64> {
    match attempt {
        Attempt::None if set.meta().deletion_timestamp.is_none() => {
            set.status().and_then(|status| status.observed_generation)
        }
        Attempt::None | Attempt::Succeeded | Attempt::Failed { .. } => set.meta().generation,
    }
}

/// After which time the next pod becomes available, if none changes.
pub(super) fn next_availability(set: &impl Keeper, pods: &OwnPods, now: Timestamp) -> Option<Duration> {
    let ripening = pods.active.iter().filter_map(|pod| match availability(set, pod, now) {
        Availability::Ripening(rest) => Some(rest),
        Availability::Unready | Availability::Available => None,
    });
    ripening.min()
}

fn availability(set: &impl Keeper, pod: &Pod, now: Timestamp) -> Availability {
    pod_state::availability(pod, set.min_ready_seconds(), now)
}

/// Whether the pod has every label of the template: one made by a former template may have others.
fn has_template_labels(set: &impl Keeper, pod: &Pod) -> bool {
    let template = set.template().and_then(|template| template.metadata.as_ref());
    let wanted = template.and_then(|meta| meta.labels.as_ref()).into_iter().flatten();
    let labels = pod.metadata.labels.as_ref();
    wanted.into_iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

fn conditions(set: &impl Keeper, attempt: &Attempt, now: Timestamp) -> Option<Vec<ReplicaSetCondition>> {
    let before = set.status().and_then(|status| status.conditions).unwrap_or_default();
    let is_failure = |condition: &ReplicaSetCondition| condition.type_.as_deref() == Some(REPLICA_FAILURE);
    let after = match attempt {
        Attempt::None => before,
        Attempt::Succeeded => before.into_iter().filter(|condition| !is_failure(condition)).collect(),
        Attempt::Failed { reason, message } => {
            let mut after = before;
            // A failure that goes on is not told anew with every attempt.
            let known = |condition: &ReplicaSetCondition| {
                is_failure(condition) && condition.reason.as_deref() == Some(reason)
            };
            if !after.iter().any(known) {
                after.retain(|condition| !is_failure(condition));
                after.push(failure(reason, message, now));
            }
            after
        }
    };
    Some(after).filter(|conditions| !conditions.is_empty())
}

fn failure(reason: &str, message: &str, now: Timestamp) -> ReplicaSetCondition {
    ReplicaSetCondition {
        type_: Some(REPLICA_FAILURE.into()),
        status: Some("True".into()),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_transition_time: Some(Time(now)),
    }
}

fn unless_zero(count: usize) -> Option<i32> {
    Some(number(count)).filter(|count| *count != 0)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
