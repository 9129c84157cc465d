//! Writes conditions and taints into nodes, and into pods that they are not ready.
//!
//! Whatever is written into a node is written only on the node that was judged; if it has changed meanwhile, it is
//! judged again as soon as the cache shows that.

use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::refusals::is_gone;

/// Writes with the controller's own identity.
pub(super) struct Actor {
    client: Client,
}

impl Actor {
    /// With the controller's own client.
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Replaces these conditions; whether that took place.
    pub(super) async fn write_conditions(
        &self,
        node: &Node,
        conditions: &[NodeCondition],
    ) -> kube::Result<bool> {
        let patch = json!({"metadata": version(node), "status": {"conditions": conditions}});
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let nodes: Api<Node> = Api::all(self.client.clone());
        took_place(nodes.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await)
    }

    /// Replaces the whole list of taints; whether that took place.
    pub(super) async fn write_taints(&self, node: &Node, taints: &[Taint]) -> kube::Result<bool> {
        let patch = json!({"metadata": version(node), "spec": {"taints": taints}});
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let nodes: Api<Node> = Api::all(self.client.clone());
        took_place(nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await)
    }

    /// Says of a pod that claims to be ready that it is not; whether it did and does not any more.
    pub(super) async fn unready(&self, pod: &Pod, now: Timestamp) -> kube::Result<bool> {
        let Some(patch) = unready_patch(pod, now) else { return Ok(false) };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        match pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The version of the node that was judged.
fn version(node: &Node) -> Value {
    json!({"resourceVersion": node.metadata.resource_version, "uid": node.metadata.uid})
}

fn unready_patch(pod: &Pod, now: Timestamp) -> Option<Value> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    let condition = json!({"type": "Ready", "status": "False", "lastTransitionTime": Time(now)});
    Some(json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}))
}

/// A conflict is news of the node that the cache will bring too.
fn took_place<K>(result: kube::Result<K>) -> kube::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}
