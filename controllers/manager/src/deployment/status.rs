//! What a Deployment's status says: pure.
//!
//! In: a plan in the making. Out: the status when it has been carried out, and when the deadline of a rollout has to
//! be looked at again. Zeros are left out where Go leaves them out.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSetCondition};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::bounds::desired;
use super::conditions::{
    AVAILABLE, Conditions, NEW_SET_AVAILABLE, PROGRESSING, REPLICA_FAILURE, TIMED_OUT, condition,
};
use super::draft::{Draft, number};
use super::rollout::Rollout;

/// The status of a deployment that is paused, scaled or deleted: no word about progress.
pub(super) fn of_deployment(rollout: &Rollout<'_>) -> DeploymentStatus {
    counted(rollout, available_noted(rollout))
}

/// The status of a deployment whose pods are being replaced, or may be.
pub(super) fn of_rollout(rollout: &Rollout<'_>) -> DeploymentStatus {
    let mut conditions = available_noted(rollout);
    let counts = counted(rollout, Conditions::default());
    note_progress(rollout, &counts, &mut conditions);
    match replica_failure(rollout) {
        Some(failure) => conditions.set(failure),
        None => conditions.remove(REPLICA_FAILURE),
    }
    DeploymentStatus { conditions: conditions.into_field(), ..counts }
}

/// The status after a failure to create the new set.
pub(super) fn after_failed_creation(
    deployment: &Deployment,
    message: &str,
    now: Timestamp,
) -> DeploymentStatus {
    let status = deployment.status.clone().unwrap_or_default();
    let mut conditions = Conditions::of(status.conditions.as_ref());
    conditions.set(condition(PROGRESSING, "False", "ReplicaSetCreateError", message, now));
    DeploymentStatus { conditions: conditions.into_field(), ..status }
}

/// The status after the new set's name turned out to be taken: the next name will be another.
pub(super) fn after_collision(deployment: &Deployment) -> DeploymentStatus {
    let status = deployment.status.clone().unwrap_or_default();
    DeploymentStatus { collision_count: Some(status.collision_count.unwrap_or(0) + 1), ..status }
}

/// Whether all pods are new, as many as wanted, and available.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let desired = number(desired(deployment));
    let is_all = |count: Option<i32>| count.unwrap_or(0) == desired;
    is_all(status.updated_replicas)
        && is_all(status.replicas)
        && is_all(status.available_replicas)
        && status.observed_generation >= deployment.metadata.generation
}

/// After which time a rollout that has not moved has to be looked at again.
pub(super) fn next_deadline(rollout: &Rollout<'_>, status: &DeploymentStatus) -> Option<Duration> {
    let deadline = rollout.progress_deadline()?;
    let conditions = Conditions::of(status.conditions.as_ref());
    let progressing = conditions.get(PROGRESSING)?;
    // One that was complete once is not timed: pods that fail later are not a failed rollout.
    let untimed = matches!(progressing.reason.as_deref(), Some(TIMED_OUT | NEW_SET_AVAILABLE));
    if untimed || is_complete(rollout.deployment, status) {
        return None;
    }
    let passed = rollout.now.duration_since(progressing.last_update_time.as_ref()?.0);
    let rest = SignedDuration::from_secs(deadline.into()) - passed;
    // Conditions tell whole seconds: one more, and the deadline has passed for certain.
    Some(Duration::try_from(rest).unwrap_or_default() + Duration::from_secs(1))
}

fn counted(rollout: &Rollout<'_>, conditions: Conditions) -> DeploymentStatus {
    let before = rollout.deployment.status.as_ref();
    let sum = |count: &dyn Fn(&Draft) -> i64| rollout.sets().map(count).sum::<i64>();
    let available = sum(&|set| set.status(|status| status.available_replicas));
    DeploymentStatus {
        observed_generation: rollout.deployment.metadata.generation,
        replicas: unless_zero(sum(&|set| set.status(|status| Some(status.replicas)))),
        updated_replicas: unless_zero(
            rollout.new.as_ref().map_or(0, |set| set.status(|status| Some(status.replicas))),
        ),
        ready_replicas: unless_zero(sum(&|set| set.status(|status| status.ready_replicas))),
        available_replicas: unless_zero(available),
        unavailable_replicas: unless_zero((rollout.total() - available).max(0)),
        terminating_replicas: terminating(rollout),
        collision_count: before.and_then(|status| status.collision_count),
        conditions: conditions.into_field(),
    }
}

/// Unknown if one set does not say.
fn terminating(rollout: &Rollout<'_>) -> Option<i32> {
    let told = |set: &Draft| match set.observed_status() {
        None => Some(0),
        Some(status) => status.terminating_replicas.map(i64::from),
    };
    rollout.sets().map(told).sum::<Option<i64>>().map(number)
}

fn available_noted(rollout: &Rollout<'_>) -> Conditions {
    let available: i64 = rollout.sets().map(|set| set.status(|status| status.available_replicas)).sum();
    let (status, reason, message) = if available >= rollout.min_available() {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let mut conditions = rollout.conditions.clone();
    conditions.set(condition(AVAILABLE, status, reason, message, rollout.now));
    conditions
}

fn note_progress(rollout: &Rollout<'_>, counts: &DeploymentStatus, conditions: &mut Conditions) {
    let Some(deadline) = rollout.progress_deadline() else { return conditions.remove(PROGRESSING) };
    let was_complete = conditions.reason(PROGRESSING) == Some(NEW_SET_AVAILABLE);
    if was_complete && counts.replicas == counts.updated_replicas {
        return;
    }
    let told = |status, reason, what: &str| {
        let message = format!("{} {what}", subject(rollout));
        condition(PROGRESSING, status, reason, &message, rollout.now)
    };
    if is_complete(rollout.deployment, counts) {
        conditions.set(told("True", NEW_SET_AVAILABLE, "has successfully progressed."));
    } else if has_progressed(rollout.deployment, counts) {
        // Said before or not, the time of it counts.
        conditions.refresh(told("True", "ReplicaSetUpdated", "is progressing."));
    } else if is_out_of_time(conditions.get(PROGRESSING), deadline, rollout.now) {
        conditions.set(told("False", TIMED_OUT, "has timed out progressing."));
    }
}

fn subject(rollout: &Rollout<'_>) -> String {
    match &rollout.new {
        Some(new) => format!("ReplicaSet \"{}\"", new.name()),
        None => {
            format!("Deployment \"{}\"", rollout.deployment.metadata.name.as_deref().unwrap_or_default())
        }
    }
}

/// Whether there are more new pods, fewer old ones, or more that serve than were told last.
fn has_progressed(deployment: &Deployment, now: &DeploymentStatus) -> bool {
    let none = DeploymentStatus::default();
    let before = deployment.status.as_ref().unwrap_or(&none);
    let count = |count: Option<i32>| count.unwrap_or(0);
    let old = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
    count(now.updated_replicas) > count(before.updated_replicas)
        || old(now) < old(before)
        || count(now.ready_replicas) > count(before.ready_replicas)
        || count(now.available_replicas) > count(before.available_replicas)
}

fn is_out_of_time(progressing: Option<&DeploymentCondition>, deadline: i32, now: Timestamp) -> bool {
    let Some(progressing) = progressing else { return false };
    match progressing.reason.as_deref() {
        Some(NEW_SET_AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        _ => progressing
            .last_update_time
            .as_ref()
            .is_some_and(|since| now.duration_since(since.0) > SignedDuration::from_secs(deadline.into())),
    }
}

/// What keeps a set from having its pods; the new set's troubles before those of the others.
fn replica_failure(rollout: &Rollout<'_>) -> Option<DeploymentCondition> {
    let sets = rollout.new.iter().chain(&rollout.old);
    let mut conditions =
        sets.filter_map(Draft::observed_status).flat_map(|status| status.conditions.iter().flatten());
    let failure: &ReplicaSetCondition =
        conditions.find(|condition| condition.type_.as_deref() == Some(REPLICA_FAILURE))?;
    Some(DeploymentCondition {
        type_: failure.type_.clone(),
        status: failure.status.clone(),
        reason: failure.reason.clone(),
        message: failure.message.clone(),
        last_update_time: failure.last_transition_time.clone(),
        last_transition_time: failure.last_transition_time.clone(),
    })
}

fn unless_zero(count: i64) -> Option<i32> {
    Some(number(count)).filter(|count| *count != 0)
}

#[cfg(test)]
mod tests;
