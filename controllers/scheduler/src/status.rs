//! What the scheduler writes into a pod's status: a condition, and the node that is kept for it.
//!
//! In: a pod as it is known, and what is to be said of it. Out: a patch, or nothing if the pod says so already; and the
//! patch in the API. Patches name the version that they were made for: one that is late (the pod has been bound
//! meanwhile) must not be written. It is then made anew from what there is, if there is still reason to.
//!
//! Deliberately absent: `PodScheduled: True`, which the API server writes when it binds.

use std::sync::Arc;

use k8s_openapi::api::core::v1::PodCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::Backoff;
use keelson_controller_runtime::pod::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::nominations::nominated_node;
use crate::pod_info::Uid;

/// How often is tried to write a patch, made anew each time: because the pod changes under it, or the server is busy or
/// away. Together these take longer than another server needs to step in.
const TRIES: u32 = 8;

/// What is to be said of a pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) condition: Option<Condition>,
    pub(crate) nominated_node: NominatedNode,
}

/// A condition of a pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) kind: &'static str,
    pub(crate) status: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// The field `status.nominatedNodeName`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NominatedNode {
    /// As it is.
    Keep,
    None,
    Named(Arc<str>),
}

/// To which pods it may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Those that have no node. That a pod found none is no news once it has one.
    Waiting,
    Any,
}

/// What has to be changed in the pod's status, if anything.
fn plan(pod: &Pod, said: &Said, now: Timestamp) -> Option<Value> {
    let mut status = serde_json::Map::new();
    if let Some(condition) = said.condition.as_ref().and_then(|condition| renewed(pod, condition, now)) {
        status.insert("conditions".to_owned(), json!([condition]));
    }
    let nominated = match &said.nominated_node {
        NominatedNode::Keep => nominated_node(pod),
        NominatedNode::None => None,
        NominatedNode::Named(name) => Some(&**name),
    };
    if nominated != nominated_node(pod) {
        status.insert("nominatedNodeName".to_owned(), json!(nominated));
    }
    let meta = &pod.metadata;
    let identity = json!({"uid": meta.uid, "resourceVersion": meta.resource_version});
    (!status.is_empty()).then(|| json!({"metadata": identity, "status": status}))
}

/// The condition as it has to become; `None` if it is so.
fn renewed(pod: &Pod, said: &Condition, now: Timestamp) -> Option<PodCondition> {
    let known = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let known = known.into_iter().find(|condition| condition.type_ == said.kind);
    let turned = known.is_none_or(|known| known.status != said.status);
    let since = known.and_then(|known| known.last_transition_time.clone()).filter(|_| !turned);
    let condition = PodCondition {
        type_: said.kind.to_owned(),
        status: said.status.to_owned(),
        reason: Some(said.reason.to_owned()),
        message: Some(said.message.clone()),
        observed_generation: pod.metadata.generation,
        last_probe_time: known.and_then(|known| known.last_probe_time.clone()),
        last_transition_time: Some(since.unwrap_or(Time(now))),
    };
    (known != Some(&condition)).then_some(condition)
}

/// Says it. What is gone, or no longer of this audience, is not told: that is no error.
pub(crate) async fn write(
    client: &Client,
    known: &Arc<Pod>,
    said: &Said,
    audience: Audience,
) -> kube::Result<()> {
    let uid = Uid::of(known);
    let name = known.metadata.name.as_deref().unwrap_or_default();
    let namespace = known.metadata.namespace.as_deref().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let (mut pod, mut backoff) = (Pod::clone(known), Backoff::default());
    for attempt in 1.. {
        if Uid::of(&pod) != uid || (audience == Audience::Waiting && has_node(&pod)) {
            return Ok(());
        }
        let Some(patch) = plan(&pod, said, Timestamp::now()) else { return Ok(()) };
        match pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(error) if attempt == TRIES || !may_pass(&error) => return Err(error),
            Err(_) => sleep(backoff.next_delay()).await,
        }
        match pods.get_opt(name).await {
            Ok(Some(latest)) => pod = latest,
            Ok(None) => return Ok(()),
            // The next patch fails if the pod is another by now.
            Err(error) if may_pass(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether trying again makes sense.
fn may_pass(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 408 | 409 | 429 | 500..),
        _ => true,
    }
}

fn has_node(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MakePod, at};

    fn unschedulable(message: &str) -> Said {
        let condition = Condition {
            kind: "PodScheduled",
            status: "False",
            reason: "Unschedulable",
            message: message.to_owned(),
        };
        Said { condition: Some(condition), nominated_node: NominatedNode::Keep }
    }

    #[test]
    fn a_condition_is_written_with_the_generation_that_it_is_about() {
        let patch = plan(&MakePod::named("p").pod(), &unschedulable("full"), at(60).0);
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full",
            "observedGeneration": 1, "lastTransitionTime": "1970-01-01T00:01:00Z",
        });
        let expected = json!({
            "metadata": {"uid": "p", "resourceVersion": "1"}, "status": {"conditions": [condition]},
        });
        assert_eq!(patch, Some(expected));
    }

    #[test]
    fn what_a_pod_says_already_is_not_written_and_a_new_message_keeps_the_time_of_the_turn() {
        let mut pod = MakePod::named("p").pod();
        let said = unschedulable("full").condition.expect("it has one");
        let condition = renewed(&pod, &said, at(60).0).expect("it is new");
        pod.status.get_or_insert_default().conditions = Some(vec![condition]);
        assert_eq!(plan(&pod, &unschedulable("full"), at(70).0), None);
        let patch = plan(&pod, &unschedulable("fuller"), at(70).0).expect("the message is new");
        assert_eq!(patch["status"]["conditions"][0]["lastTransitionTime"], "1970-01-01T00:01:00Z");
        pod.metadata.generation = Some(2);
        assert!(plan(&pod, &unschedulable("full"), at(70).0).is_some(), "it is about another generation");
    }

    #[test]
    fn the_kept_node_is_named_and_taken_back() {
        let said = |nominated_node| Said { condition: None, nominated_node };
        let (free, kept) = (MakePod::named("p").pod(), MakePod::named("p").nominated("n").pod());
        let status = |pod, said| plan(pod, &said, at(0).0).map(|patch| patch["status"].clone());
        assert_eq!(
            status(&free, said(NominatedNode::Named("n".into()))),
            Some(json!({"nominatedNodeName": "n"}))
        );
        assert_eq!(status(&kept, said(NominatedNode::None)), Some(json!({"nominatedNodeName": null})));
        for (pod, word) in [
            (&free, NominatedNode::None),
            (&free, NominatedNode::Keep),
            (&kept, NominatedNode::Keep),
            (&kept, NominatedNode::Named("n".into())),
        ] {
            assert_eq!(status(pod, said(word)), None);
        }
    }
}
