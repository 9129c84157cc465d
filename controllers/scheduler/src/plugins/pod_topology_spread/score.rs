//! Constraints that are wishes: the fewer such pods a place has, the better; and the more places there are, the more an
//! uneven one matters.

use crate::cache::{Cache, NodeInfo, NodeSlot};
use crate::framework::{MAX_NODE_SCORE, Score};
use crate::pod_info::PodInfo;

use super::{Eligible, Kept, wishes};
use crate::pod_terms::Strictness;

/// Places with one node each: there the node itself is counted.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The raw score of a node that lacks a label.
const MISSING: i64 = -1;

/// All wishes of one pod.
pub(super) struct Evenness<'a> {
    wishes: Vec<Wish<'a>>,
}

struct Wish<'a> {
    kept: Kept<'a>,
    /// How many such pods each place has; `None`: no node that will do is there. Empty for host names.
    counts: Vec<Option<i64>>,
    weight: f64,
}

impl<'a> Evenness<'a> {
    pub(super) fn of(pod: &'a PodInfo, cache: &'a Cache, feasible: &[NodeSlot]) -> Self {
        let all: Vec<Kept<'a>> = wishes(pod).map(|constraint| Kept::of(constraint, cache)).collect();
        let has_labels = |slot: &&NodeSlot| {
            all.iter().all(|kept| !kept.needs_label() || kept.topology.domain(**slot).is_some())
        };
        let labelled: Vec<NodeSlot> = feasible.iter().filter(has_labels).copied().collect();
        let eligible = Eligible::of(pod, cache);
        let mut wishes: Vec<Wish<'a>> = all.iter().map(|kept| Wish::of(*kept, &labelled)).collect();
        for wish in wishes.iter_mut().filter(|wish| !wish.is_by_host()) {
            let counts = wish.kept.counts.nonzero().filter(|(slot, _)| has_labels(&slot));
            counts.for_each(|(slot, count)| wish.count(slot, count, &eligible, cache));
        }
        Self { wishes }
    }
}

impl Kept<'_> {
    fn needs_label(&self) -> bool {
        match self.constraint.strictness {
            Strictness::Hard | Strictness::Soft => true,
            Strictness::Default => false,
        }
    }
}

impl<'a> Wish<'a> {
    fn of(kept: Kept<'a>, labelled: &[NodeSlot]) -> Self {
        let mut wish = Self { kept, counts: Vec::new(), weight: 0.0 };
        let places = if wish.is_by_host() {
            labelled.len()
        } else {
            wish.counts = vec![None; kept.topology.numbers()];
            let domains = labelled.iter().filter_map(|slot| kept.topology.domain(*slot));
            domains.for_each(|domain| wish.counts[domain] = Some(0));
            // Nodes without the label are one more place.
            let unlabelled = labelled.iter().any(|slot| kept.topology.domain(*slot).is_none());
            wish.counts.iter().flatten().count() + usize::from(unlabelled)
        };
        wish.weight = (places as f64 + 2.0).ln();
        wish
    }

    fn is_by_host(&self) -> bool {
        self.kept.constraint.topology_key == HOSTNAME
    }

    fn count(&mut self, slot: NodeSlot, count: u32, eligible: &Eligible, cache: &Cache) {
        let Some(domain) = self.kept.topology.domain(slot) else { return };
        if let Some(Some(there)) = self.counts.get_mut(domain)
            && eligible.includes(slot, self.kept.constraint, cache)
        {
            *there += i64::from(count);
        }
    }

    /// `None`: it lacks the label.
    fn score(&self, node: &NodeInfo) -> Option<f64> {
        let Some(domain) = self.kept.topology.domain(node.slot) else {
            return (!self.kept.needs_label()).then_some(0.0);
        };
        let count = match self.is_by_host() {
            true => i64::from(self.kept.counts.at(node.slot)),
            false => self.counts[domain].unwrap_or_default(),
        };
        Some(count as f64 * self.weight + (self.kept.constraint.max_skew - 1) as f64)
    }
}

impl Score for Evenness<'_> {
    fn score(&self, node: &NodeInfo) -> i64 {
        let sum = self.wishes.iter().try_fold(0.0, |sum, wish| Some(sum + wish.score(node)?));
        sum.map_or(MISSING, |sum| f64::round(sum) as i64)
    }

    fn normalize(&self, scores: &mut [i64]) {
        let valid = || scores.iter().copied().filter(|score| *score != MISSING);
        let (least, most) = (valid().min().unwrap_or_default(), valid().max().unwrap_or_default());
        for score in scores {
            *score = match *score {
                MISSING => 0,
                _ if most == 0 => MAX_NODE_SCORE,
                score => MAX_NODE_SCORE * (most + least - score) / most,
            };
        }
    }
}
