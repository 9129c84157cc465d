//! Which pods make room for one that matters more.
//!
//! In: a pod that fits nowhere, and why. Out: a node, and the fewest and least important pods on it without which the
//! pod fits; or the words that say why there are none. Pure: who is removed, and how, is for [`crate::evict`].
//!
//! Deliberately absent: PodDisruptionBudgets, which this cluster does not serve yet. Their place is the order in which
//! victims are reprieved, and the first line of [`Candidate::cost`].
//!
//! Source: `pkg/scheduler/framework/preemption` of Kubernetes.

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::cache::{NodeInfo, NodeSlot};
use crate::diagnosis::{Diagnosis, Reason, Reasons, sentence};
use crate::framework::{Nomination, Obstacle, PostFiltered, Stuck};
use crate::pod_info::{PodInfo, Priority};

/// What a pod's condition says that had to make room.
pub(crate) const PREEMPTED: &str = "PreemptionByScheduler";

const NEVER: &str = "not eligible due to preemptionPolicy=Never.";
const ALREADY: &str = "not eligible due to a terminating pod on the nominated node.";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// At least so many percent of the nodes are looked at before one is chosen,
const CANDIDATES_PERCENT: usize = 10;

/// and at least so many.
const CANDIDATES_MIN: usize = 100;

/// Room that is made for a pod.
#[derive(Clone, Debug)]
pub(crate) struct Preemption {
    pub(crate) node: Arc<str>,
    /// The pods that have to go, the most important first.
    pub(crate) victims: Vec<Arc<PodInfo>>,
}

impl PartialEq for Preemption {
    fn eq(&self, other: &Self) -> bool {
        let uids = |preemption: &Self| -> Vec<_> {
            preemption.victims.iter().map(|victim| victim.uid.clone()).collect()
        };
        self.node == other.node && uids(self) == uids(other)
    }
}

/// See the module.
pub(crate) fn plan(stuck: &Stuck<'_>, diagnosis: &Diagnosis) -> PostFiltered {
    if let Some(why_not) = not_eligible(stuck, diagnosis) {
        return PostFiltered { nomination: Nomination::Keep, message: Some(why_not.to_owned()) };
    }
    let mut reasons = Reasons::default();
    let promising = promising(diagnosis);
    let candidates = candidates(stuck, &promising, &mut reasons);
    let best = candidates.into_iter().min_by_key(Candidate::cost);
    if let Some(Candidate(preemption)) = best {
        return PostFiltered { nomination: Nomination::For(preemption), message: None };
    }
    let hopeless = diagnosis.nodes - promising.len();
    if hopeless > 0 {
        reasons.add_times(Reason::Said(NOT_HELPFUL), hopeless);
    }
    PostFiltered { nomination: Nomination::Clear, message: Some(sentence(diagnosis.nodes, &reasons)) }
}

fn not_eligible(stuck: &Stuck<'_>, diagnosis: &Diagnosis) -> Option<&'static str> {
    if stuck.pod.spec().and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return Some(NEVER);
    }
    let node = stuck.cache.node_named(stuck.nominated_node?)?;
    if diagnosis.obstacle(node.slot) != Some(Obstacle::Unschedulable) {
        return None;
    }
    let on_its_way_out = |pod: &Arc<PodInfo>| {
        pod.priority < stuck.pod.priority && (was_preempted(pod) || stuck.leaving.contains(&pod.uid))
    };
    node.pods.iter().any(on_its_way_out).then_some(ALREADY)
}

/// Whether a pod is being deleted because it had to make room.
fn was_preempted(pod: &PodInfo) -> bool {
    let conditions = pod.pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let target = conditions.into_iter().find(|condition| condition.type_ == "DisruptionTarget");
    pod.is_being_deleted()
        && target.is_some_and(|condition| {
            condition.status == "True" && condition.reason.as_deref() == Some(PREEMPTED)
        })
}

/// The nodes that may do once pods are gone. Those that were not looked at will not do whatever is removed.
fn promising(diagnosis: &Diagnosis) -> Vec<NodeSlot> {
    let obstacles = diagnosis.obstacles.iter();
    let unschedulable = obstacles.filter(|(_, obstacle)| *obstacle == Obstacle::Unschedulable);
    unschedulable.map(|(slot, _)| *slot).collect()
}

/// Nodes where the pod would fit, from a different start in each attempt, until there is enough to choose from.
fn candidates(stuck: &Stuck<'_>, nodes: &[NodeSlot], reasons: &mut Reasons) -> Vec<Candidate> {
    let enough = (nodes.len() * CANDIDATES_PERCENT / 100).max(CANDIDATES_MIN);
    let start = stuck.salt % nodes.len().max(1);
    let rotated = nodes[start..].iter().chain(&nodes[..start]);
    let candidates = rotated.filter_map(|slot| {
        let node = stuck.cache.node(*slot);
        let victims = victims_on(node, stuck, reasons)?;
        Some(Candidate(Preemption { node: Arc::clone(&node.name), victims }))
    });
    candidates.take(enough).collect()
}

/// The pods that have to leave the node, the most important first.
fn victims_on(node: &NodeInfo, stuck: &Stuck<'_>, reasons: &mut Reasons) -> Option<Vec<Arc<PodInfo>>> {
    let less_important = node.pods.iter().filter(|pod| pod.priority < stuck.pod.priority);
    let mut removed: Vec<Arc<PodInfo>> = less_important.cloned().collect();
    if removed.is_empty() {
        reasons.say(NO_VICTIMS);
        return None;
    }
    removed.sort_by_key(|pod| importance(pod));
    let mut without = node.clone();
    for pod in &removed {
        without.remove_pod(&pod.uid);
    }
    if !(stuck.fits)(&without, &removed, reasons) {
        return None;
    }
    // The most important may stay first, as long as the pod still fits.
    let mut victims = 0;
    while let Some(pod) = removed.get(victims).cloned() {
        removed.remove(victims);
        without.add_pod(Arc::clone(&pod));
        if !(stuck.fits)(&without, &removed, &mut Reasons::default()) {
            without.remove_pod(&pod.uid);
            removed.insert(victims, pod);
            victims += 1;
        }
    }
    Some(removed)
}

/// The most important pod has the least of these: the highest priority, then the earliest start.
fn importance(pod: &PodInfo) -> (Reverse<Priority>, Timestamp) {
    // A pod that has not started yet began just now.
    (Reverse(pod.priority), started(pod).unwrap_or(Timestamp::MAX))
}

fn started(pod: &PodInfo) -> Option<Timestamp> {
    pod.pod.status.as_ref()?.start_time.as_ref().map(|time| time.0)
}

/// A way to make room.
struct Candidate(Preemption);

impl Candidate {
    /// The best candidate has the least of these: the least important victims, then the fewest, then those that have
    /// run the shortest. Among equals the first is taken.
    fn cost(&self) -> (Priority, i64, usize, Reverse<Timestamp>) {
        let victims = &self.0.victims;
        let highest = victims.iter().map(|pod| pod.priority).max().unwrap_or_default();
        // Priorities are moved above zero, so that more victims never make a smaller sum.
        let sum = victims.iter().map(|pod| i64::from(pod.priority.0) - i64::from(i32::MIN)).sum();
        let most_important = victims.iter().filter(|pod| pod.priority == highest);
        let earliest = most_important.filter_map(|pod| started(pod)).min().unwrap_or(Timestamp::MAX);
        (highest, sum, victims.len(), Reverse(earliest))
    }
}

#[cfg(test)]
mod tests;
