//! What this controller knows of its own writes, which its caches may not show yet.
//!
//! In: finalizers taken away, statuses written, and what informers show of both. Out: which pods count as released,
//! whether a Job in the cache is older than the last status written, and whether anybody else may have counted pods
//! since. It is lost with the process, and then nothing is known, so that everything is looked at anew.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use keelson_controller_runtime::ObjectKey;

use super::backoff::Failures;

/// By the Job's key.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pages: Mutex<HashMap<ObjectKey, Page>>,
}

/// What is known of one Job.
#[derive(Debug, Default)]
struct Page {
    job_uid: Option<String>,
    /// The version of the Job that this controller wrote last.
    written: Option<u64>,
    /// The version of the Job as of which the pods that the cache shows as tracked, less those in `released`, are the
    /// ones that have yet to be counted.
    known: Option<u64>,
    /// Uids of pods without finalizer that the cache may still show with it, and the versions that they then had, where
    /// these are known.
    released: HashMap<String, Option<u64>>,
    failures: Failures,
}

/// How a Job in the cache relates to what this controller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acquaintance {
    /// It is older than what this controller wrote.
    Outdated,
    /// Nobody else has counted pods of it, or all that was counted is known.
    Known,
    /// Somebody else wrote it, and may have counted pods that the cache still shows as tracked.
    Unknown,
}

impl Ledger {
    pub(super) fn acquaintance(&self, key: &ObjectKey, job: &Job) -> Acquaintance {
        let mut pages = self.pages();
        let page = Self::page(&mut pages, key, job);
        if has_never_counted(job) {
            page.known = revision(job);
        }
        match revision(job) {
            shown if shown < page.written => Acquaintance::Outdated,
            Some(shown) if page.known == Some(shown) => Acquaintance::Known,
            _ => Acquaintance::Unknown,
        }
    }

    /// Notes that all that has been counted up to this version of the Job is known.
    pub(super) fn know(&self, key: &ObjectKey, job: &Job) {
        let mut pages = self.pages();
        Self::page(&mut pages, key, job).known = revision(job);
    }

    /// Notes that this controller turned one version of the Job into another, with nobody in between.
    pub(super) fn wrote(&self, key: &ObjectKey, before: &Job, after: &Job) {
        let mut pages = self.pages();
        let page = Self::page(&mut pages, key, after);
        page.written = revision(after);
        if page.known.is_some() && page.known == revision(before) {
            page.known = page.written;
        }
    }

    /// The pods that count as released, whatever the cache shows.
    pub(super) fn released(&self, key: &ObjectKey) -> HashSet<String> {
        self.pages().get(key).map(|page| page.released.keys().cloned().collect()).unwrap_or_default()
    }

    /// Notes that the finalizer is about to be taken from a pod.
    pub(super) fn release(&self, key: &ObjectKey, pod_uid: &str) {
        if let Some(page) = self.pages().get_mut(key) {
            page.released.insert(pod_uid.to_owned(), None);
        }
    }

    /// Notes which version a pod has without the finalizer.
    pub(super) fn release_done(&self, key: &ObjectKey, pod_uid: &str, version: Option<u64>) {
        let mut pages = self.pages();
        if let Some(released) = pages.get_mut(key).and_then(|page| page.released.get_mut(pod_uid)) {
            *released = version;
        }
    }

    /// Notes that a pod has been seen without finalizer. One that is older than its release says nothing: it had none
    /// before, was given one, and the cache may yet show it with that.
    pub(super) fn seen_released(&self, key: &ObjectKey, pod: &Pod) {
        let mut pages = self.pages();
        let Some(page) = pages.get_mut(key) else { return };
        let pod_uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let released = page.released.get(pod_uid).copied().flatten();
        if released.is_some_and(|released| version(&pod.metadata) >= Some(released)) {
            page.released.remove(pod_uid);
        }
    }

    /// Notes that a pod is gone, or that it has its finalizer.
    pub(super) fn release_observed(&self, key: &ObjectKey, pod_uid: &str) {
        if let Some(page) = self.pages().get_mut(key) {
            page.released.remove(pod_uid);
        }
    }

    /// The failures that have been counted.
    pub(super) fn failures(&self, key: &ObjectKey) -> Failures {
        self.pages().get(key).map(|page| page.failures).unwrap_or_default()
    }

    /// Notes which failures have been counted.
    pub(super) fn set_failures(&self, key: &ObjectKey, failures: Failures) {
        if let Some(page) = self.pages().get_mut(key) {
            page.failures = failures;
        }
    }

    /// The Job has ended or is gone.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.pages().remove(key);
    }

    /// The page of this very Job, not of another one that had its name before.
    fn page<'a>(pages: &'a mut HashMap<ObjectKey, Page>, key: &ObjectKey, job: &Job) -> &'a mut Page {
        let page = pages.entry(key.clone()).or_default();
        if page.job_uid != job.metadata.uid {
            *page = Page { job_uid: job.metadata.uid.clone(), ..Page::default() };
        }
        page
    }

    fn pages(&self) -> MutexGuard<'_, HashMap<ObjectKey, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody can have counted any pod, because the status has no count.
fn has_never_counted(job: &Job) -> bool {
    job.status.as_ref().is_none_or(|status| {
        let uncounted = status.uncounted_terminated_pods.as_ref();
        let names_none = uncounted.is_none_or(|it| it.succeeded.is_none() && it.failed.is_none());
        names_none && status.succeeded.is_none() && status.failed.is_none()
    })
}

fn revision(job: &Job) -> Option<u64> {
    version(&job.metadata)
}

/// Versions are numbers that grow.
pub(super) fn version(metadata: &ObjectMeta) -> Option<u64> {
    metadata.resource_version.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::JobStatus;

    use super::*;

    /// A Job with one pod counted.
    fn job(uid: &str, version: &str) -> Job {
        let metadata = ObjectMeta {
            uid: Some(uid.into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        let status = JobStatus { failed: Some(1), ..JobStatus::default() };
        Job { metadata, status: Some(status), ..Job::default() }
    }

    fn ledger() -> (Ledger, ObjectKey) {
        (Ledger::default(), ObjectKey::new("shop", "job"))
    }

    #[test]
    fn a_job_is_known_as_this_controller_wrote_it() {
        let (ledger, key) = ledger();
        let acquaintance = |uid, version| ledger.acquaintance(&key, &job(uid, version));
        assert_eq!(acquaintance("a", "9"), Acquaintance::Unknown);
        ledger.know(&key, &job("a", "9"));
        assert_eq!(acquaintance("a", "9"), Acquaintance::Known);
        ledger.wrote(&key, &job("a", "9"), &job("a", "10"));
        assert_eq!(acquaintance("a", "9"), Acquaintance::Outdated, "as numbers, not as texts");
        assert_eq!(acquaintance("a", "10"), Acquaintance::Known);
        assert_eq!(acquaintance("a", "11"), Acquaintance::Unknown);
    }

    #[test]
    fn writing_a_job_that_was_not_known_does_not_make_it_so() {
        let (ledger, key) = ledger();
        ledger.wrote(&key, &job("a", "9"), &job("a", "10"));
        assert_eq!(ledger.acquaintance(&key, &job("a", "10")), Acquaintance::Unknown);
    }

    #[test]
    fn a_job_of_which_nothing_was_ever_counted_is_known() {
        let (ledger, key) = ledger();
        let fresh = Job { status: None, ..job("a", "9") };
        assert_eq!(ledger.acquaintance(&key, &fresh), Acquaintance::Known);
        ledger.wrote(&key, &fresh, &job("a", "10"));
        assert_eq!(ledger.acquaintance(&key, &job("a", "10")), Acquaintance::Known);
    }

    #[test]
    fn nothing_that_is_known_of_a_job_holds_for_another_of_its_name() {
        let (ledger, key) = ledger();
        ledger.know(&key, &job("a", "9"));
        ledger.release(&key, "pod");
        assert_eq!(ledger.acquaintance(&key, &job("b", "9")), Acquaintance::Unknown);
        assert_eq!(ledger.released(&key), HashSet::new());
    }
}
