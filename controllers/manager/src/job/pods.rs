//! A Job's pods in the words of Jobs: index, failures, end. Pure.
//!
//! In: a pod. Out: what its Job wants to know of it.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use keelson_controller_runtime::pod::{COMPLETION_INDEX, INDEX_FAILURES, INDEX_IGNORED_FAILURES, Pod};

use super::terms::{Replacement, Terms};
use crate::pod_state;

/// The finalizer that keeps a pod until it has been counted.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

pub(super) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// Whether the pod waits to be counted.
pub(super) fn has_finalizer(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING)
}

pub(super) fn has_succeeded(pod: &Pod) -> bool {
    pod_state::phase(pod) == "Succeeded"
}

/// Whether the pod counts as failed. One that is being deleted may never come to say so itself; unless the Job waits
/// for that, it has failed.
pub(super) fn has_failed(pod: &Pod, terms: &Terms<'_>) -> bool {
    match terms.replacement {
        _ if pod_state::phase(pod) == "Failed" => true,
        Replacement::WhenFailed => false,
        Replacement::WhenTerminating => pod.metadata.deletion_timestamp.is_some() && !has_succeeded(pod),
    }
}

/// The pod's completion index, if it has one that makes sense.
pub(super) fn completion_index(pod: &Pod) -> Option<usize> {
    annotation(pod, COMPLETION_INDEX)?.parse().ok()
}

/// How often pods of this index have failed before this one.
pub(super) fn index_failures(pod: &Pod) -> i32 {
    number(pod, INDEX_FAILURES)
}

/// The same, those that do not count.
pub(super) fn index_ignored_failures(pod: &Pod) -> i32 {
    number(pod, INDEX_IGNORED_FAILURES)
}

/// How often the pod's containers have been started anew.
pub(super) fn restarts(pod: &Pod) -> i64 {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    let init_containers = status.and_then(|status| status.init_container_statuses.as_ref());
    let all = containers.into_iter().chain(init_containers).flatten();
    all.map(|container| i64::from(container.restart_count)).sum()
}

/// When the pod ended: by its containers, else since when it is not ready, else when its deletion began, else when
/// it was created.
pub(super) fn finished_at(pod: &Pod) -> Timestamp {
    last_container_end(pod)
        .or_else(|| unready_since(pod))
        .or_else(|| deletion_began(pod))
        .or_else(|| pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `None` as long as one of them runs.
fn last_container_end(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let ends: Option<Vec<_>> = containers
        .iter()
        .map(|container| Some(container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0))
        .collect();
    ends?.into_iter().max()
}

fn unready_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready =
        conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "False")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

fn deletion_began(pod: &Pod) -> Option<Timestamp> {
    let end = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
    end.checked_sub(grace).ok()
}

fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Zero for what is missing or makes no sense: anybody may have written it.
fn number(pod: &Pod, key: &str) -> i32 {
    annotation(pod, key).and_then(|text| text.parse().ok()).filter(|number| *number >= 0).unwrap_or(0)
}
