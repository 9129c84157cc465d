//! What happens in the cluster that may make room for a pod that found none.
//!
//! In: changes that were taken into the cache. Out: events that plugins are asked about. Deliberately absent: changes
//! that only take room away.

use k8s_openapi::api::core::v1::Node;

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
    /// A pod that was on a node is gone from there.
    PodRemoved(&'a PodInfo),
    /// A pod on a node asks for less than it did.
    PodScaledDown,
    /// The waiting pod itself was changed.
    Own(OwnChange),
}

/// What changed in a waiting pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnChange {
    GatesEliminated,
    Tolerations,
    /// It asks for less.
    ScaledDown,
}

/// The kinds of events, by which plugins say what they listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    NodeAdded,
    NodeAllocatable,
    NodeLabels,
    NodeTaints,
    PodRemoved,
    PodScaledDown,
    OwnGatesEliminated,
    OwnTolerations,
    OwnScaledDown,
}

impl ClusterEvent<'_> {
    pub(crate) fn kind(&self) -> EventKind {
        match self {
            Self::NodeAdded(_) => EventKind::NodeAdded,
            Self::NodeChanged { change: NodeChange::Allocatable, .. } => EventKind::NodeAllocatable,
            Self::NodeChanged { change: NodeChange::Labels, .. } => EventKind::NodeLabels,
            Self::NodeChanged { change: NodeChange::Taints, .. } => EventKind::NodeTaints,
            Self::PodRemoved(_) => EventKind::PodRemoved,
            Self::PodScaledDown => EventKind::PodScaledDown,
            Self::Own(OwnChange::GatesEliminated) => EventKind::OwnGatesEliminated,
            Self::Own(OwnChange::Tolerations) => EventKind::OwnTolerations,
            Self::Own(OwnChange::ScaledDown) => EventKind::OwnScaledDown,
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
