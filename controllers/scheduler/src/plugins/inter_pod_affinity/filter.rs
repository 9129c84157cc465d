//! What has to be: near all that the pod must be near, apart from all that it must be apart from, and not where it is
//! forbidden by pods that are there.

use std::sync::Arc;

use crate::cache::{Cache, NodeInfo, held_by};
use crate::diagnosis::Reasons;
use crate::framework::{Filter, Obstacle, WhatIf};
use crate::pod_info::PodInfo;
use crate::pod_terms::Term;

use super::{Places, counts, forbids, places};

const NOT_NEAR: &str = "node(s) didn't match pod affinity rules";
const NOT_APART: &str = "node(s) didn't match pod anti-affinity rules";
const FORBIDDEN: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// All that has to be for one pod.
pub(super) struct Neighbours<'a> {
    pod: &'a PodInfo,
    cache: &'a Cache,
    /// For each term that the pod must be near to: where pods are that all these terms mean.
    near: Vec<Places<'a>>,
    /// Whether all these terms mean the pod itself. Then the first of its kind may go anywhere.
    means_itself: bool,
    /// For each term that the pod must be apart from: where such pods are.
    apart: Vec<(&'a Arc<Term>, Places<'a>)>,
    /// Where pods are that forbid it.
    forbidden: Vec<Places<'a>>,
}

impl<'a> Neighbours<'a> {
    /// `None`: there is nothing that has to be.
    pub(super) fn of(pod: &'a PodInfo, cache: &'a Cache) -> Option<Self> {
        let terms = &pod.terms;
        let mut forbidden = Vec::new();
        for held in cache.terms.about(pod, &cache.namespaces).filter(|held| forbids(held.role)) {
            places(&mut forbidden, &held.term.topology_key, cache).add(&held.holders, 1);
        }
        if terms.near.is_empty() && terms.apart.is_empty() && forbidden.is_empty() {
            return None;
        }
        let near_all = terms.near_all.as_ref().and_then(|question| cache.counts.get(question));
        let near = terms.near.iter().map(|term| {
            let mut places = Places::of(&term.topology_key, cache);
            near_all.into_iter().for_each(|counts| places.add(counts, 1));
            places
        });
        let apart = terms.apart.iter().map(|term| {
            let mut places = Places::of(&term.topology_key, cache);
            places.add(counts(term, cache), 1);
            (term, places)
        });
        let is_own = terms.near_all.as_ref().is_some_and(|all| all.about(pod, &cache.namespaces));
        let (near, apart) = (near.collect(), apart.collect());
        Some(Self { pod, cache, near, means_itself: is_own, apart, forbidden })
    }

    fn is_near(&self, node: &NodeInfo, what_if: &WhatIf<'_>) -> bool {
        let Some(question) = &self.pod.terms.near_all else { return true };
        let change = change(what_if, |other| question.about(other, &self.cache.namespaces));
        let here = self.near.iter().map(|places| places.at(node.slot));
        // A node without the label is in no place.
        let Some(here) = here.collect::<Option<Vec<i64>>>() else { return false };
        if here.iter().all(|count| count + change > 0) {
            return true;
        }
        let anywhere: i64 = self.near.iter().flat_map(|places| &places.sums).sum();
        self.means_itself && anywhere + change * self.near.len() as i64 == 0
    }

    fn is_apart(&self, node: &NodeInfo, what_if: &WhatIf<'_>) -> bool {
        self.apart.iter().all(|(term, places)| {
            let change = || change(what_if, |other| term.matcher().matches(other, &self.cache.namespaces));
            places.at(node.slot).is_none_or(|count| count + change() <= 0)
        })
    }

    fn is_forbidden(&self, node: &NodeInfo, what_if: &WhatIf<'_>) -> bool {
        // Pods that are added would be on this very node: where the node has a label, they are in its place.
        let labels = node.node.metadata.labels.as_ref();
        let has_label = |key: &str| labels.is_some_and(|labels| labels.contains_key(key));
        if what_if.added.iter().any(|other| self.forbidding(other).any(|term| has_label(&term.topology_key)))
        {
            return true;
        }
        self.forbidden.iter().any(|places| {
            let of_this_key = |term: &&Arc<Term>| term.topology_key == places.key;
            let gone = || what_if.removed.iter().flat_map(|other| self.forbidding(other)).filter(of_this_key);
            places.at(node.slot).is_some_and(|count| count > gone().count() as i64)
        })
    }

    /// The terms of a pod on a node that forbid this one to be near.
    fn forbidding<'b>(&'b self, other: &'b PodInfo) -> impl Iterator<Item = &'b Arc<Term>> {
        let terms = held_by(other).filter(|(_, role)| forbids(*role)).map(|(term, _)| term);
        terms.filter(|term| term.matcher().matches(self.pod, &self.cache.namespaces))
    }
}

/// How many more of some pods there would be.
fn change(what_if: &WhatIf<'_>, is_one: impl Fn(&PodInfo) -> bool) -> i64 {
    let number = |pods: &[Arc<PodInfo>]| pods.iter().filter(|pod| is_one(pod)).count() as i64;
    number(what_if.added) - number(what_if.removed)
}

impl Filter for Neighbours<'_> {
    fn filter(&self, node: &NodeInfo, what_if: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle> {
        if !self.is_near(node, what_if) {
            reasons.say(NOT_NEAR);
            return Err(Obstacle::Unresolvable);
        }
        if !self.is_apart(node, what_if) {
            reasons.say(NOT_APART);
            return Err(Obstacle::Unschedulable);
        }
        if self.is_forbidden(node, what_if) {
            reasons.say(FORBIDDEN);
            return Err(Obstacle::Unschedulable);
        }
        Ok(())
    }
}
