//! Writes the steps of the plan into Nodes, each only on the Node that the plan has seen.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::cidr::Cidr;
use super::plan::CLAIM_ANNOTATION;

/// Whether a write has taken place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Written,
    /// The node has changed or is gone: the cache will say so.
    Overtaken,
}

/// Writes the claim.
pub(super) async fn claim(nodes: &Api<Node>, node: &Node, blocks: &[Cidr]) -> kube::Result<Outcome> {
    let patch = json!({"metadata": {
        "resourceVersion": node.metadata.resource_version,
        "uid": node.metadata.uid,
        "annotations": {CLAIM_ANNOTATION: listed(blocks)},
    }});
    write(nodes, node, &patch).await
}

/// Makes the claim the node's podCIDRs.
pub(super) async fn settle(nodes: &Api<Node>, node: &Node, blocks: &[Cidr]) -> kube::Result<Outcome> {
    let texts = texts(blocks);
    let patch = json!({
        "metadata": {
            "resourceVersion": node.metadata.resource_version,
            "uid": node.metadata.uid,
            "annotations": {CLAIM_ANNOTATION: null},
        },
        "spec": {"podCIDR": texts.first(), "podCIDRs": texts},
    });
    write(nodes, node, &patch).await
}

/// The blocks as one text, separated by commas.
pub(super) fn listed(blocks: &[Cidr]) -> String {
    texts(blocks).join(",")
}

fn texts(blocks: &[Cidr]) -> Vec<String> {
    blocks.iter().map(ToString::to_string).collect()
}

async fn write(nodes: &Api<Node>, node: &Node, patch: &Value) -> kube::Result<Outcome> {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    match nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(Outcome::Written),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
            Ok(Outcome::Overtaken)
        }
        Err(error) => Err(error),
    }
}
