//! What a Job's pods amount to: pure.
//!
//! In: a Job, its own pods, and which of them have yet to be counted. Out: a [`View`] with every number that decisions
//! and the status need.
//!
//! A pod is *tracked* as long as its finalizer is there and this controller has not taken it away, whatever the cache
//! shows. What is not tracked has been counted, or never will be.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use k8s_openapi::{
    api::batch::v1::{Job, JobStatus},
    jiff::Timestamp,
};
use keelson_controller_runtime::pod::Pod;

use super::{
    indexes::Indexes,
    pods::{
        completion_index, finished_at, has_failed, has_succeeded, index_failures, index_ignored_failures, uid,
    },
    policy::{Failure, judge},
    terms::Terms,
};
use crate::pod_state::{is_active, is_ready, is_terminating};

/// A Job and what is known of its pods.
pub(super) struct View<'a> {
    pub(super) job: &'a Job,
    pub(super) terms: Terms<'a>,
    /// The Job's own pods, by index where they have one.
    pub(super) pods: Vec<Arc<Pod>>,
    /// The uids of those that have yet to be counted.
    pub(super) tracked: HashSet<String>,
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) ready: usize,
    pub(super) terminating: usize,
    /// Pods that have ended and are in no count yet.
    pub(super) newly_succeeded: Vec<Arc<Pod>>,
    pub(super) newly_failed: Vec<Arc<Pod>>,
    /// All that have ever succeeded, or of an indexed Job its succeeded indexes.
    pub(super) succeeded: usize,
    /// All that have ever failed, apart from those that do not count.
    pub(super) failed: usize,
    /// Of an indexed Job.
    pub(super) indexes: Option<IndexView>,
}

/// What an indexed Job has besides.
pub(super) struct IndexView {
    pub(super) completions: usize,
    pub(super) succeeded: Indexes,
    /// Of a Job that limits failures per index.
    pub(super) failed: Option<Indexes>,
    /// The failed pods that have to stay until their index has a new pod, which takes over the count of failures.
    pub(super) awaiting_replacement: BTreeMap<usize, Arc<Pod>>,
}

/// The Job's status, or an empty one.
pub(super) fn status(job: &Job) -> JobStatus {
    job.status.clone().unwrap_or_default()
}

/// A count of the status.
pub(super) fn count(number: Option<i32>) -> usize {
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

impl<'a> View<'a> {
    pub(super) fn new(
        job: &'a Job,
        terms: Terms<'a>,
        mut pods: Vec<Arc<Pod>>,
        tracked: HashSet<String>,
    ) -> Self {
        pods.sort_by_key(|pod| completion_index(pod));
        let active: Vec<_> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
        let mut view = Self {
            ready: active.iter().filter(|pod| is_ready(pod)).count(),
            terminating: pods.iter().filter(|pod| is_terminating(pod)).count(),
            newly_succeeded: Vec::new(),
            newly_failed: Vec::new(),
            succeeded: 0,
            failed: 0,
            indexes: None,
            job,
            terms,
            pods,
            tracked,
            active,
        };
        view.count_ended();
        view.indexes = terms.indexes().map(|completions| view.index(completions));
        if let Some(indexes) = &view.indexes {
            view.succeeded = indexes.succeeded.len();
        }
        view
    }

    pub(super) fn is_tracked(&self, pod: &Pod) -> bool {
        self.tracked.contains(uid(pod))
    }

    /// Whether the pod has an index that the Job wants, or needs none.
    pub(super) fn is_valid(&self, pod: &Pod) -> bool {
        self.terms.indexes().is_none_or(|end| completion_index(pod).is_some_and(|index| index < end))
    }

    /// What the pod's failure means.
    pub(super) fn judge(&self, pod: &Pod) -> Failure {
        judge(self.terms.failure_policy, pod)
    }

    pub(super) fn has_failed(&self, pod: &Pod) -> bool {
        has_failed(pod, &self.terms)
    }

    fn count_ended(&mut self) {
        let status = status(self.job);
        let uncounted = status.uncounted_terminated_pods.unwrap_or_default();
        let (succeeded, failed) =
            (uncounted.succeeded.unwrap_or_default(), uncounted.failed.unwrap_or_default());
        let is_new = |pod: &Pod, uncounted: &[String]| {
            self.is_tracked(pod) && self.is_valid(pod) && !uncounted.iter().any(|it| it == uid(pod))
        };
        let new = |uncounted: &[String], has_ended: &dyn Fn(&Pod) -> bool| -> Vec<Arc<Pod>> {
            let ended = self.pods.iter().filter(|pod| has_ended(pod) && is_new(pod, uncounted));
            ended.cloned().collect()
        };
        let newly_succeeded = new(&succeeded, &has_succeeded);
        let newly_failed = new(&failed, &|pod| self.has_failed(pod));
        let counting = newly_failed.iter().filter(|pod| self.judge(pod) != Failure::Ignored).count();
        self.succeeded = count(status.succeeded) + succeeded.len() + newly_succeeded.len();
        self.failed = count(status.failed) + failed.len() + counting;
        (self.newly_succeeded, self.newly_failed) = (newly_succeeded, newly_failed);
    }

    fn index(&self, completions: usize) -> IndexView {
        let status = status(self.job);
        let known = |text: Option<String>| Indexes::parse(&text.unwrap_or_default(), completions);
        let newly = |counts: &dyn Fn(&Pod) -> bool| -> Indexes {
            let pods =
                self.pods.iter().filter(|pod| self.is_tracked(pod) && self.is_valid(pod) && counts(pod));
            pods.filter_map(|pod| completion_index(pod)).collect()
        };
        let succeeded = known(status.completed_indexes).with(&newly(&has_succeeded));
        let failed = self.terms.per_index.map(|limits| {
            let fails = |pod: &Pod| self.fails_its_index(pod, limits.backoff_limit);
            known(status.failed_indexes).with(&newly(&fails))
        });
        let awaiting_replacement = match &failed {
            Some(failed) => self.awaiting_replacement(&succeeded, failed),
            None => BTreeMap::new(),
        };
        IndexView { completions, succeeded, failed, awaiting_replacement }
    }

    fn fails_its_index(&self, pod: &Pod, backoff_limit: i32) -> bool {
        self.has_failed(pod)
            && match self.judge(pod) {
                Failure::FailsIndex => true,
                Failure::Ignored => false,
                Failure::Counts | Failure::FailsJob(_) => index_failures(pod) >= backoff_limit,
            }
    }

    /// The last failed pod of each index that has yet to get another pod.
    fn awaiting_replacement(&self, succeeded: &Indexes, failed: &Indexes) -> BTreeMap<usize, Arc<Pod>> {
        let active: Indexes = self.active.iter().filter_map(|pod| completion_index(pod)).collect();
        let mut last: BTreeMap<usize, Arc<Pod>> = BTreeMap::new();
        let candidates =
            self.pods.iter().filter(|pod| self.is_tracked(pod) && self.is_valid(pod) && self.has_failed(pod));
        for pod in candidates {
            let Some(index) = completion_index(pod) else { continue };
            if succeeded.has(index) || failed.has(index) || active.has(index) {
                continue;
            }
            let is_later = last.get(&index).is_none_or(|before| order(before) <= order(pod));
            if is_later {
                last.insert(index, Arc::clone(pod));
            }
        }
        last
    }
}

/// Of failed pods of one index, the one with more failures before it came later.
fn order(pod: &Pod) -> (i32, Timestamp) {
    (index_failures(pod).saturating_add(index_ignored_failures(pod)), finished_at(pod))
}

#[cfg(test)]
mod tests;
