//! A node, read once, with all that is taken of it.
//!
//! In: a node as the API has it, and the pods on it. Out: numbers to compare with. A copy with other pods on it answers
//! what would be if.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::slots::NodeSlot;
use super::taints::TaintId;
use crate::host_ports::HostPort;
use crate::pod_info::{PodInfo, Uid};
use crate::resources::{ComputeResources, Resources, Unreadable};

/// What plugins see of a node.
#[derive(Clone, Debug)]
pub(crate) struct NodeInfo {
    pub(crate) slot: NodeSlot,
    pub(crate) unschedulable: bool,
    pub(crate) allowed_pods: i64,
    pub(crate) allocatable: Resources,
    pub(crate) requested: Resources,
    /// What scoring takes the pods to use.
    pub(crate) scoring_requested: ComputeResources,
    pub(crate) taints: Vec<TaintId>,
    pub(crate) pods: Vec<Arc<PodInfo>>,
    /// What the pods have taken of the node's own ports.
    pub(crate) host_ports: Vec<HostPort>,
    pub(crate) name: Arc<str>,
    pub(crate) node: Arc<Node>,
}

impl NodeInfo {
    pub(super) fn new(slot: NodeSlot, node: Arc<Node>, taints: Vec<TaintId>) -> Self {
        let name = node.metadata.name.as_deref().unwrap_or_default().into();
        let mut info = Self {
            slot,
            unschedulable: false,
            allowed_pods: 0,
            allocatable: Resources::default(),
            requested: Resources::default(),
            scoring_requested: ComputeResources::default(),
            taints: Vec::new(),
            pods: Vec::new(),
            host_ports: Vec::new(),
            name,
            node: Arc::clone(&node),
        };
        info.renew(node, taints);
        info
    }

    /// Takes in a newer version of the node. The pods stay.
    pub(super) fn renew(&mut self, node: Arc<Node>, taints: Vec<TaintId>) {
        let list = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        let amounts = list.into_iter().flatten().map(|(name, amount)| (name.as_str(), amount));
        self.allocatable = Resources::of(amounts, Unreadable::Nothing);
        let pods = list.and_then(|list| list.get("pods"));
        self.allowed_pods = pods.and_then(|pods| crate::quantity::units(&pods.0)).unwrap_or_default();
        self.unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or_default();
        self.taints = taints;
        self.node = node;
    }

    pub(crate) fn add_pod(&mut self, pod: Arc<PodInfo>) {
        self.requested.add(&pod.requests);
        self.scoring_requested.add(pod.scoring_requests);
        self.host_ports.extend_from_slice(&pod.host_ports);
        self.pods.push(pod);
    }

    /// Takes the pod away and returns it, if it is there.
    pub(crate) fn remove_pod(&mut self, uid: &Uid) -> Option<Arc<PodInfo>> {
        let at = self.pods.iter().position(|pod| pod.uid == *uid)?;
        let pod = self.pods.swap_remove(at);
        if self.requested.is_saturated() {
            // A sum that hit the end of the range does not say what it is without one of its parts.
            self.requested = Resources::default();
            self.pods.iter().for_each(|pod| self.requested.add(&pod.requests));
        } else {
            self.requested.subtract(&pod.requests);
        }
        self.scoring_requested.subtract(pod.scoring_requests);
        for taken in &pod.host_ports {
            if let Some(at) = self.host_ports.iter().position(|port| port == taken) {
                self.host_ports.swap_remove(at);
            }
        }
        Some(pod)
    }

    pub(crate) fn pod_count(&self) -> i64 {
        i64::try_from(self.pods.len()).unwrap_or(i64::MAX)
    }
}
