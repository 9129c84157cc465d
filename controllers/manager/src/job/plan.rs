//! What to do about a Job's pods: pure.
//!
//! In: a [`View`], how its failures make it wait, whether the cache shows all that was done, the time. Out: a
//! [`Plan`]: one step, and when to look again.
//!
//! Source: `syncJob` and `manageJob` in `pkg/controller/job/job_controller.go` of Kubernetes. Two differences: a Job that
//! waits after failures keeps telling how many of its pods are active, which upstream takes for none; and an active pod
//! without the finalizer gets it back, so that a controller that stopped while it removed pods loses none.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;

use super::{
    backoff::{Failures, remaining_in_index},
    indexes::Indexes,
    pods::{completion_index, has_finalizer, restarts},
    terms::Replacement,
    verdict::{Verdict, time_left, verdict},
    view::{IndexView, View},
};
use crate::pod_state::{is_ready, is_terminating, phase, ready_since};

/// The most pods that are created or deleted in one round.
pub(super) const MOST_AT_ONCE: usize = 500;

/// One round's work.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) step: Step,
    /// When there may be something new to do without anything having changed.
    pub(super) look_again: Option<Duration>,
}

/// What to do about pods.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// To end the Job: to delete its active pods.
    End(Verdict),
    /// Nothing, because the cache may not show everything, or because the Job is being deleted.
    Hold,
    /// Nothing.
    Rest,
    /// To delete these without counting them. The Job is suspended, or has too many.
    Remove(Vec<Arc<Pod>>),
    /// To give these active pods the finalizer that they have lost, without which their end would go unnoticed.
    Track(Vec<Arc<Pod>>),
    /// To create one pod each, with these completion indexes if the Job has such.
    Create(Vec<Option<usize>>),
}

/// Decides.
pub(super) fn plan(view: &View<'_>, failures: Failures, has_seen_all: bool, now: Timestamp) -> Plan {
    if let Some(verdict) = verdict(view, now) {
        return Plan { step: Step::End(verdict), look_again: None };
    }
    let deadline = time_left(view, now);
    if !has_seen_all || view.job.metadata.deletion_timestamp.is_some() {
        return Plan { step: Step::Hold, look_again: deadline };
    }
    let (step, wait) = manage(view, failures, now);
    Plan { step, look_again: deadline.into_iter().chain(wait).min() }
}

/// Whether a Job with so many pods left active has all that it wanted.
pub(super) fn is_complete(view: &View<'_>, active: usize) -> bool {
    active == 0 && view.succeeded >= view.terms.completions().unwrap_or(1)
}

fn manage(view: &View<'_>, failures: Failures, now: Timestamp) -> (Step, Option<Duration>) {
    if view.terms.is_suspended {
        let all = view.active.clone();
        return (if all.is_empty() { Step::Rest } else { Step::Remove(all) }, None);
    }
    let wanted = wanted(view);
    let mut surplus = surplus(view, view.active.len().saturating_sub(wanted));
    surplus.truncate(MOST_AT_ONCE);
    if !surplus.is_empty() {
        return (Step::Remove(surplus), None);
    }
    let lost: Vec<_> = view.active.iter().filter(|pod| !has_finalizer(pod)).cloned().collect();
    if !lost.is_empty() {
        return (Step::Track(lost), None);
    }
    let terminating = match view.terms.replacement {
        Replacement::WhenFailed => view.terminating,
        Replacement::WhenTerminating => 0,
    };
    let missing = wanted.saturating_sub(view.active.len() + terminating).min(MOST_AT_ONCE);
    if missing == 0 {
        return (Step::Rest, None);
    }
    let wait = if view.terms.per_index.is_some() { Duration::ZERO } else { failures.remaining(now) };
    match &view.indexes {
        _ if !wait.is_zero() => (Step::Rest, Some(wait)),
        None => (Step::Create(vec![None; missing]), None),
        Some(indexes) => create_indexes(view, indexes, missing, now),
    }
}

/// How many active pods the Job should have.
fn wanted(view: &View<'_>) -> usize {
    match view.terms.completions() {
        // The first success ends such a Job; what runs is left to its end.
        None if view.succeeded > 0 => view.active.len(),
        None => view.terms.parallelism,
        Some(completions) => completions.saturating_sub(view.succeeded).min(view.terms.parallelism),
    }
}

/// At least so many active pods to be removed, and all with an index that another has or that the Job does not want.
fn surplus(view: &View<'_>, at_least: usize) -> Vec<Arc<Pod>> {
    let mut left = view.active.clone();
    left.sort_by_cached_key(|pod| worth(pod));
    let mut surplus = Vec::new();
    if view.indexes.is_some() {
        // The pod of the most worth in its index stays.
        let mut kept = BTreeSet::new();
        let is_kept = |pod: &Arc<Pod>| {
            view.is_valid(pod) && completion_index(pod).is_some_and(|index| kept.insert(index))
        };
        let (stay, go): (Vec<_>, Vec<_>) = left.into_iter().rev().partition(is_kept);
        (left, surplus) = (stay.into_iter().rev().collect(), go);
    }
    let more = at_least.saturating_sub(surplus.len());
    surplus.extend(left.into_iter().take(more));
    surplus
}

/// What is worth least goes first: unscheduled before scheduled, pending before running, unready before ready, ready
/// for a short time before ready for long, often restarted before stable, young before old.
fn worth(pod: &Pod) -> impl Ord + use<> {
    let is_scheduled = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let progress = match phase(pod) {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let age = pod.metadata.creation_timestamp.as_ref().map(|time| Reverse(time.0));
    let ready_for = ready_since(pod).map(Reverse);
    let stable = Reverse(restarts(pod));
    (is_scheduled, progress, is_ready(pod), ready_for, stable, age, pod.metadata.name.clone())
}

/// The first indexes that have no pod and need one, apart from those that wait after a failure, whose place stays free
/// for them.
fn create_indexes(
    view: &View<'_>,
    indexes: &IndexView,
    count: usize,
    now: Timestamp,
) -> (Step, Option<Duration>) {
    let of = |pods: &mut dyn Iterator<Item = &Arc<Pod>>| -> Indexes {
        pods.filter_map(|pod| completion_index(pod)).collect()
    };
    let mut taken = indexes.succeeded.with(&of(&mut view.active.iter()));
    if view.terms.replacement == Replacement::WhenFailed {
        taken = taken.with(&of(&mut view.pods.iter().filter(|pod| is_terminating(pod))));
    }
    if let Some(failed) = &indexes.failed {
        taken = taken.with(failed);
    }
    let pending = taken.first_missing(count, indexes.completions);
    let wait = |index: &usize| {
        let failed = indexes.awaiting_replacement.get(index);
        failed.map_or(Duration::ZERO, |failed| remaining_in_index(failed, now))
    };
    let (now_due, later): (Vec<_>, Vec<_>) = pending.into_iter().partition(|index| wait(index).is_zero());
    let soonest = later.iter().map(wait).min();
    match now_due.is_empty() {
        true => (Step::Rest, soonest),
        false => (Step::Create(now_due.into_iter().map(Some).collect()), soonest),
    }
}

#[cfg(test)]
mod tests;
