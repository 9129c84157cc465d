//! The pods of this node, as long as anything of them is here.
//!
//! In: what the API wants, what the runtime has, what workers find out. Out: a [`Record`] per pod, which everybody shares
//! who has to do with the pod: its worker, its probes, the node's own API.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::{Notify, watch};

use crate::config::resources::Bounds;
use crate::pod::spec;
use crate::pod::state::State;
use crate::runtime::observed::Observed;
use crate::status::{self, PendingSize, Troubles};

/// A pod as it shall be.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    pub(crate) pod: Arc<Pod>,
    /// Whether the API has it no more; then `pod` is the last that was known of it.
    pub(crate) is_removed: bool,
}

/// A pod as it is.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) state: State,
    pub(crate) observed: Observed,
    /// Which look at the runtime `observed` comes from.
    look: u64,
    pub(crate) troubles: Troubles,
    /// Instances that run, and whose `postStart` hook is not over yet.
    pub(crate) hooked: BTreeSet<String>,
    /// How large the runtime was told to make instances that ran already, by their ids.
    pub(crate) resized: HashMap<String, Bounds>,
    /// Why the pod does not get the size that it asks for.
    pub(crate) pending: Option<PendingSize>,
    /// The status that was told last; at first the API's.
    pub(crate) told: PodStatus,
}

impl View {
    /// Takes in what a look has found, unless a later one was faster.
    pub(crate) fn take_in(&mut self, look: u64, observed: Observed) {
        if look > self.look {
            self.look = look;
            self.observed = observed;
        }
    }
}

/// One pod.
#[derive(Debug)]
pub(crate) struct Record {
    desired: watch::Sender<Desired>,
    wake: Notify,
    /// Whether an object that the pod names has changed since the worker looked.
    has_news: AtomicBool,
    /// Whether the worker is in the middle of a round.
    is_busy: AtomicBool,
    /// How many looks at the runtime were begun.
    looks: AtomicU64,
    view: Mutex<View>,
}

impl Record {
    fn new(desired: Desired) -> Self {
        let view = View {
            state: State::Waiting,
            observed: Observed::default(),
            look: 0,
            troubles: Troubles::new(),
            hooked: BTreeSet::new(),
            resized: HashMap::new(),
            pending: None,
            told: desired.pod.status.clone().unwrap_or_default(),
        };
        Self {
            desired: watch::Sender::new(desired),
            wake: Notify::new(),
            has_news: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            view: Mutex::new(view),
        }
    }

    /// The pod as it shall be.
    pub(crate) fn pod(&self) -> Arc<Pod> {
        self.desired.borrow().pod.clone()
    }

    /// Follows what shall be.
    pub(crate) fn desires(&self) -> watch::Receiver<Desired> {
        self.desired.subscribe()
    }

    /// What the worker and others know.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a look at the runtime; its number. The worker and others look at the same time, and what was seen later
    /// counts.
    pub(crate) fn begin_look(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Makes the worker look again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Makes the worker look again at the objects that the pod names.
    pub(crate) fn tell_news(&self) {
        self.has_news.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Whether there are news about the objects that the pod names; asking takes them.
    pub(crate) fn take_news(&self) -> bool {
        self.has_news.swap(false, Ordering::Relaxed)
    }

    /// The worker begins a round, or ends one.
    pub(crate) fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::Relaxed);
    }

    /// Whether the worker is in the middle of a round.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Relaxed)
    }

    /// Until somebody wakes the worker.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// All pods, by uid.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    records: Mutex<HashMap<String, Arc<Record>>>,
}

impl Registry {
    /// Takes in what the API says of a pod. The record, if it is a new one: then it needs a worker.
    pub(crate) fn want(&self, pod: Arc<Pod>) -> Option<Arc<Record>> {
        let uid = spec::uid(&pod).to_owned();
        let desired = Desired { pod, is_removed: false };
        let mut records = self.records();
        if let Some(record) = records.get(&uid) {
            record.desired.send_if_modified(|known| {
                let is_news = is_news(&known.pod, &desired.pod);
                *known = desired;
                is_news
            });
            return None;
        }
        let record = Arc::new(Record::new(desired));
        records.insert(uid, record.clone());
        Some(record)
    }

    /// Takes in that the API does not have a pod.
    pub(crate) fn lose(&self, uid: &str) {
        if let Some(record) = self.get(uid) {
            record.desired.send_modify(|desired| desired.is_removed = true);
        }
    }

    /// A record for a pod that only the runtime knows, to bring it to its end; `None` if there is one already.
    pub(crate) fn adopt(&self, pod: Pod) -> Option<Arc<Record>> {
        let uid = spec::uid(&pod).to_owned();
        let mut records = self.records();
        if records.contains_key(&uid) {
            return None;
        }
        let record = Arc::new(Record::new(Desired { pod: Arc::new(pod), is_removed: true }));
        records.insert(uid, record.clone());
        Some(record)
    }

    /// The record of a pod.
    pub(crate) fn get(&self, uid: &str) -> Option<Arc<Record>> {
        self.records().get(uid).cloned()
    }

    /// Whether this record is the pod's, and nobody has forgotten it.
    pub(crate) fn holds(&self, record: &Record) -> bool {
        self.get(spec::uid(&record.pod())).is_some_and(|it| std::ptr::eq(&raw const *it, record))
    }

    /// Forgets a pod of which nothing is left.
    pub(crate) fn forget(&self, uid: &str) {
        self.records().remove(uid);
    }

    /// All records.
    pub(crate) fn all(&self) -> Vec<Arc<Record>> {
        self.records().values().cloned().collect()
    }

    /// The pods that use the node: taken, by this agent or an earlier one, and not ended; without the one that is asked
    /// for. What the API has given up makes room, also for the scheduler, although it may still be on its way out.
    pub(crate) fn active_besides(&self, uid: &str) -> Vec<Arc<Pod>> {
        let is_active = |record: &Arc<Record>| {
            let is_taken = match record.view().state {
                State::Running | State::Terminating(_) => true,
                State::Waiting => spec::was_taken(&record.pod()),
                State::Terminated(_) | State::Gone => false,
            };
            is_taken && !record.desired.borrow().is_removed
        };
        let records = self.all();
        let active = records.iter().filter(|record| is_active(record)).map(|record| record.pod());
        active.filter(|pod| spec::uid(pod) != uid).collect()
    }

    fn records(&self) -> MutexGuard<'_, HashMap<String, Arc<Record>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a pod has changed in what concerns its worker: not only in what the worker itself has told.
fn is_news(old: &Pod, new: &Pod) -> bool {
    let facts = |pod: &Pod| {
        let meta = &pod.metadata;
        let deletion = (meta.deletion_timestamp.clone(), meta.deletion_grace_period_seconds);
        (meta.generation, meta.labels.clone(), meta.annotations.clone(), deletion)
    };
    old.spec != new.spec
        || facts(old) != facts(new)
        || spec::phase(old) != spec::phase(new)
        || !status::has_same_foreign_conditions(old, new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{observed, pod};

    #[test]
    fn a_pod_has_one_record_until_nothing_of_it_is_left() {
        let registry = Registry::default();
        let pod = Arc::new(pod(json!({"containers": []})));
        let record = registry.want(pod.clone()).unwrap();
        assert!(registry.want(pod.clone()).is_none());
        assert!(registry.adopt((*pod).clone()).is_none());
        registry.lose("uid-1");
        assert!(record.desires().borrow().is_removed);
        assert!(registry.holds(&record));
        registry.forget("uid-1");
        assert!(registry.get("uid-1").is_none() && !registry.holds(&record));
        let orphan = registry.adopt((*pod).clone()).unwrap();
        assert!(orphan.desires().borrow().is_removed);
        assert!(registry.holds(&orphan) && !registry.holds(&record));
    }

    #[test]
    fn what_was_seen_earlier_and_told_later_does_not_count() {
        let record = Registry::default().want(Arc::new(pod(json!({"containers": []})))).unwrap();
        let (early, late) = (record.begin_look(), record.begin_look());
        record.view().take_in(late, observed(vec![]));
        record.view().take_in(early, Observed::default());
        assert_eq!(record.view().observed, observed(vec![]));
    }

    #[test]
    fn what_the_worker_has_told_itself_is_no_news() {
        let old = pod(json!({"containers": []}));
        let with = |status| Pod { status: serde_json::from_value(status).unwrap(), ..old.clone() };
        assert!(!is_news(
            &old,
            &with(json!({"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}))
        ));
        assert!(is_news(&old, &with(json!({"phase": "Failed"}))));
        assert!(is_news(
            &old,
            &with(json!({"conditions": [{"type": "example.com/gate", "status": "True"}]}))
        ));
        let mut deleted = old.clone();
        deleted.metadata.deletion_grace_period_seconds = Some(3);
        assert!(is_news(&old, &deleted));
    }

    #[test]
    fn only_pods_that_were_taken_use_the_node() {
        let registry = Registry::default();
        let record = registry.want(Arc::new(pod(json!({"containers": []})))).unwrap();
        assert!(registry.active_besides("other").is_empty());
        record.view().state = State::Running;
        assert_eq!(registry.active_besides("other").len(), 1);
        assert!(registry.active_besides("uid-1").is_empty());
    }

    #[test]
    fn what_an_earlier_agent_has_taken_uses_the_node_and_what_the_api_gave_up_does_not() {
        let registry = Registry::default();
        let status = json!({"startTime": "2026-01-01T00:00:00Z", "phase": "Running"});
        let taken = Pod { status: serde_json::from_value(status).unwrap(), ..pod(json!({"containers": []})) };
        let record = registry.want(Arc::new(taken)).unwrap();
        assert_eq!(registry.active_besides("other").len(), 1, "its worker has not looked at it yet");
        record.view().state = State::Running;
        registry.lose("uid-1");
        assert!(registry.active_besides("other").is_empty());
    }
}
