//! Constraints that are wishes: the fewer such pods a place has, the better; and the more places there are, the more an
//! uneven one matters.

use crate::cache::{Cache, NodeInfo, NodeSlot};
use crate::framework::{MAX_NODE_SCORE, Score};
use crate::pod_info::PodInfo;

use super::{Eligible, Kept, soft};

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
        let all: Vec<Kept<'a>> = soft(pod).map(|constraint| Kept::of(constraint, cache)).collect();
        let has_labels = |slot: &&NodeSlot| all.iter().all(|kept| kept.topology.domain(**slot).is_some());
        let labelled: Vec<NodeSlot> = feasible.iter().filter(has_labels).copied().collect();
        let eligible = Eligible::of(pod, cache);
        let mut wishes: Vec<Wish<'a>> = all.iter().map(|kept| Wish::of(*kept, &labelled)).collect();
        if wishes.iter().any(|wish| !wish.is_by_host()) {
            for slot in cache.order().iter().filter(has_labels) {
                let node = cache.node(*slot);
                wishes.iter_mut().for_each(|wish| wish.count(node, &eligible));
            }
        }
        Self { wishes }
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
            wish.counts.iter().flatten().count()
        };
        wish.weight = (places as f64 + 2.0).ln();
        wish
    }

    fn is_by_host(&self) -> bool {
        self.kept.constraint.topology_key == HOSTNAME
    }

    fn count(&mut self, node: &NodeInfo, eligible: &Eligible) {
        let Some(domain) = self.kept.topology.domain(node.slot) else { return };
        if let Some(Some(count)) = self.counts.get_mut(domain)
            && eligible.includes(node, self.kept.constraint)
        {
            *count += i64::from(self.kept.counts.at(node.slot));
        }
    }

    fn score(&self, node: &NodeInfo) -> Option<f64> {
        let domain = self.kept.topology.domain(node.slot)?;
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
