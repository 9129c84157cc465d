//! Whether a pod has to leave its node because of a taint, and when: pure.
//!
//! In: the node's `NoExecute` taints with their ages, and the pod. Out: whether it may stay, or how long. A taint with a
//! `timeAdded` counts from there, also for a leader that sees it later; one without counts from when it is first seen.
//! A pod that came to the node later counts from then. Deliberately absent: the comparing operators of tolerations,
//! which are not on by default.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use tokio::time::Instant;

/// A taint that evicts, and since when it has been there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Present {
    taint: Taint,
    seen: Instant,
    /// When it was seen.
    age: Duration,
}

/// What is to happen to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Stay,
    /// Evict after this time; zero is now.
    Evict(Duration),
}

/// The evicting taints of a node. Those that were there `before` keep their age.
pub(super) fn present(node: &Node, before: &[Present], now: Instant, clock: Timestamp) -> Vec<Present> {
    let evicting = evicting_taints(node);
    let known = |taint: &Taint| before.iter().find(|present| present.taint == *taint).cloned();
    let new = |taint: &Taint| Present { taint: taint.clone(), seen: now, age: age(taint, clock) };
    evicting.map(|taint| known(taint).unwrap_or_else(|| new(taint))).collect()
}

/// The taints of a node that evict.
pub(super) fn evicting_taints(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.iter().filter(|taint| taint.effect == "NoExecute")
}

/// Times carry whole seconds; what is lost by that is counted in the pod's favour.
fn age(taint: &Taint, clock: Timestamp) -> Duration {
    let added = taint.time_added.as_ref().map(|time| since(time.0, clock));
    added.map_or(Duration::ZERO, |age| age.saturating_sub(Duration::from_secs(1)))
}

fn since(time: Timestamp, clock: Timestamp) -> Duration {
    Duration::try_from(clock.duration_since(time)).unwrap_or_default()
}

/// Decides about a pod on a node with these taints.
pub(super) fn verdict(taints: &[Present], pod: &Pod, now: Instant, clock: Timestamp) -> Verdict {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let there = bound_at(pod).map(|time| since(time, clock));
    let mut earliest: Option<Duration> = None;
    for present in taints {
        let Some(toleration) = tolerations.iter().find(|it| tolerates(it, &present.taint)) else {
            return Verdict::Evict(Duration::ZERO);
        };
        let Some(seconds) = toleration.toleration_seconds else { continue };
        let tolerated = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let age = present.age + now.saturating_duration_since(present.seen);
        let left = tolerated.saturating_sub(there.map_or(age, |there| age.min(there)));
        earliest = Some(earliest.map_or(left, |earliest| earliest.min(left)));
    }
    earliest.map_or(Verdict::Stay, Verdict::Evict)
}

/// Since when the pod is on its node.
fn bound_at(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let scheduled =
        conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "True");
    let bound = scheduled.and_then(|condition| condition.last_transition_time.as_ref());
    bound.or(pod.metadata.creation_timestamp.as_ref()).map(|time| time.0)
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (key, effect) = (text(&toleration.key), text(&toleration.effect));
    let is_about = (effect.is_empty() || effect == taint.effect) && (key.is_empty() || key == taint.key);
    is_about
        && match toleration.operator.as_deref() {
            None | Some("" | "Equal") => !key.is_empty() && text(&toleration.value) == text(&taint.value),
            Some("Exists") => true,
            Some(_) => false,
        }
}

#[cfg(test)]
mod tests;
