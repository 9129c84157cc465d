//! What to do for a Deployment: pure, from what is wanted, what was observed and the time.
//!
//! In: a deployment, the ReplicaSets that are its own, which of them still have pods. Out: the changes of ReplicaSets
//! in their order, the status once they are made, and when to look again if nothing happens. A plan is one step of a
//! rollout; its consequences bring the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::jiff::Timestamp;

use super::annotations::REVISION;
use super::bounds::is_rolling;
use super::draft::{Draft, Step};
use super::rolling;
use super::rollout::Rollout;
use super::scaling;
use super::status::{self, is_complete};

/// What was observed.
#[derive(Clone, Copy)]
pub(super) struct Observed<'a> {
    pub(super) deployment: &'a Deployment,
    /// The deployment's own sets.
    pub(super) sets: &'a [Arc<ReplicaSet>],
    /// The uids of those sets that have pods which have not ended. Looked at by `Recreate` only.
    pub(super) running: &'a BTreeSet<String>,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// `None`: nothing new.
    pub(super) status: Option<StatusUpdate>,
    /// When to look again.
    pub(super) again: Option<Duration>,
}

/// What to write through the status subresource.
#[derive(Debug, PartialEq)]
pub(super) struct StatusUpdate {
    pub(super) status: DeploymentStatus,
    /// The revision to be told on the deployment, if that is another one.
    pub(super) revision: Option<String>,
}

/// What the deployment is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Being deleted: its status is kept up, nothing else.
    Ending,
    /// Paused: it may be scaled, but no pod is replaced.
    Paused,
    /// Its sets do not reflect yet how many pods it wants.
    Scaling,
    Recreating,
    Rolling,
}

/// Decides.
pub(super) fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let deployment = observed.deployment;
    let mut rollout = Rollout::begin(deployment, observed.sets, now);
    let phase = phase(&rollout);
    if phase != Phase::Ending {
        rollout.note_pause();
    }
    match phase {
        Phase::Ending => rollout.settle_revision(),
        Phase::Paused => {
            rollout.settle_revision();
            scaling::scale(&mut rollout);
            forget_oldest(&mut rollout);
        }
        Phase::Scaling => {
            rollout.settle_revision();
            scaling::scale(&mut rollout);
        }
        Phase::Recreating => recreate(&mut rollout, observed.running),
        Phase::Rolling => roll(&mut rollout),
    }
    let (status, again) = match phase {
        Phase::Ending | Phase::Paused | Phase::Scaling => (status::of_deployment(&rollout), None),
        Phase::Recreating | Phase::Rolling => {
            let status = status::of_rollout(&rollout);
            let again = status::next_deadline(&rollout, &status);
            (status, again)
        }
    };
    let status = news(deployment, status, rollout.revision.as_deref());
    let sets = rollout.new.into_iter().chain(rollout.old);
    Plan { steps: sets.filter_map(Draft::into_step).collect(), status, again }
}

fn phase(rollout: &Rollout<'_>) -> Phase {
    if rollout.deployment.metadata.deletion_timestamp.is_some() {
        Phase::Ending
    } else if rollout.is_paused() {
        Phase::Paused
    } else if rollout.is_scaled() {
        Phase::Scaling
    } else if is_rolling(rollout.deployment) {
        Phase::Rolling
    } else {
        Phase::Recreating
    }
}

fn roll(rollout: &mut Rollout<'_>) {
    rollout.settle_new_set();
    if rolling::scale_new(rollout) || rolling::scale_down_old(rollout) {
        return;
    }
    forget_oldest_when_complete(rollout);
}

/// All old pods go, and only when the last of them has ended, new ones come.
fn recreate(rollout: &mut Rollout<'_>, running: &BTreeSet<String>) {
    rollout.settle_revision();
    let (desired, max) = (rollout.desired, rollout.max_total());
    let active: Vec<_> = rollout.old.iter_mut().filter(|set| set.is_active()).collect();
    if !active.is_empty() {
        active.into_iter().for_each(|set| set.scale(0, desired, max));
        return;
    }
    let has_pods = |set: &Draft| {
        set.status(|status| Some(status.replicas)) > 0 || set.uid().is_some_and(|uid| running.contains(uid))
    };
    if rollout.old.iter().any(has_pods) {
        return;
    }
    rollout.settle_new_set();
    if let Some(new) = rollout.new.as_mut().filter(|new| new.replicas() != desired) {
        new.scale(desired, desired, max);
    }
    forget_oldest_when_complete(rollout);
}

fn forget_oldest_when_complete(rollout: &mut Rollout<'_>) {
    let status = rollout.deployment.status.as_ref();
    if status.is_some_and(|status| is_complete(rollout.deployment, status)) {
        forget_oldest(rollout);
    }
}

/// Deletes the sets of the lowest revisions, as far as they are more than the history may be long and have no pods.
fn forget_oldest(rollout: &mut Rollout<'_>) {
    let limit = rollout.deployment.spec.revision_history_limit;
    let Some(limit) = limit.filter(|limit| *limit != i32::MAX) else { return };
    let mut kept: Vec<_> = rollout.old.iter_mut().filter(|set| !set.is_being_deleted()).collect();
    let surplus = kept.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    // Among equals the order of age stays.
    kept.sort_by_key(|set| set.number(REVISION).unwrap_or(0));
    kept.into_iter().take(surplus).filter(|set| set.is_deletable()).for_each(Draft::delete);
}

/// What of it the deployment does not say already.
fn news(deployment: &Deployment, status: DeploymentStatus, revision: Option<&str>) -> Option<StatusUpdate> {
    let annotations = deployment.metadata.annotations.as_ref();
    let told = annotations.and_then(|annotations| annotations.get(REVISION)).map(String::as_str);
    let revision = revision.filter(|revision| told != Some(revision)).map(str::to_owned);
    let is_same = deployment.status.as_ref() == Some(&status);
    (!is_same || revision.is_some()).then_some(StatusUpdate { status, revision })
}

#[cfg(test)]
mod tests;
