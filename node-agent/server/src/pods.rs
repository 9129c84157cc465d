//! What the server must know of the agent's pods.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

/// The pods of the agent, as it sees them now. Asked at every request; must not block.
pub trait Pods: Send + Sync + 'static {
    /// The pod of that name, with the status that the agent would report now: for each container
    /// `containerID` (`containerd://<id>`), `state` and `lastState`. From these the server finds the container that
    /// is meant. `None` when the agent has no such pod.
    fn find(&self, namespace: &str, name: &str) -> Option<Arc<Pod>>;

    /// All pods, with their statuses, in any order.
    fn list(&self) -> Vec<Arc<Pod>>;

    /// The agent's own numbers in Prometheus' text format.
    fn metrics(&self) -> String;
}
