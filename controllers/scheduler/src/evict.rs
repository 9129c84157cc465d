//! Makes pods leave that have to make room.
//!
//! In: a decision of [`crate::preemption`]. Out: each victim says why it goes, is deleted with its own grace period, and
//! an event tells users. A victim that is gone already, or on its way, needs nothing.

use std::sync::Arc;

use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{EventRecorder, reference_to};
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Client};

use crate::pod_info::PodInfo;
use crate::preemption::{PREEMPTED, Preemption};
use crate::status::{self, Audience, Condition, NominatedNode, Said};

/// Makes all victims leave. The first that cannot be told ends it: the pod that needs the room then tries anew.
pub(crate) async fn evict(
    client: &Client,
    events: &EventRecorder,
    preemptor: &PodInfo,
    preemption: &Preemption,
) -> kube::Result<()> {
    let victims = preemption.victims.iter().filter(|victim| !victim.is_being_deleted());
    for victim in victims {
        evict_one(client, preemptor, &victim.pod).await?;
        let message = format!("Preempted by pod {} on node {}", preemptor.uid, preemption.node);
        events.normal(&reference_to(&*victim.pod), "Preempted", message);
        tracing::info!(pod = %preemptor.key, victim = %victim.key, node = %preemption.node, "preempted");
    }
    Ok(())
}

async fn evict_one(client: &Client, preemptor: &PodInfo, victim: &Arc<Pod>) -> kube::Result<()> {
    let scheduler = preemptor.spec().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or_default();
    let condition = Condition {
        kind: "DisruptionTarget",
        status: "True",
        reason: PREEMPTED,
        message: format!("{scheduler}: preempting to accommodate a higher priority pod"),
    };
    let said = Said { condition: Some(condition), nominated_node: NominatedNode::Keep };
    status::write(client, victim, &said, Audience::Any).await?;
    let meta = &victim.metadata;
    let pods: Api<Pod> = Api::namespaced(client.clone(), meta.namespace.as_deref().unwrap_or_default());
    let preconditions = Some(Preconditions { uid: meta.uid.clone(), resource_version: None });
    let params = DeleteParams { preconditions, ..DeleteParams::default() };
    match pods.delete(meta.name.as_deref().unwrap_or_default(), &params).await {
        Ok(_) => Ok(()),
        // Somebody was faster; another pod may have its name by now.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}
