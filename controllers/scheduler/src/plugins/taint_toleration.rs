//! TaintToleration: nodes keep pods away that do not tolerate their taints, or would rather have others.

use crate::cache::{Cache, Effect, NodeChange, NodeInfo, NodeSlot, tolerate};
use crate::cluster_event::{ClusterEvent, EventKind, OwnChange};
use crate::diagnosis::Reasons;
use crate::framework::{Filter, Obstacle, Plugin, PreFilter, PreFiltered, PreScore, Score, WhatIf};
use crate::plugins::normalize::{Better, normalize};
use crate::pod_info::PodInfo;

const REASON: &str = "node(s) had untolerated taint(s)";

pub(super) struct TaintToleration;

/// The taints that the pod does not tolerate, by their numbers.
struct Untolerated(Vec<bool>);

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn events(&self) -> &'static [EventKind] {
        &[EventKind::NodeAdded, EventKind::Node(NodeChange::Taints), EventKind::Own(OwnChange::Tolerations)]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        event.node().is_none_or(|node| {
            let taints = node.node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
            let mut hard = taints.filter(|taint| Effect::of(&taint.effect).is_some_and(Effect::is_hard));
            hard.all(|taint| {
                let value = taint.value.as_deref().unwrap_or_default();
                tolerate(pod.tolerations(), &taint.key, value, &taint.effect)
            })
        })
    }
}

impl PreFilter for TaintToleration {
    fn pre_filter<'a>(&self, pod: &'a PodInfo, cache: &'a Cache) -> PreFiltered<'a> {
        let untolerated = cache.taints.untolerated(pod.tolerations(), Effect::is_hard);
        match untolerated.is_empty() {
            true => PreFiltered::Skip,
            false => PreFiltered::Filter(Box::new(Untolerated(untolerated))),
        }
    }
}

impl PreScore for TaintToleration {
    fn pre_score<'a>(
        &self,
        pod: &'a PodInfo,
        cache: &'a Cache,
        _: &[NodeSlot],
    ) -> Option<Box<dyn Score + 'a>> {
        let untolerated = cache.taints.untolerated(pod.tolerations(), |effect| !effect.is_hard());
        (!untolerated.is_empty()).then(|| Box::new(Untolerated(untolerated)) as Box<dyn Score>)
    }
}

impl Filter for Untolerated {
    fn filter(&self, node: &NodeInfo, _: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle> {
        if node.taints.iter().any(|taint| self.0[taint.index()]) {
            reasons.say(REASON);
            return Err(Obstacle::Unresolvable);
        }
        Ok(())
    }
}

impl Score for Untolerated {
    fn score(&self, node: &NodeInfo) -> i64 {
        node.taints.iter().map(|taint| i64::from(self.0[taint.index()])).sum()
    }

    fn normalize(&self, scores: &mut [i64]) {
        normalize(scores, Better::Less);
    }
}
