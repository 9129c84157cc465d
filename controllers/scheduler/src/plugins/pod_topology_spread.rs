//! PodTopologySpread: pods of a kind are spread evenly over places, as far as a pod demands or wishes.
//!
//! In: the pod's constraints, and how many such pods each node has, which the cache keeps count of. Out: per place the
//! sum over its nodes; a node is then two look-ups.

use crate::cache::{Cache, Counts, NodeChange, NodeSet, NodeSlot, Topology};
use crate::cluster_event::{ClusterEvent, EventKind, OwnChange, PodChange};
use crate::framework::{Plugin, PreFilter, PreFiltered, PreScore, Score};
use crate::plugins::node_affinity;
use crate::pod_info::PodInfo;
use crate::pod_terms::{SpreadConstraint, Strictness};

mod filter;
mod score;

pub(super) struct PodTopologySpread;

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn events(&self) -> &'static [EventKind] {
        &[
            EventKind::NodeAdded,
            EventKind::NodeRemoved,
            EventKind::Node(NodeChange::Labels),
            EventKind::Node(NodeChange::Taints),
            EventKind::Pod(PodChange::Added),
            EventKind::Pod(PodChange::Removed),
            EventKind::Pod(PodChange::Labels),
            EventKind::Own(OwnChange::Labels),
            EventKind::Own(OwnChange::Tolerations),
        ]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        let Some(other) = event.pod() else { return true };
        let was_relabelled = event.kind() == EventKind::Pod(PodChange::Labels);
        hard(pod).any(|constraint| {
            let matcher = &constraint.question.all_of[0];
            matcher.may_match(other) || (was_relabelled && matcher.may_be_about(&other.key.namespace))
        })
    }
}

impl PreFilter for PodTopologySpread {
    fn prepare(&self, pod: &PodInfo, cache: &mut Cache) {
        for constraint in pod.spread() {
            cache.watch_topology(&constraint.topology_key);
            cache.watch_count(&constraint.question);
        }
    }

    fn pre_filter<'a>(&self, pod: &'a PodInfo, cache: &'a Cache) -> PreFiltered<'a> {
        match hard(pod).next() {
            None => PreFiltered::Skip,
            Some(_) => PreFiltered::Filter(Box::new(filter::Skew::of(pod, cache))),
        }
    }
}

impl PreScore for PodTopologySpread {
    fn pre_score<'a>(
        &self,
        pod: &'a PodInfo,
        cache: &'a Cache,
        feasible: &[NodeSlot],
    ) -> Option<Box<dyn Score + 'a>> {
        wishes(pod).next()?;
        Some(Box::new(score::Evenness::of(pod, cache, feasible)))
    }
}

fn hard(pod: &PodInfo) -> impl Iterator<Item = &SpreadConstraint> {
    pod.spread().iter().filter(|constraint| match constraint.strictness {
        Strictness::Hard => true,
        Strictness::Soft | Strictness::Default => false,
    })
}

fn wishes(pod: &PodInfo) -> impl Iterator<Item = &SpreadConstraint> {
    pod.spread().iter().filter(|constraint| match constraint.strictness {
        Strictness::Hard => false,
        Strictness::Soft | Strictness::Default => true,
    })
}

/// A constraint, and what the cache keeps for it.
#[derive(Clone, Copy)]
struct Kept<'a> {
    constraint: &'a SpreadConstraint,
    topology: &'a Topology,
    counts: &'a Counts,
}

impl<'a> Kept<'a> {
    fn of(constraint: &'a SpreadConstraint, cache: &'a Cache) -> Self {
        let topology = cache.topologies.get(&constraint.topology_key);
        let counts = cache.counts.get(&constraint.question);
        Self {
            constraint,
            topology: topology.expect("it was asked for when the pod's turn began"),
            counts: counts.expect("it was asked for when the pod's turn began"),
        }
    }
}

/// The nodes that count for a constraint.
struct Eligible {
    /// `None`: the pod's affinity excludes none.
    by_affinity: Option<NodeSet>,
    /// Taints that the pod does not tolerate.
    untolerated: Vec<bool>,
}

impl Eligible {
    fn of(pod: &PodInfo, cache: &Cache) -> Self {
        Self {
            by_affinity: node_affinity::allowed(pod, cache),
            untolerated: cache.taints.untolerated(pod.tolerations(), crate::cache::Effect::is_hard),
        }
    }

    /// The node itself is looked at only if its taints matter: there are many.
    fn includes(&self, slot: NodeSlot, constraint: &SpreadConstraint, cache: &Cache) -> bool {
        let by_affinity =
            !constraint.honors_affinity || self.by_affinity.as_ref().is_none_or(|set| set.contains(slot));
        let by_taints = !constraint.honors_taints
            || self.untolerated.is_empty()
            || cache.node(slot).taints.iter().all(|taint| !self.untolerated[taint.index()]);
        by_affinity && by_taints
    }
}

#[cfg(test)]
mod tests;
