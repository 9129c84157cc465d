//! A node's identity changes what is the node's own: its Node, its Lease, its drivers, the pods that it runs and their
//! tokens.
//!
//! Deliberately absent: what nodes may read ([`crate::authz::nodes`]).
//!
//! Source: `plugin/pkg/admission/noderestriction` of Kubernetes.

use keelson_api_registry::{object::Object, status::ApiError};
use serde_json::Value;

use super::{Attributes, MIRROR, Operation, Validate, Verdict, known};
use crate::{
    authn::{User, jwt::Holder},
    authz::nodes::{LEASES, node_of},
};

/// Labels that keep their meaning only as long as nodes do not give them to themselves.
const RESTRICTED_LABELS: &str = "node-restriction.kubernetes.io/";

/// The admission step.
pub(super) struct NodeRestriction;

impl Validate for NodeRestriction {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        node_of(write.user).is_some()
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, object: Option<&'a Object>) -> Verdict<'a> {
        Box::pin(async move {
            let Some(node) = node_of(write.user) else { return Ok(()) };
            let why = match (write.resource.group, write.resource.plural) {
                ("", "pods") => match (write.operation, object) {
                    (Operation::Delete, _) => wrong_deletion(write, node).await?,
                    (_, Some(pod)) => wrong_with_pod(write, node, pod),
                    (_, None) => None,
                },
                ("", "nodes") => wrong_with_node(write, node, object),
                ("coordination.k8s.io", "leases") => wrong_with_lease(write, node, object),
                ("storage.k8s.io", "csinodes") => named_after(write, node, object, "CSINode"),
                ("resource.k8s.io", "resourceslices") => {
                    object.and_then(|slice| wrong_with_slice(node, slice))
                }
                _ => None,
            };
            why.map_or(Ok(()), |why| Err(write.forbidden(why)))
        })
    }
}

/// Refuses a node a token that is not of a pod that it runs.
///
/// # Errors
/// 403.
pub(crate) fn check_token(user: &User, holder: &Holder) -> Result<(), ApiError> {
    let Some(node) = node_of(user) else { return Ok(()) };
    let why = match (&holder.pod, &holder.node) {
        (None, _) => "node requested token not bound to a pod",
        (Some(_), Some(own)) if own.name == node => return Ok(()),
        (Some(_), _) => "node requested token bound to a pod scheduled on a different node",
    };
    let accounts = known("", "serviceaccounts");
    Err(ApiError::forbidden_object(accounts, &holder.serviceaccount.name, why))
}

fn runs_on(pod: &Object, node: &str) -> bool {
    pod.text(&["spec", "nodeName"]) == node
}

async fn wrong_deletion(write: &Attributes<'_>, node: &str) -> Result<Option<String>, ApiError> {
    let pod = write.server.objects.get(known("", "pods"), write.namespace, write.name).await?;
    let is_others = pod.is_some_and(|pod| !runs_on(&pod.object, node));
    Ok(is_others.then(|| format!("node {node:?} can only delete pods with spec.nodeName set to itself")))
}

fn wrong_with_pod(write: &Attributes<'_>, node: &str, pod: &Object) -> Option<String> {
    match (write.operation, write.subresource) {
        (Operation::Create, "") => {
            let is_mirror = pod.get(&["metadata", "annotations", MIRROR]).is_some();
            match (is_mirror, runs_on(pod, node)) {
                (false, _) => Some(format!(
                    "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
                )),
                (true, false) => {
                    Some(format!("node {node:?} can only create pods with spec.nodeName set to itself"))
                }
                (true, true) => None,
            }
        }
        (Operation::Update, "status") => {
            let old = write.old.unwrap_or(pod);
            if !runs_on(old, node) {
                return Some(format!(
                    "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
                ));
            }
            (old.labels() != pod.labels())
                .then(|| format!("node {node:?} cannot update labels through pod status"))
        }
        (Operation::Create | Operation::Update | Operation::Delete, part) => {
            Some(format!("unexpected operation on pods/{part} by node {node:?}"))
        }
    }
}

fn wrong_with_node(write: &Attributes<'_>, node: &str, object: Option<&Object>) -> Option<String> {
    let name = object.map_or(write.name, Object::name);
    if name != node {
        return Some(format!("node {node:?} is not allowed to modify node {name:?}"));
    }
    let object = object?;
    let labels = |object: &Object| -> Vec<(String, Value)> {
        let all = object.map(&["metadata", "labels"]).into_iter().flatten();
        let restricted = all.filter(|(key, _)| {
            key.split('/').next().is_some_and(|domain| {
                let own = RESTRICTED_LABELS.trim_end_matches('/');
                domain == own || domain.ends_with(&format!(".{own}"))
            })
        });
        restricted.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let (now, before) = (labels(object), write.old.map(labels).unwrap_or_default());
    let changed: Vec<&str> = now
        .iter()
        .filter(|label| !before.contains(label))
        .chain(before.iter().filter(|(key, _)| !now.iter().any(|(other, _)| other == key)))
        .map(|(key, _)| key.as_str())
        .collect();
    if !changed.is_empty() {
        let verb = if write.old.is_none() { "set" } else { "modify" };
        return Some(format!(
            "node {node:?} is not allowed to {verb} the following labels: {}",
            changed.join(", ")
        ));
    }
    let taints = |object: &Object| object.list(&["spec", "taints"]).to_vec();
    let old = write.old?;
    (taints(old) != taints(object)).then(|| format!("node {node:?} is not allowed to modify taints"))
}

fn wrong_with_lease(write: &Attributes<'_>, node: &str, lease: Option<&Object>) -> Option<String> {
    let name = lease.map_or(write.name, Object::name);
    if write.namespace != LEASES {
        return Some(format!("can only access leases in the {LEASES:?} system namespace"));
    }
    (name != node).then(|| "can only access node lease with the same name as the requesting node".to_owned())
}

fn named_after(write: &Attributes<'_>, node: &str, object: Option<&Object>, kind: &str) -> Option<String> {
    let name = object.map_or(write.name, Object::name);
    (name != node).then(|| format!("can only access {kind} with the same name as the requesting node"))
}

fn wrong_with_slice(node: &str, slice: &Object) -> Option<String> {
    let own = slice.text(&["spec", "nodeName"]) == node;
    (!own).then(|| {
        "can only create or update ResourceSlice with the same NodeName as the requesting node".to_owned()
    })
}
