//! NodeUnschedulable: nodes that are cordoned take no pods, but for those that tolerate just that.

use crate::cache::{Cache, NodeChange, NodeInfo, tolerate};
use crate::cluster_event::{ClusterEvent, EventKind, OwnChange};
use crate::diagnosis::Reasons;
use crate::framework::{Filter, Obstacle, Plugin, PreFilter, PreFiltered, WhatIf};
use crate::pod_info::PodInfo;

const REASON: &str = "node(s) were unschedulable";

/// The taint that cordoned nodes are taken to have.
const TAINT: &str = "node.kubernetes.io/unschedulable";

pub(super) struct NodeUnschedulable;

struct Cordon;

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn events(&self) -> &'static [EventKind] {
        &[EventKind::NodeAdded, EventKind::Node(NodeChange::Taints), EventKind::Own(OwnChange::Tolerations)]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        event.node().map_or_else(|| tolerates(pod), |node| !node.unschedulable)
    }
}

impl PreFilter for NodeUnschedulable {
    fn pre_filter<'a>(&self, pod: &'a PodInfo, _: &'a Cache) -> PreFiltered<'a> {
        match tolerates(pod) {
            true => PreFiltered::Skip,
            false => PreFiltered::Filter(Box::new(Cordon)),
        }
    }
}

fn tolerates(pod: &PodInfo) -> bool {
    tolerate(pod.tolerations(), TAINT, "", "NoSchedule")
}

impl Filter for Cordon {
    fn filter(&self, node: &NodeInfo, _: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle> {
        if node.unschedulable {
            reasons.say(REASON);
            return Err(Obstacle::Unresolvable);
        }
        Ok(())
    }
}
