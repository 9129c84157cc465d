//! What the scheduler knows of the cluster: nodes, and which pods are on them or about to be.
//!
//! In: nodes and bound pods as the informers tell of them, and the scheduler's own decisions. Out: what a cycle looks at.
//!
//! ```text
//!             assume                    place (the informer saw the binding)
//!  (unknown) ────────► Assumed ───────────────────────────────► Bound ◄──────── place ──────── (unknown)
//!      ▲                  │ forget (binding failed)                │
//!      └──────────────────┴──────────── remove ◄───────────────────┘
//! ```
//!
//! - A pod is counted on exactly one node from the moment it is assumed until it is forgotten or removed.
//! - An assumed pod never expires: its binding task ends it, or the informer does.
//! - A pod that is bound is never forgotten: a late failure of a binding that the informer has seen means nothing.
//!
//! Everything here belongs to the one task that also runs the cycles, so a cycle reads it in place: there is no
//! snapshot to refresh, and nothing changes while a pod is compared with nodes. Indexes are kept up to date change by
//! change, so that no cycle looks at all pods: which nodes have a label, a taint, an image; which are in one place; how
//! many pods of a kind are where; what pods say of others. Nodes keep their [slot](NodeSlot) while they are known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerImage, Node, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::pod_info::{PodInfo, Uid};
use crate::pod_matcher::NamespaceLabels;

mod by_namespace;
mod claims;
mod images;
mod labels;
mod node_info;
mod order;
mod pod_counts;
mod slots;
mod taints;
mod terms_held;
mod topology;

pub(crate) use claims::{Claim, Claims};
pub(crate) use images::{Image, ImageIndex};
pub(crate) use labels::{LabelIndex, Labels, Operator};
pub(crate) use node_info::NodeInfo;
pub(crate) use pod_counts::{Among, Counts, PodCounts, Question};
pub(crate) use slots::{NodeSet, NodeSlot};
pub(crate) use taints::{Effect, TaintTable, tolerate};
pub(crate) use terms_held::{Role, TermsHeld, held_by};
pub(crate) use topology::{Topologies, Topology};

use order::Zone;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    nodes: Vec<Option<NodeInfo>>,
    free: Vec<NodeSlot>,
    slots: HashMap<Arc<str>, NodeSlot>,
    order: Order,
    pods: HashMap<Uid, Placed>,
    /// The same pods by namespace.
    namespaced: HashMap<String, HashSet<Uid>>,
    /// Pods on nodes that are not known, or not any more.
    strays: HashMap<Arc<str>, Vec<Arc<PodInfo>>>,
    pub(crate) labels: LabelIndex,
    pub(crate) taints: TaintTable,
    pub(crate) images: ImageIndex,
    pub(crate) topologies: Topologies,
    pub(crate) counts: PodCounts,
    pub(crate) terms: TermsHeld,
    pub(crate) namespaces: NamespaceLabels,
    pub(crate) claims: Claims,
    /// Counts the pods that have asked for something to be kept.
    turn: u64,
}

/// In which order nodes are tried.
#[derive(Debug, Default)]
enum Order {
    /// A node came, went or moved.
    #[default]
    Outdated,
    Of(Vec<NodeSlot>),
}

/// A pod that is counted on a node.
#[derive(Debug)]
struct Placed {
    info: Arc<PodInfo>,
    node: Arc<str>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The scheduler has decided; the API has not heard or not answered yet.
    Assumed {
        /// The pod as the informer saw it last, still without a node.
        latest: Arc<PodInfo>,
    },
    /// The API says so.
    Bound,
}

/// What a node's newer version changed that pods may have waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeChange {
    Allocatable,
    Labels,
    /// Taints, or whether it is schedulable at all.
    Taints,
}

/// What a pod's newer version changed on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It was not counted before.
    New,
    /// The scheduler had assumed so.
    Confirmed,
    /// It was known; this is a newer version.
    Renewed,
}

impl Cache {
    /// A node that came, or a newer version of one. Says what changed; nothing, and all, of a new one.
    pub(crate) fn set_node(&mut self, node: Arc<Node>) -> Vec<NodeChange> {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        match self.slots.get(name) {
            Some(slot) => self.renew_node(*slot, node),
            None => {
                self.add_node(node);
                Vec::new()
            }
        }
    }

    fn add_node(&mut self, node: Arc<Node>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            NodeSlot::new(self.nodes.len() - 1)
        });
        let taints = self.taints.acquire(taints_of(&node));
        self.labels.add(slot, node.metadata.labels.as_ref());
        self.topologies.add(slot, node.metadata.labels.as_ref());
        self.images.add(slot, images_of(&node));
        let mut info = NodeInfo::new(slot, node, taints);
        for pod in self.strays.remove(&info.name).unwrap_or_default() {
            self.index(&pod, slot);
            info.add_pod(pod);
        }
        self.slots.insert(Arc::clone(&info.name), slot);
        self.nodes[slot.index()] = Some(info);
        self.order = Order::Outdated;
    }

    fn renew_node(&mut self, slot: NodeSlot, node: Arc<Node>) -> Vec<NodeChange> {
        let Some(info) = &mut self.nodes[slot.index()] else { return Vec::new() };
        let before = Arc::clone(&info.node);
        let mut changes = Vec::new();
        if allocatable_of(&before) != allocatable_of(&node) {
            changes.push(NodeChange::Allocatable);
        }
        let (old, new) = (before.metadata.labels.as_ref(), node.metadata.labels.as_ref());
        if old != new {
            changes.push(NodeChange::Labels);
            self.labels.remove(slot, old);
            self.labels.add(slot, new);
            self.topologies.remove(slot, old);
            self.topologies.add(slot, new);
            if Zone::of(old) != Zone::of(new) {
                self.order = Order::Outdated;
            }
        }
        if images_of(&before) != images_of(&node) {
            self.images.remove(slot, images_of(&before));
            self.images.add(slot, images_of(&node));
        }
        let was_unschedulable = info.unschedulable;
        let taints = self.taints.acquire(taints_of(&node));
        self.taints.release(&info.taints);
        let same_taints = info.taints == taints;
        info.renew(node, taints);
        if !same_taints || was_unschedulable != info.unschedulable {
            changes.push(NodeChange::Taints);
        }
        changes
    }

    /// Forgets a node. Its pods stay known: they are on it until they are gone themselves.
    pub(crate) fn remove_node(&mut self, name: &str) -> Option<NodeInfo> {
        let slot = self.slots.remove(name)?;
        let mut info = self.nodes[slot.index()].take()?;
        self.free.push(slot);
        self.order = Order::Outdated;
        self.taints.release(&info.taints);
        self.labels.remove(slot, info.node.metadata.labels.as_ref());
        self.topologies.remove(slot, info.node.metadata.labels.as_ref());
        self.images.remove(slot, images_of(&info.node));
        let pods = std::mem::take(&mut info.pods);
        pods.iter().for_each(|pod| self.unindex(pod, slot));
        if !pods.is_empty() {
            self.strays.insert(Arc::clone(&info.name), pods);
        }
        Some(info)
    }

    /// Brings the order of nodes up to date. To be called before a cycle.
    pub(crate) fn refresh(&mut self) {
        if let Order::Outdated = self.order {
            let nodes = self.nodes.iter().flatten();
            let zones = nodes.map(|info| (info.slot, Zone::of(info.node.metadata.labels.as_ref())));
            self.order = Order::Of(order::interleave(zones));
        }
    }

    /// All nodes, in the order in which they are tried; as of the last [refresh](Self::refresh).
    pub(crate) fn order(&self) -> &[NodeSlot] {
        match &self.order {
            Order::Outdated => &[],
            Order::Of(order) => order,
        }
    }

    /// How many slots there are, free ones included.
    pub(crate) fn slots(&self) -> usize {
        self.nodes.len()
    }

    /// The node of a slot that came from here since the last change.
    pub(crate) fn node(&self, slot: NodeSlot) -> &NodeInfo {
        self.nodes[slot.index()].as_ref().expect("slots of nodes are not kept across changes")
    }

    pub(crate) fn node_named(&self, name: &str) -> Option<&NodeInfo> {
        self.nodes[self.slots.get(name)?.index()].as_ref()
    }

    /// Counts the pod on the node before the API knows. It must not be counted already.
    pub(crate) fn assume(&mut self, info: &Arc<PodInfo>, node: &Arc<str>) {
        let stage = Stage::Assumed { latest: Arc::clone(info) };
        self.put(Placed { info: Arc::clone(info), node: Arc::clone(node), stage });
    }

    /// Takes an assumption back. Returns the pod as it was seen last, unless it is gone or bound meanwhile.
    pub(crate) fn forget(&mut self, uid: &Uid) -> Option<Arc<PodInfo>> {
        let Stage::Assumed { .. } = self.pods.get(uid)?.stage else { return None };
        match self.take(uid)?.stage {
            Stage::Assumed { latest } => Some(latest),
            Stage::Bound => None,
        }
    }

    /// Whether the pod is assumed and not bound; `latest` is then what it is as of now.
    pub(crate) fn renew_assumed(&mut self, latest: &Arc<PodInfo>) -> bool {
        match self.pods.get_mut(&latest.uid).map(|placed| &mut placed.stage) {
            Some(Stage::Assumed { latest: known }) => {
                *known = Arc::clone(latest);
                true
            }
            Some(Stage::Bound) | None => false,
        }
    }

    /// Counts a pod where the API says that it is, and nowhere else.
    pub(crate) fn place(&mut self, info: Arc<PodInfo>, node: &str) -> Settled {
        let before = self.take(&info.uid);
        let settled = match before.as_ref().map(|placed| &placed.stage) {
            None => Settled::New,
            Some(Stage::Assumed { .. }) => Settled::Confirmed,
            Some(Stage::Bound) => Settled::Renewed,
        };
        let known = before.map(|placed| placed.node).filter(|known| **known == *node);
        let node = known.unwrap_or_else(|| node.into());
        self.put(Placed { info, node, stage: Stage::Bound });
        settled
    }

    /// Forgets a pod that is gone or has ended. Returns it with its node's name.
    pub(crate) fn remove(&mut self, uid: &Uid) -> Option<(Arc<PodInfo>, Arc<str>)> {
        self.take(uid).map(|placed| (placed.info, placed.node))
    }

    /// The pod, and the name of the node that it is counted on.
    pub(crate) fn placement(&self, uid: &Uid) -> Option<(&Arc<PodInfo>, &Arc<str>)> {
        self.pods.get(uid).map(|placed| (&placed.info, &placed.node))
    }

    /// A namespace that came or has other labels, or is gone. Says whether that is news.
    pub(crate) fn set_namespace(&mut self, name: &str, labels: Option<&Labels>) -> bool {
        let before = match labels {
            Some(labels) => self.namespaces.insert(name.to_owned(), labels.clone()),
            None => self.namespaces.remove(name),
        };
        let is_news = before.as_ref() != labels;
        if is_news {
            self.counts.forget_selecting();
        }
        is_news
    }

    /// Another pod begins to ask for things to be kept.
    pub(crate) fn begin_turn(&mut self) {
        self.turn += 1;
    }

    /// Keeps the places of a topology key, at least for this turn.
    pub(crate) fn watch_topology(&mut self, key: &str) {
        let nodes = self.nodes.iter().flatten();
        let labels = nodes.map(|node| (node.slot, node.node.metadata.labels.as_ref()));
        self.topologies.watch(key, self.turn, labels);
    }

    /// Keeps the answer to a question, at least for this turn.
    pub(crate) fn watch_count(&mut self, question: &Question) {
        let namespaces = &question.all_of[0].namespaces;
        let names: HashSet<&String> = match namespaces.selected {
            Some(_) => self.namespaced.keys().collect(),
            None => namespaces.names.iter().collect(),
        };
        let uids = names.into_iter().filter_map(|name| self.namespaced.get(name)).flatten();
        let pods = uids.filter_map(|uid| {
            let placed = self.pods.get(uid)?;
            Some((*self.slots.get(&placed.node)?, &*placed.info))
        });
        self.counts.watch(question, self.turn, &self.namespaces, pods);
    }

    fn put(&mut self, placed: Placed) {
        let info = Arc::clone(&placed.info);
        match self.slots.get(&placed.node) {
            Some(slot) => {
                let slot = *slot;
                self.index(&info, slot);
                if let Some(node) = &mut self.nodes[slot.index()] {
                    node.add_pod(info);
                }
            }
            None => self.strays.entry(Arc::clone(&placed.node)).or_default().push(info),
        }
        let (uid, namespace) = (placed.info.uid.clone(), &placed.info.key.namespace);
        match self.namespaced.get_mut(namespace) {
            Some(pods) => {
                pods.insert(uid.clone());
            }
            None => {
                self.namespaced.insert(namespace.clone(), HashSet::from([uid.clone()]));
            }
        }
        let before = self.pods.insert(uid, placed);
        debug_assert!(before.is_none(), "a pod is counted once: {before:?}");
    }

    fn take(&mut self, uid: &Uid) -> Option<Placed> {
        let placed = self.pods.remove(uid)?;
        if let Some(pods) = self.namespaced.get_mut(&placed.info.key.namespace) {
            pods.remove(uid);
            if pods.is_empty() {
                self.namespaced.remove(&placed.info.key.namespace);
            }
        }
        match self.slots.get(&placed.node) {
            Some(slot) => {
                let slot = *slot;
                self.unindex(&placed.info, slot);
                if let Some(node) = &mut self.nodes[slot.index()] {
                    node.remove_pod(uid);
                }
            }
            None => self.take_stray(uid, &placed.node),
        }
        Some(placed)
    }

    fn index(&mut self, pod: &PodInfo, slot: NodeSlot) {
        self.counts.add(pod, slot, &self.namespaces);
        self.terms.add(pod, slot);
    }

    fn unindex(&mut self, pod: &PodInfo, slot: NodeSlot) {
        self.counts.remove(pod, slot, &self.namespaces);
        self.terms.remove(pod, slot);
    }

    fn take_stray(&mut self, uid: &Uid, node: &Arc<str>) {
        if let Some(pods) = self.strays.get_mut(node) {
            pods.retain(|pod| pod.uid != *uid);
            if pods.is_empty() {
                self.strays.remove(node);
            }
        }
    }
}

fn allocatable_of(node: &Node) -> Option<&BTreeMap<String, Quantity>> {
    node.status.as_ref()?.allocatable.as_ref()
}

fn taints_of(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

fn images_of(node: &Node) -> &[ContainerImage] {
    node.status.as_ref().and_then(|status| status.images.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
