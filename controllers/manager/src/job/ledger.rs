//! What this controller knows that its caches may not show yet.
//!
//! In: statuses written, finalizers taken away, lists of pods that the API was asked for. Out: whether a Job in the
//! cache is older than the last status written, whether anybody else may have counted pods since, and which of the
//! cached pods have yet to be counted. It is lost with the process, and then nothing is known, so that everything is
//! looked at anew.
//!
//! Two rules make a pod be counted at most once, however many controllers count, and however old their caches are
//! (`accounting.rs` keeps both, on what is said here):
//!
//! - A pod that a status does not name comes to be named only if the pod has ended and had its finalizer at a time when
//!   that very version of the Job was the newest there was.
//! - A pod that a status names comes to be counted, and is named no longer, only if it has no finalizer.
//!
//! For a pod that has ended never gets a finalizer again (unless its user takes it from the Job and gives it back), so
//! that one that has been counted never fulfils the first.
//! The cache alone cannot show that a pod had its finalizer recently enough. It can together with this: every version of
//! the Job between the *base* and the one in the cache was written here, where the base is a version as of which nothing
//! had ever been counted, or after which the API was asked which pods have the finalizer. So whatever was counted was
//! counted here, or before the API was asked.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use keelson_controller_runtime::ObjectKey;
use keelson_controller_runtime::pod::Pod;

use super::{
    backoff::Failures,
    pods::{has_finalizer, uid},
};

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
    /// The version of the Job up to which all that has been counted is known: the base, or written here since.
    known: Option<u64>,
    /// What the API said as of the base.
    listed: Option<Listing>,
    /// Pods whose finalizer was taken away here, and the versions that they have without it. The cache still shows
    /// older ones.
    released: HashMap<String, u64>,
    failures: Failures,
}

/// The pods of a Job that have the finalizer, as the API knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// No older version of a pod says anything against it.
    pub(super) as_of: u64,
    /// Their uids.
    pub(super) tracked: HashSet<String>,
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

    /// Notes which pods had the finalizer at a time when this version of the Job had been written. If the cache has shown
    /// all of them, the Job is known from then on.
    pub(super) fn learn(&self, key: &ObjectKey, job: &Job, listing: Listing, are_shown: bool) {
        let mut pages = self.pages();
        let page = Self::page(&mut pages, key, job);
        // A pod that was released as a surplus one may have got its finalizer back since.
        page.released.retain(|_, released| *released > listing.as_of);
        if are_shown {
            page.known = revision(job);
            page.listed = Some(listing);
        }
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

    /// Notes what the cache shows of pods that are the Job's or were. What it shows, or shows no longer, need not be
    /// remembered.
    pub(super) fn shown(&self, key: &ObjectKey, pods: &[Arc<Pod>]) {
        let mut pages = self.pages();
        let Some(page) = pages.get_mut(key).filter(|page| !page.released.is_empty()) else { return };
        let shown: HashMap<_, _> = pods.iter().map(|pod| (uid(pod), version(&pod.metadata))).collect();
        page.released.retain(|uid, released| shown.get(&**uid).is_some_and(|shown| *shown < Some(*released)));
    }

    /// The uids of those of a known Job's cached pods that have the finalizer. `None` if nothing is known after all.
    pub(super) fn tracked(&self, key: &ObjectKey, pods: &[Arc<Pod>]) -> Option<HashSet<String>> {
        let pages = self.pages();
        let page = pages.get(key).filter(|page| page.known.is_some())?;
        Some(pods.iter().filter(|pod| page.tracks(pod)).map(|pod| uid(pod).to_owned()).collect())
    }

    /// Leaves the uids of those that have not been released since.
    pub(super) fn keep_tracked(&self, key: &ObjectKey, tracked: &mut HashSet<String>) {
        if let Some(page) = self.pages().get(key) {
            tracked.retain(|uid| !page.released.contains_key(uid));
        }
    }

    /// Notes that a pod has no finalizer in this version.
    pub(super) fn released(&self, key: &ObjectKey, pod_uid: &str, last: &ObjectMeta) {
        self.release(key, pod_uid, version(last));
    }

    /// Notes that a pod is gone. No version of it, however new, says that it has the finalizer.
    pub(super) fn gone(&self, key: &ObjectKey, pod_uid: &str) {
        self.release(key, pod_uid, None);
    }

    fn release(&self, key: &ObjectKey, pod_uid: &str, version: Option<u64>) {
        if let Some(page) = self.pages().get_mut(key) {
            page.released.insert(pod_uid.to_owned(), version.unwrap_or(u64::MAX));
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

impl Page {
    /// Whether a pod has its finalizer, by the newest that is known of it.
    fn tracks(&self, pod: &Pod) -> bool {
        if self.released.contains_key(uid(pod)) {
            return false;
        }
        match &self.listed {
            Some(listing) if version(&pod.metadata) <= Some(listing.as_of) => {
                listing.tracked.contains(uid(pod))
            }
            Some(_) | None => has_finalizer(pod),
        }
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
fn version(metadata: &ObjectMeta) -> Option<u64> {
    metadata.resource_version.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::JobStatus;

    use super::*;
    use crate::job::testing;

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

    fn listing(as_of: u64, tracked: &[&str]) -> Listing {
        Listing { as_of, tracked: tracked.iter().map(|uid| (*uid).to_owned()).collect() }
    }

    /// A pod in the cache, with the finalizer.
    fn pod(uid: &str, version: &str) -> Arc<Pod> {
        let mut pod = testing::pod(uid, "Succeeded");
        pod.metadata.resource_version = Some(version.into());
        Arc::new(pod)
    }

    #[test]
    fn a_job_is_known_as_this_controller_wrote_it() {
        let (ledger, key) = ledger();
        let acquaintance = |uid, version| ledger.acquaintance(&key, &job(uid, version));
        assert_eq!(acquaintance("a", "9"), Acquaintance::Unknown);
        ledger.learn(&key, &job("a", "9"), listing(9, &[]), true);
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
        ledger.learn(&key, &job("a", "9"), listing(9, &["pod"]), true);
        assert_eq!(ledger.acquaintance(&key, &job("b", "9")), Acquaintance::Unknown);
        assert_eq!(ledger.tracked(&key, &[pod("pod", "9")]), None);
    }

    #[test]
    fn a_pod_that_the_cache_shows_late_is_as_the_api_said() {
        let (ledger, key) = ledger();
        ledger.learn(&key, &job("a", "9"), listing(20, &["held"]), true);
        let shown = [pod("held", "19"), pod("counted", "20"), pod("newer", "21")];
        assert_eq!(ledger.tracked(&key, &shown), Some(["held".to_owned(), "newer".to_owned()].into()));
    }

    #[test]
    fn a_pod_is_released_until_the_cache_shows_what_came_after() {
        let (ledger, key) = ledger();
        ledger.learn(&key, &job("a", "9"), listing(9, &[]), true);
        let last = ObjectMeta { resource_version: Some("12".into()), ..ObjectMeta::default() };
        ledger.released(&key, "released", &last);
        ledger.gone(&key, "gone");
        let tracked_at = |version| {
            let shown = [pod("released", version), pod("gone", version)];
            ledger.shown(&key, &shown);
            ledger.tracked(&key, &shown).unwrap()
        };
        assert_eq!(tracked_at("11"), [].into());
        assert_eq!(tracked_at("13"), ["released".to_owned()].into(), "it was given back");
        ledger.shown(&key, &[]);
        assert_eq!(ledger.pages()[&key].released, HashMap::new(), "nothing is remembered of what is gone");
    }

    #[test]
    fn what_the_api_says_later_replaces_what_was_known_of_a_release() {
        let (ledger, key) = ledger();
        let job = job("a", "9");
        ledger.learn(&key, &job, listing(9, &["pod"]), true);
        let last = ObjectMeta { resource_version: Some("12".into()), ..ObjectMeta::default() };
        ledger.released(&key, "pod", &last);
        assert_eq!(ledger.tracked(&key, &[pod("pod", "9")]), Some([].into()));
        let mut tracked = HashSet::from(["pod".to_owned()]);
        ledger.learn(&key, &job, listing(20, &["pod"]), false);
        ledger.keep_tracked(&key, &mut tracked);
        assert_eq!(tracked.len(), 1, "somebody gave it back");
        ledger.learn(&key, &job, listing(20, &["pod"]), true);
        assert_eq!(ledger.tracked(&key, &[pod("pod", "9")]), Some(tracked));
    }
}
