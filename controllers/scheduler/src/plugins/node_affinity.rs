//! NodeAffinity: a pod goes where its node selector and its required affinity allow, and rather where it prefers.
//!
//! In: a pod's terms. Out: the set of nodes that each allows, from the index of labels; a node is then one bit.

use k8s_openapi::api::core::v1::{
    Node, NodeAffinity as Terms, NodeSelectorRequirement, NodeSelectorTerm, PreferredSchedulingTerm,
};

use crate::cache::{Cache, NodeChange, NodeInfo, NodeSet, NodeSlot, Operator};
use crate::cluster_event::{ClusterEvent, EventKind};
use crate::diagnosis::{Reason, Reasons};
use crate::framework::{Filter, Obstacle, Plugin, PreFilter, PreFiltered, PreScore, Score, WhatIf};
use crate::plugins::normalize::{Better, normalize};
use crate::pod_info::PodInfo;

const REASON: &str = "node(s) didn't match Pod's node affinity/selector";

/// No name is in all that one term asks for.
const CONFLICT: &str = "pod affinity terms conflict";

/// The one field that terms can ask for.
const NAME_FIELD: &str = "metadata.name";

pub(super) struct NodeAffinity;

/// The nodes that the pod may go to.
struct Allowed(NodeSet);

/// How much the pod prefers which nodes.
struct Preferred(Vec<(i64, NodeSet)>);

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn events(&self) -> &'static [EventKind] {
        &[EventKind::NodeAdded, EventKind::Node(NodeChange::Labels)]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        let now = event.node().is_some_and(|node| allows(pod, &node.node));
        now && event.node_before().is_none_or(|node| !allows(pod, node))
    }
}

impl PreFilter for NodeAffinity {
    fn pre_filter<'a>(&self, pod: &'a PodInfo, cache: &'a Cache) -> PreFiltered<'a> {
        let Some(allowed) = allowed(pod, cache) else { return PreFiltered::Skip };
        let filter = Box::new(Allowed(allowed));
        match required(pod).and_then(named) {
            None => PreFiltered::Filter(filter),
            Some(names) if names.is_empty() => PreFiltered::Reject(Reason::Said(CONFLICT)),
            Some(names) => {
                let nodes = names.into_iter().filter_map(|name| cache.node_named(name));
                PreFiltered::FilterOf(nodes.map(|node| node.slot).collect(), filter)
            }
        }
    }
}

impl PreScore for NodeAffinity {
    fn pre_score<'a>(
        &self,
        pod: &'a PodInfo,
        cache: &'a Cache,
        _: &[NodeSlot],
    ) -> Option<Box<dyn Score + 'a>> {
        let terms = preferred(pod).iter();
        let terms = terms.filter(|term| term.weight != 0 && !is_empty(&term.preference));
        let sets: Vec<_> =
            terms.map(|term| (i64::from(term.weight), meeting(&term.preference, cache))).collect();
        (!sets.is_empty()).then(|| Box::new(Preferred(sets)) as Box<dyn Score>)
    }
}

impl Filter for Allowed {
    fn filter(&self, node: &NodeInfo, _: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle> {
        if !self.0.contains(node.slot) {
            reasons.say(REASON);
            return Err(Obstacle::Unresolvable);
        }
        Ok(())
    }
}

impl Score for Preferred {
    fn score(&self, node: &NodeInfo) -> i64 {
        self.0.iter().filter(|(_, set)| set.contains(node.slot)).map(|(weight, _)| weight).sum()
    }

    fn normalize(&self, scores: &mut [i64]) {
        normalize(scores, Better::More);
    }
}

fn terms(pod: &PodInfo) -> Option<&Terms> {
    pod.spec()?.affinity.as_ref()?.node_affinity.as_ref()
}

fn selector(pod: &PodInfo) -> Option<&crate::cache::Labels> {
    pod.spec()?.node_selector.as_ref().filter(|labels| !labels.is_empty())
}

fn required(pod: &PodInfo) -> Option<&[NodeSelectorTerm]> {
    let selector = terms(pod)?.required_during_scheduling_ignored_during_execution.as_ref()?;
    Some(&selector.node_selector_terms)
}

fn preferred(pod: &PodInfo) -> &[PreferredSchedulingTerm] {
    let preferred =
        terms(pod).and_then(|terms| terms.preferred_during_scheduling_ignored_during_execution.as_deref());
    preferred.unwrap_or_default()
}

fn labels_of(term: &NodeSelectorTerm) -> &[NodeSelectorRequirement] {
    term.match_expressions.as_deref().unwrap_or_default()
}

fn fields_of(term: &NodeSelectorTerm) -> &[NodeSelectorRequirement] {
    term.match_fields.as_deref().unwrap_or_default()
}

/// The nodes that the pod may go to; `None`: all of them.
pub(super) fn allowed(pod: &PodInfo, cache: &Cache) -> Option<NodeSet> {
    let (labels, terms) = (selector(pod), required(pod));
    if labels.is_none() && terms.is_none() {
        return None;
    }
    let mut allowed = NodeSet::all(cache.slots());
    for (key, value) in labels.into_iter().flatten() {
        let mut having = NodeSet::none(cache.slots());
        cache.labels.having(key, value).iter().for_each(|slot| having.insert(*slot));
        allowed.intersect(&having);
    }
    if let Some(terms) = terms {
        let mut any = NodeSet::none(cache.slots());
        terms.iter().for_each(|term| any.unite(&meeting(term, cache)));
        allowed.intersect(&any);
    }
    Some(allowed)
}

/// A term without any requirement allows nothing.
fn is_empty(term: &NodeSelectorTerm) -> bool {
    labels_of(term).is_empty() && fields_of(term).is_empty()
}

/// The nodes that meet all requirements of a term.
fn meeting(term: &NodeSelectorTerm, cache: &Cache) -> NodeSet {
    if is_empty(term) {
        return NodeSet::none(cache.slots());
    }
    let mut all = NodeSet::all(cache.slots());
    for requirement in labels_of(term) {
        all.intersect(&cache.labels.meeting(requirement, cache.slots()));
    }
    for requirement in fields_of(term) {
        all.intersect(&of_names(requirement, cache));
    }
    all
}

/// The nodes whose names meet a requirement.
fn of_names(requirement: &NodeSelectorRequirement, cache: &Cache) -> NodeSet {
    let mut set = NodeSet::none(cache.slots());
    if requirement.key != NAME_FIELD {
        return set;
    }
    let names = requirement.values.iter().flatten();
    let nodes = names.filter_map(|name| cache.node_named(name));
    nodes.for_each(|node| set.insert(node.slot));
    match Operator::of(&requirement.operator) {
        Some(Operator::In) => set,
        Some(Operator::NotIn) => {
            set.invert();
            set
        }
        Some(Operator::Exists | Operator::DoesNotExist | Operator::Gt | Operator::Lt) | None => {
            NodeSet::none(cache.slots())
        }
    }
}

/// The only nodes that the pod asks for by name, if every term does so.
fn named(terms: &[NodeSelectorTerm]) -> Option<Vec<&str>> {
    let mut all: Vec<&str> = Vec::new();
    for term in terms {
        let by_name = |field: &&NodeSelectorRequirement| field.key == NAME_FIELD && field.operator == "In";
        let mut lists = fields_of(term).iter().filter(by_name).map(|field| field.values.iter().flatten());
        let mut names: Vec<&str> = lists.next()?.map(String::as_str).collect();
        for list in lists {
            let list: Vec<&str> = list.map(String::as_str).collect();
            names.retain(|name| list.contains(name));
        }
        names.retain(|name| !all.contains(name));
        all.extend(names);
    }
    (!terms.is_empty()).then_some(all)
}

/// Whether the pod may go to a node as far as labels and names go: the same without an index, for one node.
fn allows(pod: &PodInfo, node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
    let meets = |requirement: &NodeSelectorRequirement, value: Option<&str>| {
        let wanted = requirement.values.as_deref().unwrap_or_default();
        Operator::of(&requirement.operator).is_some_and(|operator| operator.allows(value, wanted))
    };
    let selected = selector(pod).into_iter().flatten().all(|(key, value)| label(key) == Some(value));
    selected
        && required(pod).is_none_or(|terms| {
            terms.iter().any(|term| {
                let name = |field: &NodeSelectorRequirement| {
                    node.metadata.name.as_deref().filter(|_| field.key == NAME_FIELD)
                };
                !is_empty(term)
                    && labels_of(term).iter().all(|wanted| meets(wanted, label(&wanted.key)))
                    && fields_of(term).iter().all(|wanted| meets(wanted, name(wanted)))
            })
        })
}

#[cfg(test)]
mod tests;
