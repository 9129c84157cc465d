//! Counts pods that have ended, each exactly once: pure.
//!
//! In: a [`View`] and a [`Draft`] of the status. Out: three phases, to be carried out in this order:
//!
//! 1. [`open`]: write a status that names, in `uncountedTerminatedPods`, the pods that are about to be counted.
//! 2. Take the finalizer from them. From then on they may vanish.
//! 3. [`close`]: write a status that counts those whose finalizer is gone, and names them no longer.
//!
//! Whoever stops between two of these can go on later: a pod that still has its finalizer is not in a count, and one
//! that is named without it has yet to come into one. Both writes of the status are refused if anybody wrote it
//! meanwhile. That a pod is tracked has to be as true as the status that the account starts from (`View::tracked`).
//!
//! The indexes of indexed Jobs need no such care: a set holds an index once however often it is added.
//!
//! Source: `trackJobStatusAndRemoveFinalizers` in `pkg/controller/job/job_controller.go` of Kubernetes.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::{
    api::batch::v1::{JobStatus, UncountedTerminatedPods},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use keelson_controller_runtime::pod::Pod;

use super::{
    pods::{completion_index, has_succeeded, uid},
    policy::Failure,
    status::{Draft, nonzero},
    verdict::{Verdict, condition, ensure, holding},
    view::{View, count},
};

/// The most pods that a status names at a time. More would make it large and hold up other Jobs.
const MOST_UNCOUNTED: usize = 500;

/// What is to be counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Account {
    /// To be written before anything else, if it is not what is there.
    pub(super) status: JobStatus,
    /// The pods to take the finalizer from, then.
    pub(super) release: Vec<Arc<Pod>>,
    /// Whether all that could be counted is.
    pub(super) is_whole: bool,
    /// How the Job ends when all is counted.
    verdict: Option<Verdict>,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closing {
    /// To be written, if it is not what was written before.
    pub(super) status: JobStatus,
    /// How the Job has ended, if it has.
    pub(super) verdict: Option<Verdict>,
}

/// Phase one.
pub(super) fn open(view: &View<'_>, draft: Draft, now: Timestamp) -> Account {
    let Draft { mut status, verdict, turn: _ } = draft;
    count_untracked(&mut status, &view.tracked);
    let mut entries = Entries::of(&mut status);
    let mut release = Vec::new();
    let mut is_whole = true;
    for pod in view.pods.iter().filter(|pod| view.is_tracked(pod)) {
        if !may_be_released(view, verdict.as_ref(), pod) {
            continue;
        }
        if entries.len() >= MOST_UNCOUNTED {
            is_whole = false;
            break;
        }
        release.push(Arc::clone(pod));
        entries.add(view, verdict.as_ref(), pod);
    }
    entries.put_into(&mut status);
    if let Some(indexes) = &view.indexes {
        status.succeeded = nonzero(indexes.succeeded.len());
        status.completed_indexes = Some(indexes.succeeded.to_string()).filter(|text| !text.is_empty());
        status.failed_indexes = indexes.failed.as_ref().map(ToString::to_string);
    }
    if let Some((kind, why)) = verdict.as_ref().map(Verdict::interim) {
        let conditions = status.conditions.get_or_insert_default();
        if holding(conditions, kind).is_none() {
            conditions.push(condition(kind, "True", why, now));
        }
    }
    Account { status, release, is_whole, verdict }
}

/// Phase three. `tracked` are the uids of the pods that still have their finalizer.
pub(super) fn close(account: Account, tracked: &HashSet<String>, now: Timestamp) -> Closing {
    let Account { mut status, is_whole, verdict, release: _ } = account;
    count_untracked(&mut status, tracked);
    let uncounted = status.uncounted_terminated_pods.as_ref();
    let is_counted = uncounted.is_none_or(|it| it.succeeded.is_none() && it.failed.is_none());
    let is_over = is_whole && is_counted && count(status.terminating) == 0;
    let verdict = verdict.filter(|_| is_over);
    if let Some(verdict) = &verdict {
        let (kind, why) = verdict.terminal();
        // A Job that ends while it is suspended has none, and the server takes no end without a beginning.
        status.start_time.get_or_insert(Time(now));
        ensure(status.conditions.get_or_insert_default(), kind, "True", why, now);
        if matches!(verdict, Verdict::Success(_)) {
            let complete = status.conditions.as_deref().and_then(|all| holding(all, kind));
            status.completion_time = complete.and_then(|condition| condition.last_transition_time.clone());
        }
    }
    Closing { status, verdict }
}

/// Whether the pod need not be kept: it has ended, or its end does not matter any more.
fn may_be_released(view: &View<'_>, verdict: Option<&Verdict>, pod: &Pod) -> bool {
    if verdict.is_some() || view.job.metadata.deletion_timestamp.is_some() || has_succeeded(pod) {
        return true;
    }
    // The pod that takes its place takes over its count of failures.
    let is_awaited = view.indexes.as_ref().is_some_and(|indexes| {
        let index = completion_index(pod);
        let awaiting = index.and_then(|index| indexes.awaiting_replacement.get(&index));
        awaiting.is_some_and(|awaiting| uid(awaiting) == uid(pod))
    });
    view.has_failed(pod) && !is_awaited
}

/// The pods that the status names.
struct Entries {
    succeeded: Vec<String>,
    failed: Vec<String>,
    /// How many pods are counted by their indexes instead.
    by_index: usize,
}

impl Entries {
    fn of(status: &mut JobStatus) -> Self {
        let uncounted = status.uncounted_terminated_pods.take().unwrap_or_default();
        Self {
            succeeded: uncounted.succeeded.unwrap_or_default(),
            failed: uncounted.failed.unwrap_or_default(),
            by_index: 0,
        }
    }

    fn len(&self) -> usize {
        self.succeeded.len() + self.failed.len() + self.by_index
    }

    fn add(&mut self, view: &View<'_>, verdict: Option<&Verdict>, pod: &Pod) {
        let uid = uid(pod).to_owned();
        if self.failed.contains(&uid) || self.succeeded.contains(&uid) {
            return;
        }
        // What still runs when a Job fails has failed with it.
        let fails = view.has_failed(pod) || matches!(verdict, Some(Verdict::Failure(_)));
        match &view.indexes {
            Some(_) if has_succeeded(pod) => self.by_index += 1,
            None if has_succeeded(pod) => self.succeeded.push(uid),
            _ if fails && view.is_valid(pod) && view.judge(pod) != Failure::Ignored => self.failed.push(uid),
            _ => {}
        }
    }

    fn put_into(self, status: &mut JobStatus) {
        let listed = |uids: Vec<String>| Some(uids).filter(|uids| !uids.is_empty());
        status.uncounted_terminated_pods =
            Some(UncountedTerminatedPods { succeeded: listed(self.succeeded), failed: listed(self.failed) });
    }
}

/// Counts the pods that the status names and that are not tracked any more.
fn count_untracked(status: &mut JobStatus, tracked: &HashSet<String>) {
    let mut entries = Entries::of(status);
    let (succeeded, failed) = (entries.succeeded.len(), entries.failed.len());
    entries.succeeded.retain(|uid| tracked.contains(uid));
    entries.failed.retain(|uid| tracked.contains(uid));
    status.succeeded = nonzero(count(status.succeeded) + succeeded - entries.succeeded.len());
    status.failed = nonzero(count(status.failed) + failed - entries.failed.len());
    entries.put_into(status);
}

#[cfg(test)]
mod tests;
