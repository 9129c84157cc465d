//! NodePorts: two pods cannot have the same port of a node.

use crate::cache::{Cache, NodeInfo};
use crate::cluster_event::{ClusterEvent, EventKind, PodChange};
use crate::diagnosis::Reasons;
use crate::framework::{Filter, Obstacle, Plugin, PreFilter, PreFiltered, WhatIf};
use crate::host_ports::HostPort;
use crate::pod_info::PodInfo;

const REASON: &str = "node(s) didn't have free ports for the requested pod ports";

pub(super) struct NodePorts;

struct Wanted<'a>(&'a [HostPort]);

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn events(&self) -> &'static [EventKind] {
        &[EventKind::NodeAdded, EventKind::Pod(PodChange::Removed)]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        event.pod().is_none_or(|gone| meet(&pod.host_ports, &gone.host_ports))
    }
}

impl PreFilter for NodePorts {
    fn pre_filter<'a>(&self, pod: &'a PodInfo, _: &'a Cache) -> PreFiltered<'a> {
        match pod.host_ports.as_slice() {
            [] => PreFiltered::Skip,
            ports => PreFiltered::Filter(Box::new(Wanted(ports))),
        }
    }
}

impl Filter for Wanted<'_> {
    fn filter(&self, node: &NodeInfo, _: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle> {
        if meet(self.0, &node.host_ports) {
            reasons.say(REASON);
            return Err(Obstacle::Unschedulable);
        }
        Ok(())
    }
}

fn meet(wanted: &[HostPort], taken: &[HostPort]) -> bool {
    wanted.iter().any(|port| taken.iter().any(|taken| port.meets(taken)))
}
