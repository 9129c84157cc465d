//! NodeResourcesFit: a node has to have what the pod asks for, and the emptier one is better (`LeastAllocated`).

use std::sync::Arc;

use crate::cache::{Cache, NodeChange, NodeInfo, NodeSlot};
use crate::cluster_event::{ClusterEvent, EventKind, OwnChange, PodChange};
use crate::diagnosis::{Reason, Reasons};
use crate::framework::{
    Filter, MAX_NODE_SCORE, Obstacle, Plugin, PreFilter, PreFiltered, PreScore, Score, WhatIf,
};
use crate::pod_info::{PodInfo, Priority};
use crate::resources::{ComputeResources, Resources};

const TOO_MANY_PODS: &str = "Too many pods";
const CPU: &str = "Insufficient cpu";
const MEMORY: &str = "Insufficient memory";
const EPHEMERAL_STORAGE: &str = "Insufficient ephemeral-storage";

pub(super) struct NodeResourcesFit;

struct Fit<'a> {
    requests: &'a Resources,
    /// Only the number of pods counts.
    asks_for_nothing: bool,
}

struct LeastAllocated(ComputeResources);

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn events(&self) -> &'static [EventKind] {
        &[
            EventKind::NodeAdded,
            EventKind::Node(NodeChange::Allocatable),
            EventKind::Pod(PodChange::Removed),
            EventKind::Pod(PodChange::ScaledDown),
            EventKind::Own(OwnChange::ScaledDown),
        ]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        event.node().is_none_or(|node| Fit::of(pod).may_come_to_fit(node, pod.priority))
    }
}

impl PreFilter for NodeResourcesFit {
    fn pre_filter<'a>(&self, pod: &'a PodInfo, _: &'a Cache) -> PreFiltered<'a> {
        PreFiltered::Filter(Box::new(Fit::of(pod)))
    }
}

impl Filter for Fit<'_> {
    fn filter(&self, node: &NodeInfo, _: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle> {
        self.compare(node, &node.requested, node.pod_count(), reasons)
    }
}

impl<'a> Fit<'a> {
    fn of(pod: &'a PodInfo) -> Self {
        Self { requests: &pod.requests, asks_for_nothing: pod.requests.is_zero() }
    }

    /// Whether there is room, or will be when those pods have made it that matter less.
    fn may_come_to_fit(&self, node: &NodeInfo, priority: Priority) -> bool {
        let (mut taken, mut count) = (Resources::default(), 0);
        for pod in node.pods.iter().filter(|pod| pod.priority >= priority) {
            taken.add(&pod.requests);
            count += 1;
        }
        self.compare(node, &taken, count, &mut Reasons::default()).is_ok()
    }

    fn compare(
        &self,
        node: &NodeInfo,
        taken: &Resources,
        pods: i64,
        reasons: &mut Reasons,
    ) -> Result<(), Obstacle> {
        let mut tally = Tally { obstacle: None, reasons };
        if pods >= node.allowed_pods {
            tally.add(Reason::Said(TOO_MANY_PODS), Obstacle::Unschedulable);
        }
        if !self.asks_for_nothing {
            let (wanted, room) = (self.requests, &node.allocatable);
            let said = |reason| move || Reason::Said(reason);
            tally.compare(wanted.milli_cpu, taken.milli_cpu, room.milli_cpu, said(CPU));
            tally.compare(wanted.memory, taken.memory, room.memory, said(MEMORY));
            let (wanted_disk, taken_disk) = (wanted.ephemeral_storage, taken.ephemeral_storage);
            tally.compare(wanted_disk, taken_disk, room.ephemeral_storage, said(EPHEMERAL_STORAGE));
            for (name, wanted) in &wanted.scalars {
                let reason = || Reason::Insufficient(Arc::clone(name));
                tally.compare(*wanted, taken.scalar(name), room.scalar(name), reason);
            }
        }
        tally.obstacle.map_or(Ok(()), Err)
    }
}

/// All that a node is short of.
struct Tally<'a> {
    obstacle: Option<Obstacle>,
    reasons: &'a mut Reasons,
}

impl Tally<'_> {
    fn compare(&mut self, wanted: i64, taken: i64, room: i64, reason: impl FnOnce() -> Reason) {
        if wanted <= 0 || wanted <= room.saturating_sub(taken) {
            return;
        }
        // What the whole node does not have is not had by removing pods.
        let obstacle = if wanted > room { Obstacle::Unresolvable } else { Obstacle::Unschedulable };
        self.add(reason(), obstacle);
    }

    fn add(&mut self, reason: Reason, obstacle: Obstacle) {
        self.reasons.add(reason);
        if self.obstacle != Some(Obstacle::Unresolvable) {
            self.obstacle = Some(obstacle);
        }
    }
}

impl PreScore for NodeResourcesFit {
    fn pre_score<'a>(&self, pod: &'a PodInfo, _: &'a Cache, _: &[NodeSlot]) -> Option<Box<dyn Score + 'a>> {
        Some(Box::new(LeastAllocated(pod.scoring_requests)))
    }
}

impl Score for LeastAllocated {
    fn score(&self, node: &NodeInfo) -> i64 {
        let (room, taken) = (&node.allocatable, &node.scoring_requested);
        let free = |wanted: i64, taken: i64, room: i64| {
            let left = room.saturating_sub(taken).saturating_sub(wanted).max(0);
            (room > 0).then(|| share(left, room))
        };
        let cpu = free(self.0.milli_cpu, taken.milli_cpu, room.milli_cpu);
        let memory = free(self.0.memory, taken.memory, room.memory);
        match (cpu, memory) {
            (Some(cpu), Some(memory)) => (cpu + memory) / 2,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 0,
        }
    }
}

/// `part` of `whole` on the scale of scores.
fn share(part: i64, whole: i64) -> i64 {
    match part.checked_mul(MAX_NODE_SCORE) {
        Some(product) => product / whole,
        None => part / (whole / MAX_NODE_SCORE),
    }
}
