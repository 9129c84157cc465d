//! NodeName: a pod that names its node goes there or nowhere.

use crate::cache::{Cache, NodeInfo};
use crate::cluster_event::{ClusterEvent, EventKind};
use crate::diagnosis::Reasons;
use crate::framework::{Filter, Obstacle, Plugin, PreFilter, PreFiltered, WhatIf};
use crate::pod_info::PodInfo;

const REASON: &str = "node(s) didn't match the requested node name";

pub(super) struct NodeName;

struct Named<'a>(&'a str);

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn events(&self) -> &'static [EventKind] {
        &[EventKind::NodeAdded]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        event.node().is_some_and(|node| wanted(pod) == Some(&*node.name))
    }
}

impl PreFilter for NodeName {
    fn pre_filter<'a>(&self, pod: &'a PodInfo, _: &'a Cache) -> PreFiltered<'a> {
        match wanted(pod) {
            None => PreFiltered::Skip,
            Some(name) => PreFiltered::Filter(Box::new(Named(name))),
        }
    }
}

fn wanted(pod: &PodInfo) -> Option<&str> {
    pod.spec()?.node_name.as_deref().filter(|name| !name.is_empty())
}

impl Filter for Named<'_> {
    fn filter(&self, node: &NodeInfo, _: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle> {
        if *node.name != *self.0 {
            reasons.say(REASON);
            return Err(Obstacle::Unresolvable);
        }
        Ok(())
    }
}
