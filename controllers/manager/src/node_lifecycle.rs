//! The life of nodes: says of a node that is not heard of any more that it is not, keeps new pods away from nodes that
//! are not well, and has pods evicted from those that stay so.
//!
//! In: nodes, their Leases, their pods. Out: conditions of nodes that are silent, taints, pods that are not ready because
//! their node is not, events. Deliberately absent: eviction itself, which follows from the taints.
//!
//! - `health.rs`: whether a node is heard of (pure)
//! - `conditions.rs`: what is written into a silent node (pure)
//! - `taints.rs`: which taints a node should have (pure)
//! - `zones.rs`: whose turn it is to be evicted, and when nobody's (pure)
//! - `ledger.rs`: all of this together for one look at one node (pure)
//! - `act.rs`: writes
//!
//! A node is looked at when it changes and when its grace period ends; renewals of Leases only move that end. So a
//! silent node is noticed to the moment, and a thousand healthy ones cost nothing. The sweep every
//! `--node-monitor-period` is a safety net.

mod act;
mod conditions;
mod health;
mod ledger;
mod taints;
mod zones;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{
    Change, EventRecorder, Informer, Next, ObjectKey, Reconcile, WorkQueue, reference_to, work,
};
use kube::Client;
use tokio::time::{Instant, sleep};

use self::act::Actor;
use self::health::Readiness;
use self::ledger::{Departure, Finding, Ledger};
use self::zones::{Disruption, Rates};
use crate::changes::newest;
use crate::context::{BY_NODE, Context};
use crate::options::Options;

const NAME: &str = "node-lifecycle-controller";

/// Who tells events, upstream's name.
const COMPONENT: &str = "node-controller";

/// How many nodes are worked on at once, as upstream.
const WORKERS: usize = 8;

/// No sweep comes sooner after another.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// Where nodes renew their Leases.
const LEASES: &str = "kube-node-lease";

/// How long a node may be silent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Times {
    monitor_grace: Duration,
    /// For a node on which nothing has been posted yet.
    startup_grace: Duration,
}

impl Times {
    fn of(options: &Options) -> Self {
        Self {
            monitor_grace: options.node_monitor_grace_period,
            startup_grace: options.node_startup_grace_period,
        }
    }
}

/// Looks after one node at a time.
struct Controller {
    actor: Actor,
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    pods: Informer<Pod>,
    events: EventRecorder,
    ledger: Arc<Mutex<Ledger>>,
    queue: WorkQueue<String>,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let controller = Controller {
        actor: Actor::new(client),
        nodes: context.nodes(),
        leases: context.node_leases(),
        pods: context.pods(),
        events: context.recorder(COMPONENT),
        ledger: Arc::new(Mutex::new(Ledger::new(Times::of(context.options()), Rates::default()))),
        queue: WorkQueue::new(NAME),
    };
    let Controller { nodes, leases, pods, .. } = &controller;
    tokio::join!(nodes.synced(), leases.synced(), pods.synced());
    // Before anything is decided about one node: how the cluster stands.
    lock(&controller.ledger).open(&controller.nodes.list());
    controller.watch();
    let controller = Arc::new(controller);
    let looks = work(NAME, controller.queue.clone(), WORKERS, Arc::clone(&controller));
    tokio::join!(looks, controller.sweep(context.options().node_monitor_period));
}

impl Controller {
    fn watch(&self) {
        let due = self.queue.clone();
        self.nodes.on_change(move |change| due.add(name(newest(change))));
        let ledger = Arc::clone(&self.ledger);
        self.leases.on_change(move |change| match change {
            Change::Added(lease) | Change::Updated { new: lease, .. } => {
                let node = lease.metadata.name.as_deref().unwrap_or_default();
                lock(&ledger).renewed(node, renewal(lease), Instant::now());
            }
            Change::Deleted(_) => {}
        });
        let (due, nodes) = (self.queue.clone(), self.nodes.clone());
        self.pods.on_change(move |change| {
            let of = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
            let arrived = match change {
                Change::Added(pod) => of(pod),
                Change::Updated { old, new } => of(new).filter(|_| of(old) != of(new)),
                Change::Deleted(_) => None,
            };
            let Some(name) = arrived else { return };
            let node = nodes.get(&ObjectKey::new("", name.clone()));
            if node.is_some_and(|node| Readiness::of(&node) == Readiness::Unknown) {
                due.add(name);
            }
        });
    }

    /// The safety net: finds nodes whose time is up, should a look have been lost.
    async fn sweep(&self, period: Duration) {
        loop {
            sleep(period.max(SHORTEST_PERIOD)).await;
            for name in lock(&self.ledger).overdue(Instant::now()) {
                self.queue.add(name);
            }
        }
    }

    /// What follows for a node; `None` if it is gone.
    fn look(&self, name: &str) -> Option<(Arc<Node>, Finding)> {
        let mut ledger = lock(&self.ledger);
        // The caches are read while the ledger is held, so that nobody tells it of a later renewal before this one.
        let node = self.nodes.get(&ObjectKey::new("", name));
        let lease = self.leases.get(&ObjectKey::new(LEASES, name));
        let now = Instant::now();
        let Some(node) = node else {
            let departure = ledger.forget(name, now);
            let wakes = ledger.wakes(now);
            drop(ledger);
            if let Some(Departure { uid, cluster }) = departure {
                self.wake(name, wakes, cluster);
                let message = format!("Node {name} event: Removing Node {name} from Controller");
                self.events.normal(&reference(name, uid), "RemovingNode", message);
            }
            return None;
        };
        let renewed = lease.and_then(|lease| renewal(&lease));
        let finding = ledger.look(&node, renewed, now, &Time(Timestamp::now()));
        let wakes = ledger.wakes(now);
        drop(ledger);
        self.wake(name, wakes, finding.cluster);
        Some((node, finding))
    }

    /// Has other nodes looked at: those whose turn is the next, or all.
    fn wake(&self, looked_at: &str, next: Vec<(String, Duration)>, cluster: Option<Disruption>) {
        for (name, wait) in next.into_iter().filter(|(name, _)| name != looked_at) {
            self.queue.add_after(name, wait);
        }
        match cluster {
            None => return,
            Some(Disruption::Total) => {
                tracing::warn!("no node is ready: pods are evicted from none until one is")
            }
            Some(Disruption::Limited) => {
                tracing::info!("a node is ready: pods may be evicted from others that are not")
            }
        }
        self.nodes.list().iter().for_each(|node| self.queue.add(name(node)));
    }

    /// Says of the pods of a node that nobody hears of that they are not ready. Services stop using them.
    async fn unready_pods(&self, node: &str) -> Result<(), kube::Error> {
        let mut result = Ok(());
        for pod in self.pods.by_index(BY_NODE, node) {
            match self.actor.unready(&pod, Timestamp::now()).await {
                Ok(true) => self.events.warning(&reference_to(&*pod), "NodeNotReady", "Node is not ready"),
                Ok(false) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    async fn act(&self, node: &Node, finding: &Finding) -> Result<(), kube::Error> {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        if finding.is_new {
            let message = format!("Node {name} event: Registered Node {name} in Controller");
            self.events.normal(&reference(name, node.metadata.uid.clone()), "RegisteredNode", message);
        }
        if !finding.conditions.is_empty() {
            let is_written = self.actor.write_conditions(node, &finding.conditions).await?;
            if is_written && Readiness::of(node) == Readiness::Ready {
                tracing::warn!(node = name, "a node is not heard of any more");
                let message = format!("Node {name} status is now: NodeNotReady");
                self.events.normal(&reference(name, node.metadata.uid.clone()), "NodeNotReady", message);
            }
            // The node as it is now comes back through the cache, and everything else follows from that.
            return Ok(());
        }
        if let Some(taints) = &finding.taints {
            self.actor.write_taints(node, taints).await?;
        }
        if Readiness::of(node) == Readiness::Unknown {
            self.unready_pods(name).await?;
        }
        Ok(())
    }
}

impl Reconcile for Controller {
    type Key = String;
    type Error = kube::Error;

    async fn reconcile(&self, name: &String) -> Result<Next, kube::Error> {
        let Some((node, finding)) = self.look(name) else { return Ok(Next::Done) };
        self.act(&node, &finding).await?;
        Ok(finding.again.map_or(Next::Done, Next::After))
    }
}

fn name(node: &Arc<Node>) -> String {
    node.metadata.name.clone().unwrap_or_default()
}

fn renewal(lease: &Lease) -> Option<MicroTime> {
    lease.spec.as_ref().and_then(|spec| spec.renew_time.clone())
}

fn reference(name: &str, uid: Option<String>) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(name.to_owned()),
        uid,
        ..ObjectReference::default()
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
