//! A pod is given to a node: POST to `pods/<name>/binding`, or to `bindings`.
//!
//! In: a Binding. Out: the pod has its node, once and for all, and says so in its conditions.
//!
//! Source: `pkg/registry/core/pod/storage` of Kubernetes.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::{
    field::FieldError,
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
};
use keelson_api_schema::{builtin, decode_value};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Call;
use crate::{
    answer::Response,
    codec,
    server::Server,
    storage::Stored,
    write::{
        Draft, Part, Target, Write,
        body::{self, Wanted},
        identity,
        options::WriteOptions,
    },
};

/// A Binding, in whatever way it comes.
const BINDING: Wanted<'_> = Wanted { group: "", version: "v1", kind: "Binding" };

pub(super) async fn create(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let options = WriteOptions::parse(&call.info, "CreateOptions")?;
    let encoding = codec::encoding_of_body(&call.headers)?;
    let mut draft = body::read(&call.body, encoding, BINDING, options.validation)?;
    let namespace = &call.request.namespace;
    identity::settle_namespace(&mut draft.object, namespace)?;
    let binding = draft.object;
    check(&binding, &call.request.name)?;
    let target = Target { resource: pods(), namespace, name: binding.name(), subresource: "binding" };
    let write = Write { server, call, target, dry_run: options.dry_run };
    let bound = write.update(Part::Binding, &|pod: &Stored| bind(&pod.object, &binding, call.now)).await?;
    bound.ok_or_else(|| ApiError::not_found(pods(), binding.name()))?;
    let success =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    codec::respond(call, StatusCode::CREATED, &Object(success), &draft.warnings)
}

fn pods() -> &'static ResourceInfo {
    resources::find("", "v1", "pods").expect("the table has pods")
}

fn check(binding: &Object, name: &str) -> Result<(), ApiError> {
    if !name.is_empty() && name != binding.name() {
        return Err(ApiError::bad_request("name in URL does not match name in Binding object"));
    }
    let mut errors = Vec::new();
    let kind = binding.text(&["target", "kind"]);
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported("target.kind", kind, &["Node", "<empty>"]));
    }
    if binding.text(&["target", "name"]).is_empty() {
        errors.push(FieldError::required("target.name", ""));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid("", "Binding", binding.name(), &errors)),
    }
}

/// The pod with its node.
fn bind(pod: &Object, binding: &Object, now: OffsetDateTime) -> Result<Draft, ApiError> {
    check_free(pod)?;
    let mut bound = pod.clone();
    for precondition in ["uid", "resourceVersion"] {
        let path = ["metadata", precondition];
        match binding.get(&path) {
            Some(wanted) => bound.set(&path, wanted.clone()),
            None => drop(bound.remove(&path)),
        }
    }
    bound.set(&["spec", "nodeName"], binding.text(&["target", "name"]));
    // The promise is kept, or overtaken; nobody is to count it beside the pod (KEP-5278).
    bound.remove(&["status", "nominatedNodeName"]);
    for (key, value) in binding.map(&["metadata", "annotations"]).into_iter().flatten() {
        bound.set(&["metadata", "annotations", key], value.clone());
    }
    set_scheduled(&mut bound, now);
    let canonical = decode_value(builtin(), pods().schema(), bound.0).map_err(ApiError::internal)?;
    Ok(Draft { object: Object(canonical.value), warnings: Vec::new() })
}

fn check_free(pod: &Object) -> Result<(), ApiError> {
    let (name, node) = (pod.name(), pod.text(&["spec", "nodeName"]));
    let why = if pod.is_being_deleted() {
        format!("pod {name} is being deleted, cannot be assigned to a host")
    } else if !node.is_empty() {
        format!("pod {name} is already assigned to node {node:?}")
    } else if !pod.list(&["spec", "schedulingGates"]).is_empty() {
        format!("pod {name} has non-empty .spec.schedulingGates")
    } else {
        return Ok(());
    };
    let message = format!("Operation cannot be fulfilled on pods/binding {name:?}: {why}");
    Err(ApiError::new(StatusCode::CONFLICT, "Conflict", message).about("", "pods/binding", name))
}

/// Notes in the conditions that the pod has its node.
fn set_scheduled(pod: &mut Object, now: OffsetDateTime) {
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null,
        "lastTransitionTime": identity::timestamp(now), "observedGeneration": pod.generation(),
    });
    let mut conditions: Vec<Value> = pod.list(&["status", "conditions"]).to_vec();
    match conditions.iter_mut().find(|known| known["type"] == "PodScheduled") {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    pod.set(&["status", "conditions"], conditions);
}
