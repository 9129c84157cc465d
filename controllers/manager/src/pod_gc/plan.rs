//! Which pods nobody else will clear away: pure.
//!
//! In: pods and nodes. Out: the pods to be removed, and why.
//!
//! Source: `pkg/controller/podgc/gc_controller.go` of Kubernetes.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use keelson_controller_runtime::pod::Pod;

use crate::pod_state::{is_terminal, phase};

/// The taint of a node of which an administrator says that it does not run any more.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Why a pod is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its node is gone.
    NodeGone,
    /// It is being deleted, and its node is out of service.
    OutOfService,
    /// It is being deleted, and no node has ever had it.
    NeverScheduled,
}

/// The terminated pods beyond `threshold`: evicted ones first, then the oldest.
pub(super) fn surplus(pods: Vec<Arc<Pod>>, threshold: usize) -> Vec<Arc<Pod>> {
    let mut terminated: Vec<_> = pods.into_iter().filter(|pod| is_terminal(pod)).collect();
    let surplus = terminated.len().saturating_sub(threshold);
    if surplus > 0 {
        terminated.sort_by_cached_key(|pod| {
            let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (!is_evicted(pod), created, pod.metadata.name.clone())
        });
    }
    terminated.truncate(surplus);
    terminated
}

/// Why a pod whose node is (not) there is to be removed, if it is.
pub(super) fn cause(pod: &Pod, node: Option<&Node>) -> Option<Cause> {
    let is_leaving = pod.metadata.deletion_timestamp.is_some();
    match node {
        None if node_name(pod).is_some() => Some(Cause::NodeGone),
        None if is_leaving && !is_settled(pod) => Some(Cause::NeverScheduled),
        Some(node) if is_leaving && is_out_of_service(node) => Some(Cause::OutOfService),
        None | Some(_) => None,
    }
}

/// The node that the pod was given to.
pub(super) fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Whether the node is marked, and really does not answer.
pub(super) fn is_out_of_service(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_marked = taints.into_iter().flatten().any(|taint| taint.key == OUT_OF_SERVICE);
    let mut conditions = conditions.into_iter().flatten();
    is_marked && !conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether nothing more can be done for the pod: it has ended, and only finalizers keep it.
fn is_settled(pod: &Pod) -> bool {
    is_terminal(pod) && pod.metadata.deletion_grace_period_seconds.unwrap_or(0) == 0
}

fn is_evicted(pod: &Pod) -> bool {
    let reason = pod.status.as_ref().and_then(|status| status.reason.as_deref());
    phase(pod) == "Failed" && reason == Some("Evicted")
}
