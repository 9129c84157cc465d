//! NodeUnschedulable: nodes that are cordoned take no pods, but for those that tolerate just that.

use crate::cache::{Cache, NodeInfo, tolerate};
use crate::cluster_event::{ClusterEvent, EventKind};
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
        &[EventKind::NodeAdded, EventKind::NodeTaints, EventKind::OwnTolerations]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        match event {
            ClusterEvent::NodeAdded(node) | ClusterEvent::NodeChanged { now: node, .. } => !node.unschedulable,
            ClusterEvent::Own(_) => tolerates(pod),
            ClusterEvent::PodRemoved(_) | ClusterEvent::PodScaledDown => false,
        }
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
