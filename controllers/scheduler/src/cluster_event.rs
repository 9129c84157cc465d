//! What happens in the cluster that may make room for a pod that found none.
//!
//! In: changes that were taken into the cache. Out: events that plugins are asked about. Deliberately absent: changes
//! that can only take room away.

use k8s_openapi::api::core::v1::Node;
use keelson_controller_runtime::ObjectKey;

use crate::cache::{NodeChange, NodeInfo};
use crate::pod_info::PodInfo;

/// What happened.
#[derive(Clone, Copy)]
pub(crate) enum ClusterEvent<'a> {
    NodeAdded(&'a NodeInfo),
    /// One property of a node changed.
    NodeChanged {
        change: NodeChange,
        before: &'a Node,
        now: &'a NodeInfo,
    },
    NodeRemoved,
    /// Something happened to a pod on a node. Of a pod that was only promised room there, that is gone.
    Pod {
        change: PodChange,
        pod: &'a PodInfo,
        /// As it is now, if it is known.
        node: Option<&'a NodeInfo>,
    },
    /// The namespaces, or their labels, are others.
    Namespaces,
    /// This PersistentVolumeClaim is there now, or has changed.
    Claim(&'a ObjectKey),
    /// The waiting pod itself was changed.
    Own(OwnChange),
}

/// What happened to a pod on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PodChange {
    Added,
    Removed,
    /// It asks for less than it did.
    ScaledDown,
    /// It has other labels.
    Labels,
}

/// What changed in a waiting pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnChange {
    GatesEliminated,
    Labels,
    Tolerations,
    /// It asks for less.
    ScaledDown,
}

/// The kinds of events, by which plugins say what they listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    NodeAdded,
    Node(NodeChange),
    NodeRemoved,
    Pod(PodChange),
    Namespaces,
    Claim,
    Own(OwnChange),
}

impl ClusterEvent<'_> {
    pub(crate) fn kind(&self) -> EventKind {
        match self {
            Self::NodeAdded(_) => EventKind::NodeAdded,
            Self::NodeChanged { change, .. } => EventKind::Node(*change),
            Self::NodeRemoved => EventKind::NodeRemoved,
            Self::Pod { change, .. } => EventKind::Pod(*change),
            Self::Namespaces => EventKind::Namespaces,
            Self::Claim(_) => EventKind::Claim,
            Self::Own(change) => EventKind::Own(*change),
        }
    }

    /// The node that it is about, as it is now.
    pub(crate) fn node(&self) -> Option<&NodeInfo> {
        match self {
            Self::NodeAdded(node) | Self::NodeChanged { now: node, .. } => Some(node),
            Self::Pod { node, .. } => *node,
            Self::NodeRemoved | Self::Namespaces | Self::Claim(_) | Self::Own(_) => None,
        }
    }

    /// The node that it is about, as it was.
    pub(crate) fn node_before(&self) -> Option<&Node> {
        match self {
            Self::NodeChanged { before, .. } => Some(before),
            Self::NodeAdded(_)
            | Self::NodeRemoved
            | Self::Pod { .. }
            | Self::Namespaces
            | Self::Claim(_)
            | Self::Own(_) => None,
        }
    }

    /// The pod on a node that it is about.
    pub(crate) fn pod(&self) -> Option<&PodInfo> {
        match self {
            Self::Pod { pod, .. } => Some(pod),
            Self::NodeAdded(_)
            | Self::NodeChanged { .. }
            | Self::NodeRemoved
            | Self::Namespaces
            | Self::Claim(_)
            | Self::Own(_) => None,
        }
    }

    /// The claim that it is about.
    pub(crate) fn claim(&self) -> Option<&ObjectKey> {
        match self {
            Self::Claim(key) => Some(key),
            Self::NodeAdded(_)
            | Self::NodeChanged { .. }
            | Self::NodeRemoved
            | Self::Pod { .. }
            | Self::Namespaces
            | Self::Own(_) => None,
        }
    }
}

/// What a newer version of a waiting pod changed.
pub(crate) fn own_changes(old: &PodInfo, new: &PodInfo) -> Vec<OwnChange> {
    let gates = |pod: &PodInfo| {
        pod.spec().and_then(|spec| spec.scheduling_gates.as_ref()).map(Vec::len).unwrap_or_default()
    };
    let mut changes = Vec::new();
    if gates(old) > 0 && gates(new) == 0 {
        changes.push(OwnChange::GatesEliminated);
    }
    if old.labels() != new.labels() {
        changes.push(OwnChange::Labels);
    }
    if old.tolerations() != new.tolerations() {
        changes.push(OwnChange::Tolerations);
    }
    if asks_for_less(old, new) {
        changes.push(OwnChange::ScaledDown);
    }
    changes
}

/// Whether the newer version asks for less of anything.
pub(crate) fn asks_for_less(old: &PodInfo, new: &PodInfo) -> bool {
    let (old, new) = (&old.requests, &new.requests);
    new.milli_cpu < old.milli_cpu
        || new.memory < old.memory
        || new.ephemeral_storage < old.ephemeral_storage
        || old.scalars.iter().any(|(name, amount)| new.scalar(name) < *amount)
}
