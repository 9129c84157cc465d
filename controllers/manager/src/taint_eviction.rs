//! Evicts pods that do not tolerate a `NoExecute` taint of their node, at once or when their patience is over.
//!
//! In: nodes and pods. Out: pods deleted, after a condition on them that says why, and events.
//!
//! - `plan.rs`: who has to go, and when (pure)
//! - `act.rs`: writes
//!
//! A pod is looked at when it comes to a tainted node, when the taints of its node change, and when its time is up;
//! what is decided is always decided anew, so a taint that goes needs no timer to be stopped.

mod act;
mod plan;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ObjectReference};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{
    Change, EventRecorder, Informer, Next, ObjectKey, Reconcile, WorkQueue, work,
};
use kube::Client;
use tokio::time::Instant;

use self::plan::{Present, Verdict, evicting_taints, present, verdict};
use crate::changes::newest;
use crate::context::{BY_NODE, Context};

const NAME: &str = "taint-eviction-controller";

/// How many pods are worked on at once, as upstream.
const WORKERS: usize = 8;

/// Evicts one pod at a time.
struct Evictor {
    client: Client,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    events: EventRecorder,
    state: Arc<Mutex<State>>,
}

/// What is known of nodes and pods beyond what the caches show.
#[derive(Default)]
struct State {
    /// The taints of nodes that have some.
    taints: HashMap<String, Vec<Present>>,
    pods: HashMap<ObjectKey, Stage>,
}

/// How far it has come with a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has time left.
    Scheduled,
    /// Users have been told that it goes.
    Marked,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let evictor = Evictor {
        client,
        pods: context.pods(),
        nodes: context.nodes(),
        events: context.recorder(NAME),
        state: Arc::default(),
    };
    tokio::join!(evictor.pods.synced(), evictor.nodes.synced());
    let queue = WorkQueue::new(NAME);
    evictor.watch(&queue);
    work(NAME, queue, WORKERS, Arc::new(evictor)).await;
}

impl Evictor {
    fn watch(&self, queue: &WorkQueue<ObjectKey>) {
        let (due, pods, state) = (queue.clone(), self.pods.clone(), Arc::clone(&self.state));
        self.nodes.on_change(move |change| {
            let name = newest(change).metadata.name.clone().unwrap_or_default();
            if lock(&state).observe(&name, change, Instant::now(), Timestamp::now()) {
                pods.by_index(BY_NODE, &name).iter().for_each(|pod| due.add(ObjectKey::of(&**pod)));
            }
        });
        let (due, state) = (queue.clone(), Arc::clone(&self.state));
        self.pods.on_change(move |change| {
            let is_new = match change {
                Change::Added(_) | Change::Deleted(_) => true,
                Change::Updated { old, new } => circumstances(old) != circumstances(new),
            };
            if is_new && lock(&state).concerns(newest(change)) {
                due.add(ObjectKey::of(&**newest(change)));
            }
        });
    }

    /// What is to happen to the pod with this key; `None` if it is gone or going.
    fn judge(&self, key: &ObjectKey) -> Option<(Arc<Pod>, Verdict)> {
        let pod = self.pods.get(key).filter(|pod| pod.metadata.deletion_timestamp.is_none())?;
        let node = pod.spec.as_ref()?.node_name.clone()?;
        let state = lock(&self.state);
        let taints = state.taints.get(&node).map(Vec::as_slice).unwrap_or_default();
        let verdict = verdict(taints, &pod, Instant::now(), Timestamp::now());
        Some((pod, verdict))
    }

    fn let_stay(&self, key: &ObjectKey) {
        if lock(&self.state).pods.remove(key).is_some() {
            self.tell(key, format!("Cancelling deletion of Pod {key}"));
        }
    }

    async fn evict(&self, key: &ObjectKey, pod: &Pod) -> Result<(), kube::Error> {
        let before = lock(&self.state).pods.insert(key.clone(), Stage::Marked);
        if before != Some(Stage::Marked) {
            tracing::info!(pod = %key, "evicting a pod from a tainted node");
            self.tell(key, format!("Marking for deletion Pod {key}"));
        }
        act::evict(&self.client, pod, Timestamp::now()).await?;
        lock(&self.state).pods.remove(key);
        Ok(())
    }

    fn tell(&self, key: &ObjectKey, message: String) {
        let pod = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            ..ObjectReference::default()
        };
        self.events.normal(&pod, "TaintManagerEviction", message);
    }
}

impl Reconcile for Evictor {
    type Key = ObjectKey;
    type Error = kube::Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, kube::Error> {
        match self.judge(key) {
            None => {
                lock(&self.state).pods.remove(key);
                Ok(Next::Done)
            }
            Some((_, Verdict::Stay)) => {
                self.let_stay(key);
                Ok(Next::Done)
            }
            Some((pod, Verdict::Evict(Duration::ZERO))) => {
                self.evict(key, &pod).await?;
                Ok(Next::Done)
            }
            Some((_, Verdict::Evict(left))) => {
                if let Entry::Vacant(entry) = lock(&self.state).pods.entry(key.clone()) {
                    entry.insert(Stage::Scheduled);
                }
                Ok(Next::After(left))
            }
        }
    }
}

impl State {
    /// Takes note of a node's taints; whether its pods have to be looked at.
    fn observe(&mut self, name: &str, change: &Change<Node>, now: Instant, clock: Timestamp) -> bool {
        match change {
            Change::Updated { old, new } if evicting_taints(old).eq(evicting_taints(new)) => false,
            Change::Added(node) | Change::Updated { new: node, .. } => {
                let before = self.taints.remove(name).unwrap_or_default();
                let after = present(node, &before, now, clock);
                let matters = !before.is_empty() || !after.is_empty();
                if !after.is_empty() {
                    self.taints.insert(name.to_owned(), after);
                }
                matters
            }
            Change::Deleted(_) => self.taints.remove(name).is_some(),
        }
    }

    /// Whether there may be something to do about a pod.
    fn concerns(&self, pod: &Pod) -> bool {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        self.taints.contains_key(node) || self.pods.contains_key(&ObjectKey::of(pod))
    }
}

/// What of a pod decides whether it may stay where it is.
fn circumstances(pod: &Pod) -> impl PartialEq + '_ {
    let spec = pod.spec.as_ref();
    (
        spec.and_then(|spec| spec.node_name.as_deref()),
        spec.and_then(|spec| spec.tolerations.as_deref()),
        pod.metadata.deletion_timestamp.is_some(),
    )
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
