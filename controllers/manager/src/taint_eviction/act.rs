//! Evicts a pod: says on it why it goes, then deletes it.

use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::json;

use crate::refusals::is_gone;

const REASON: &str = "DeletionByTaintManager";

/// Evicts this pod and no other of its name. A pod that is gone has been evicted.
pub(super) async fn evict(client: &Client, pod: &Pod, now: Timestamp) -> kube::Result<()> {
    let pods: Api<Pod> =
        Api::namespaced(client.clone(), pod.metadata.namespace.as_deref().unwrap_or_default());
    match mark_and_delete(&pods, pod, now).await {
        Err(error) if is_gone(&error) => Ok(()),
        result => result,
    }
}

async fn mark_and_delete(pods: &Api<Pod>, pod: &Pod, now: Timestamp) -> kube::Result<()> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if !is_marked(pod) {
        let condition = json!({
            "type": "DisruptionTarget",
            "status": "True",
            "reason": REASON,
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now),
            "observedGeneration": pod.metadata.generation,
        });
        // The uid makes it this pod or a conflict.
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}});
        pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    }
    let preconditions = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    pods.delete(name, &params).await.map(drop)
}

fn is_marked(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| {
        condition.type_ == "DisruptionTarget"
            && condition.status == "True"
            && condition.reason.as_deref() == Some(REASON)
    })
}
