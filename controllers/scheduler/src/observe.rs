//! What the informers tell, taken into the cache and the queue.
//!
//! In: changes of nodes, pods, namespaces and claims. Out: an up-to-date cache, and pods that events may have helped.
//! Pods that belong to another scheduler count once they are on a node, and pods that have ended do not count.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolumeClaim};
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Change, ObjectKey};
use tokio::time::Instant;

use crate::cache::{Claim, Settled};
use crate::cluster_event::{ClusterEvent, PodChange, asks_for_less};
use crate::cycle::Core;
use crate::nominations::nominated_node;
use crate::pod_info::{PodInfo, Uid};

/// A change that an informer tells of.
#[derive(Debug)]
pub(crate) enum Observation {
    Node(Version<Node>),
    Pod(Version<Pod>),
    Namespace(Version<Namespace>),
    Claim(Version<PersistentVolumeClaim>),
}

/// What an object was and what it is; it lacks one of both when it is new or gone.
#[derive(Debug)]
pub(crate) struct Version<K> {
    pub(crate) old: Option<Arc<K>>,
    pub(crate) new: Option<Arc<K>>,
}

/// Whose a pod is.
enum Standing<'a> {
    /// It uses nothing any more.
    Ended,
    /// It is on this node.
    Assigned(&'a str),
    /// It waits for this scheduler.
    Waiting,
    /// It waits for another one.
    Foreign,
}

impl<K> From<&Change<K>> for Version<K> {
    fn from(change: &Change<K>) -> Self {
        let (old, new) = match change {
            Change::Added(new) => (None, Some(new)),
            Change::Updated { old, new } => (Some(old), Some(new)),
            Change::Deleted(old) => (Some(old), None),
        };
        Self { old: old.cloned(), new: new.cloned() }
    }
}

impl<'a> Standing<'a> {
    fn of(pod: &'a Pod, scheduler_name: &str) -> Self {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let spec = pod.spec.as_ref();
        let node = spec.and_then(|spec| spec.node_name.as_deref()).filter(|name| !name.is_empty());
        match (phase, node) {
            (Some("Succeeded" | "Failed"), _) => Self::Ended,
            (_, Some(node)) => Self::Assigned(node),
            (_, None) => match spec.and_then(|spec| spec.scheduler_name.as_deref()) == Some(scheduler_name) {
                true => Self::Waiting,
                false => Self::Foreign,
            },
        }
    }
}

impl Core {
    /// Takes a change in.
    pub(crate) fn observe(&mut self, observation: Observation, now: Instant) {
        match observation {
            Observation::Node(Version { new: Some(node), .. }) => self.node_is(node, now),
            Observation::Node(Version { old: Some(node), new: None }) => {
                self.cache.remove_node(node.metadata.name.as_deref().unwrap_or_default());
                self.queue.on_event(&ClusterEvent::NodeRemoved, now);
            }
            Observation::Pod(Version { old, new: Some(pod) }) => self.pod_is(old.as_deref(), pod, now),
            Observation::Pod(Version { old: Some(pod), new: None }) => self.pod_is_gone(&pod, now),
            Observation::Namespace(Version { old, new }) => {
                let labels = new.as_deref().map(|new| new.metadata.labels.clone().unwrap_or_default());
                let name = new.or(old).and_then(|namespace| namespace.metadata.name.clone());
                if self.cache.set_namespace(&name.unwrap_or_default(), labels.as_ref()) {
                    self.queue.on_event(&ClusterEvent::Namespaces, now);
                }
            }
            Observation::Claim(Version { new: Some(claim), .. }) => self.claim_is(&claim, now),
            Observation::Claim(Version { old: Some(claim), new: None }) => {
                self.cache.claims.remove(&ObjectKey::of(&*claim));
            }
            Observation::Node(Version { old: None, new: None })
            | Observation::Claim(Version { old: None, new: None })
            | Observation::Pod(Version { old: None, new: None }) => {}
        }
    }

    fn claim_is(&mut self, claim: &PersistentVolumeClaim, now: Instant) {
        let (key, claim) = (ObjectKey::of(claim), Claim::of(claim));
        if self.cache.claims.insert(key.clone(), claim.clone()) != Some(claim) {
            self.queue.on_event(&ClusterEvent::Claim(&key), now);
        }
    }

    fn node_is(&mut self, node: Arc<Node>, now: Instant) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let before = self.cache.node_named(&name).map(|known| Arc::clone(&known.node));
        let changes = self.cache.set_node(node);
        let Some(now_known) = self.cache.node_named(&name) else { return };
        match before {
            None => self.queue.on_event(&ClusterEvent::NodeAdded(now_known), now),
            Some(before) => {
                for change in changes {
                    let event = ClusterEvent::NodeChanged { change, before: &before, now: now_known };
                    self.queue.on_event(&event, now);
                }
            }
        }
    }

    fn pod_is(&mut self, old: Option<&Pod>, pod: Arc<Pod>, now: Instant) {
        match Standing::of(&pod, self.scheduler_name) {
            Standing::Ended => self.pod_is_gone(&pod, now),
            Standing::Assigned(node) => {
                let node = node.to_owned();
                self.pod_is_assigned(&PodInfo::of(pod), &node, now);
            }
            Standing::Waiting => self.pod_waits(old, &PodInfo::of(pod), now),
            Standing::Foreign => {}
        }
    }

    fn pod_is_gone(&mut self, pod: &Pod, now: Instant) {
        let uid = Uid::of(pod);
        self.queue.remove(&uid);
        self.leaving.remove(&uid);
        let promised = self.nominations.clear(&uid);
        if let Some((removed, node)) = self.cache.remove(&uid) {
            self.pod_event(PodChange::Removed, &removed, &node, now);
        } else if let Some(node) = promised {
            self.pod_event(PodChange::Removed, &PodInfo::of(Arc::new(pod.clone())), &node, now);
        }
    }

    fn pod_is_assigned(&mut self, pod: &Arc<PodInfo>, node: &str, now: Instant) {
        self.queue.remove(&pod.uid);
        self.end_promise(pod, node, now);
        let before = self.cache.placement(&pod.uid);
        let before = before.map(|(known, node)| (Arc::clone(known), Arc::clone(node)));
        let settled = self.cache.place(Arc::clone(pod), node);
        if let Some((known, known_node)) = &before {
            if **known_node != *node {
                self.pod_event(PodChange::Removed, known, known_node, now);
            }
            if settled == Settled::Renewed && asks_for_less(known, pod) {
                self.pod_event(PodChange::ScaledDown, pod, node, now);
            }
            if settled == Settled::Renewed && known.labels() != pod.labels() {
                self.pod_event(PodChange::Labels, pod, node, now);
            }
        }
        if settled != Settled::Renewed {
            self.pod_event(PodChange::Added, pod, node, now);
        }
    }

    fn pod_waits(&mut self, old: Option<&Pod>, pod: &Arc<PodInfo>, now: Instant) {
        if self.cache.renew_assumed(pod) {
            return;
        }
        let before = old.and_then(nominated_node);
        let lost = self.nominations.observe(before, pod);
        self.queue.update(Arc::clone(pod), now);
        if let Some(lost) = lost {
            self.pod_event(PodChange::Removed, pod, &lost, now);
        }
    }

    /// The pod counts on a node now. If it was promised room on another one, that is free again.
    pub(crate) fn end_promise(&mut self, pod: &PodInfo, node: &str, now: Instant) {
        if let Some(lost) = self.nominations.clear(&pod.uid).filter(|promised| **promised != *node) {
            self.pod_event(PodChange::Removed, pod, &lost, now);
        }
    }

    /// Lets those that wait know of a change of a pod on a node.
    pub(crate) fn pod_event(&mut self, change: PodChange, pod: &PodInfo, node: &str, now: Instant) {
        let node = self.cache.node_named(node);
        self.queue.on_event(&ClusterEvent::Pod { change, pod, node }, now);
    }
}

#[cfg(test)]
mod tests;
