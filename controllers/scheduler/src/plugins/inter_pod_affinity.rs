//! InterPodAffinity: pods that have to be near others, or apart from them, or would rather be.
//!
//! In: the pod's terms, how many pods they mean on each node, and the terms that pods on nodes hold against this one; the
//! cache keeps count of all that. Out: per place the sum over its nodes; a node is then a look-up per term.

use crate::cache::{Cache, Counts, NodeChange, NodeSlot, Role, Topology};
use crate::cluster_event::{ClusterEvent, EventKind, OwnChange, PodChange};
use crate::framework::{Plugin, PreFilter, PreFiltered, PreScore, Score};
use crate::pod_info::PodInfo;
use crate::pod_matcher::PodMatcher;
use crate::pod_terms::Term;

mod filter;
mod score;

pub(super) struct InterPodAffinity;

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn events(&self) -> &'static [EventKind] {
        &[
            EventKind::NodeAdded,
            EventKind::Node(NodeChange::Labels),
            EventKind::Pod(PodChange::Added),
            EventKind::Pod(PodChange::Removed),
            EventKind::Pod(PodChange::Labels),
            EventKind::Namespaces,
            EventKind::Own(OwnChange::Labels),
        ]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        let Some(other) = event.pod() else { return true };
        let (mine, theirs) = (&pod.terms, &other.terms);
        let near = || mine.near.iter().map(|term| term.matcher());
        let apart = || mine.apart.iter().map(|term| term.matcher());
        let may_match = |matcher: &PodMatcher| matcher.may_match(other);
        if event.kind() == EventKind::Pod(PodChange::Added) {
            near().any(may_match)
        } else if event.kind() == EventKind::Pod(PodChange::Removed) {
            apart().any(may_match) || theirs.apart.iter().any(|term| term.matcher().may_match(pod))
        } else {
            near().chain(apart()).any(|matcher| matcher.may_be_about(&other.key.namespace))
        }
    }
}

impl PreFilter for InterPodAffinity {
    fn prepare(&self, pod: &PodInfo, cache: &mut Cache) {
        let terms = &pod.terms;
        let own = terms.near.iter().chain(&terms.apart).chain(terms.preferred.iter().map(|(_, term)| term));
        for term in own {
            cache.watch_topology(&term.topology_key);
            cache.watch_count(&term.question);
        }
        if let Some(near_all) = &terms.near_all {
            cache.watch_count(near_all);
        }
        let held = cache.terms.about(pod, &cache.namespaces);
        let keys: Vec<String> = held.map(|held| held.term.topology_key.clone()).collect();
        keys.iter().for_each(|key| cache.watch_topology(key));
    }

    fn pre_filter<'a>(&self, pod: &'a PodInfo, cache: &'a Cache) -> PreFiltered<'a> {
        match filter::Neighbours::of(pod, cache) {
            None => PreFiltered::Skip,
            Some(filter) => PreFiltered::Filter(Box::new(filter)),
        }
    }
}

impl PreScore for InterPodAffinity {
    fn pre_score<'a>(
        &self,
        pod: &'a PodInfo,
        cache: &'a Cache,
        _: &[NodeSlot],
    ) -> Option<Box<dyn Score + 'a>> {
        score::Liking::of(pod, cache).map(|liking| Box::new(liking) as Box<dyn Score>)
    }
}

/// Numbers by the places of one topology key.
struct Places<'a> {
    key: &'a str,
    topology: &'a Topology,
    sums: Vec<i64>,
}

impl<'a> Places<'a> {
    fn of(key: &'a str, cache: &'a Cache) -> Self {
        let topology = cache.topologies.get(key).expect("it was asked for when the pod's turn began");
        Self { key, topology, sums: vec![0; topology.numbers()] }
    }

    /// Adds what there is of something on each node, so many times.
    fn add(&mut self, counts: &Counts, times: i64) {
        for (slot, count) in counts.nonzero() {
            if let Some(domain) = self.topology.domain(slot) {
                self.sums[domain] += i64::from(count) * times;
            }
        }
    }

    /// What there is in the place of a node; `None` if it lacks the label.
    fn at(&self, slot: NodeSlot) -> Option<i64> {
        self.topology.domain(slot).map(|domain| self.sums[domain])
    }
}

/// How many pods a term means.
fn counts<'a>(term: &Term, cache: &'a Cache) -> &'a Counts {
    cache.counts.get(&term.question).expect("it was asked for when the pod's turn began")
}

/// The places of a key among those that were made already.
fn places<'a, 'b>(all: &'b mut Vec<Places<'a>>, key: &'a str, cache: &'a Cache) -> &'b mut Places<'a> {
    let at = all.iter().position(|places| places.key == key).unwrap_or_else(|| {
        all.push(Places::of(key, cache));
        all.len() - 1
    });
    &mut all[at]
}

/// The terms of one role that pods on nodes hold about this one.
fn forbids(role: Role) -> bool {
    match role {
        Role::Forbids => true,
        Role::Weighs(_) => false,
    }
}

#[cfg(test)]
mod tests;
