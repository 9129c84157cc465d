//! What would be nice: where the pod likes others to be, and where others like it to be.

use crate::cache::{Cache, NodeInfo, Role};
use crate::framework::{MAX_NODE_SCORE, Score};
use crate::pod_info::PodInfo;

use super::{Places, counts, places};

/// How welcome one pod is in each place.
pub(super) struct Liking<'a> {
    places: Vec<Places<'a>>,
}

impl<'a> Liking<'a> {
    /// `None`: nobody has a preference.
    pub(super) fn of(pod: &'a PodInfo, cache: &'a Cache) -> Option<Self> {
        let mut all = Vec::new();
        for (weight, term) in &pod.terms.preferred {
            places(&mut all, &term.topology_key, cache).add(counts(term, cache), *weight);
        }
        for held in cache.terms.about(pod, &cache.namespaces) {
            match held.role {
                Role::Weighs(weight) => {
                    places(&mut all, &held.term.topology_key, cache).add(&held.holders, weight);
                }
                Role::Forbids => {}
            }
        }
        let has_any = all.iter().flat_map(|places| &places.sums).any(|sum| *sum != 0);
        has_any.then_some(Self { places: all })
    }
}

impl Score for Liking<'_> {
    fn score(&self, node: &NodeInfo) -> i64 {
        self.places.iter().filter_map(|places| places.at(node.slot)).sum()
    }

    fn normalize(&self, scores: &mut [i64]) {
        let least = scores.iter().copied().min().unwrap_or_default();
        let range = scores.iter().copied().max().unwrap_or_default() - least;
        for score in scores {
            *score = if range == 0 { 0 } else { MAX_NODE_SCORE * (*score - least) / range };
        }
    }
}
