//! Constraints that have to be kept: with the pod, no place may have `maxSkew` more such pods than the emptiest.

use crate::cache::{Cache, NodeInfo, NodeSlot};
use crate::diagnosis::Reasons;
use crate::framework::{Filter, Obstacle, WhatIf};
use crate::pod_info::PodInfo;

use super::{Eligible, Kept, hard};

const REASON: &str = "node(s) didn't match pod topology spread constraints";
const MISSING_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

/// All constraints of one pod.
pub(super) struct Skew<'a> {
    cache: &'a Cache,
    eligible: Eligible,
    constraints: Vec<Places<'a>>,
}

/// One constraint, place by place.
struct Places<'a> {
    kept: Kept<'a>,
    /// How many such pods each place has; `None`: no node there counts.
    counts: Vec<Option<i64>>,
    /// How many places have nodes that count.
    domains: usize,
    least: i64,
    /// The pod itself, if it is such a pod.
    own: i64,
}

impl<'a> Skew<'a> {
    pub(super) fn of(pod: &'a PodInfo, cache: &'a Cache) -> Self {
        let eligible = Eligible::of(pod, cache);
        let mut constraints: Vec<Places<'a>> = hard(pod)
            .map(|constraint| {
                let kept = Kept::of(constraint, cache);
                let own = i64::from(constraint.question.all_of[0].matches(pod, &cache.namespaces));
                let counts = vec![None; kept.topology.numbers()];
                Places { kept, counts, domains: 0, least: 0, own }
            })
            .collect();
        for slot in cache.order() {
            if constraints.iter().all(|places| places.kept.topology.domain(*slot).is_some()) {
                constraints.iter_mut().for_each(|places| places.count(*slot, &eligible, cache));
            }
        }
        constraints.iter_mut().for_each(Places::settle);
        Self { cache, eligible, constraints }
    }

    /// How many more such pods the node would have.
    fn change(&self, places: &Places<'_>, node: &NodeInfo, what_if: &WhatIf<'_>) -> i64 {
        if (what_if.added.is_empty() && what_if.removed.is_empty())
            || !self.eligible.includes(node.slot, places.kept.constraint, self.cache)
        {
            return 0;
        }
        let question = &places.kept.constraint.question;
        let about = |pod: &&std::sync::Arc<PodInfo>| question.about(pod, &self.cache.namespaces);
        let added = what_if.added.iter().filter(about).count();
        let removed = what_if.removed.iter().filter(about).count();
        added as i64 - removed as i64
    }
}

impl Places<'_> {
    fn count(&mut self, slot: NodeSlot, eligible: &Eligible, cache: &Cache) {
        let Some(domain) = self.kept.topology.domain(slot) else { return };
        if eligible.includes(slot, self.kept.constraint, cache) {
            *self.counts[domain].get_or_insert(0) += i64::from(self.kept.counts.at(slot));
        }
    }

    fn settle(&mut self) {
        self.domains = self.counts.iter().flatten().count();
        self.least = self.least_with(0, 0);
    }

    /// The smallest count, if this place had so many more. With too few places, that of one that is yet to come.
    fn least_with(&self, domain: usize, change: i64) -> i64 {
        if self.domains < self.kept.constraint.min_domains {
            return 0;
        }
        let counts = self.counts.iter().enumerate();
        let counts = counts.filter_map(|(at, count)| Some((*count)? + if at == domain { change } else { 0 }));
        counts.min().unwrap_or_default()
    }

    /// Whether the pod may go to a node of this place.
    fn allow(&self, domain: usize, change: i64) -> bool {
        let least = if change == 0 { self.least } else { self.least_with(domain, change) };
        let there = self.counts[domain].unwrap_or_default() + change;
        there + self.own - least <= self.kept.constraint.max_skew
    }

    fn domain(&self, slot: NodeSlot) -> Option<usize> {
        self.kept.topology.domain(slot)
    }
}

impl Filter for Skew<'_> {
    fn filter(&self, node: &NodeInfo, what_if: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle> {
        for places in &self.constraints {
            let Some(domain) = places.domain(node.slot) else {
                reasons.say(MISSING_LABEL);
                return Err(Obstacle::Unresolvable);
            };
            if !places.allow(domain, self.change(places, node, what_if)) {
                reasons.say(REASON);
                return Err(Obstacle::Unschedulable);
            }
        }
        Ok(())
    }
}
