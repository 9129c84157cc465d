//! The scale of an object: how many replicas it wants and has, in the same form for every kind that has replicas.
//!
//! In: an `autoscaling/v1` Scale or a patch of one. Out: the object with `spec.replicas` changed, by way of all its
//! own rules; the answer is a Scale again.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::{field::FieldError, object::Object, resources::Verb, status::ApiError};
use keelson_api_schema::{builtin, decode_value, selector::LabelSelector};
use serde_json::json;

use super::{
    Call,
    patch::{Patch, apply::apply_scale, is_apply},
};
use crate::{
    answer::Response,
    codec,
    server::Server,
    write::{
        Change, Draft, Part, Target, Write,
        body::{self, Wanted},
        identity,
        options::WriteOptions,
    },
};

/// The kind of a scale.
const SCALE: Wanted<'_> = Wanted { group: "autoscaling", version: "v1", kind: "Scale" };

pub(super) async fn handle(server: &Arc<Server>, call: &Call, verb: Verb) -> Result<Response, ApiError> {
    match verb {
        Verb::Get => get(server, call).await,
        Verb::Update => update(server, call).await,
        Verb::Patch => patch(server, call).await,
        Verb::Create | Verb::Delete | Verb::DeleteCollection | Verb::List | Verb::Watch => {
            Err(ApiError::method_not_supported(call.request.resource, verb.name()))
        }
    }
}

async fn get(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let request = &call.request;
    let found = server.objects.get(request.resource, &request.namespace, &request.name).await?;
    let found = found.ok_or_else(|| ApiError::not_found(request.resource, &request.name))?;
    codec::respond(call, StatusCode::OK, &scale_of(&found.object)?, &[])
}

async fn update(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let options = WriteOptions::parse(&call.info, "UpdateOptions")?;
    let encoding = codec::encoding_of_body(&call.headers)?;
    let draft = body::read(&call.body, encoding, SCALE, options.validation)?;
    identity::check_name(&draft.object, &call.request)?;
    write(server, call, options, &|current| rescaled(&current.object, &draft)).await
}

async fn patch(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    if is_apply(&call.headers) {
        let written = apply_scale(server, call, SCALE).await?;
        return codec::respond(call, StatusCode::OK, &scale_of(&written.stored.object)?, &written.warnings);
    }
    let options = WriteOptions::parse_patch(&call.info)?;
    let patch = Patch::read(&call.headers, &call.body, options.validation)?;
    let change = |current: &crate::storage::Stored| {
        let draft = patch.apply(&scale_of(&current.object)?, SCALE, options.validation)?;
        identity::check_name(&draft.object, &call.request)?;
        rescaled(&current.object, &draft)
    };
    write(server, call, options, &change).await
}

async fn write(
    server: &Arc<Server>,
    call: &Call,
    options: WriteOptions,
    change: &Change<'_>,
) -> Result<Response, ApiError> {
    let write = Write { server, call, target: Target::of(call), dry_run: options.dry_run };
    let written = write.update(Part::Main, change).await?;
    let request = &call.request;
    let written = written.ok_or_else(|| ApiError::not_found(request.resource, &request.name))?;
    codec::respond(call, StatusCode::OK, &scale_of(&written.stored.object)?, &written.warnings)
}

/// The object with as many replicas as the scale wants, and with the scale's preconditions.
fn rescaled(object: &Object, scale: &Draft) -> Result<Draft, ApiError> {
    let wanted = scale.object.integer(&["spec", "replicas"]).unwrap_or(0);
    if wanted < 0 {
        let detail = "must be greater than or equal to 0";
        let error = FieldError::invalid("spec.replicas", wanted, detail);
        return Err(ApiError::invalid("autoscaling", "Scale", object.name(), &[error]));
    }
    let mut rescaled = object.clone();
    rescaled.set(&["spec", "replicas"], wanted);
    for precondition in ["uid", "resourceVersion"] {
        let path = ["metadata", precondition];
        match scale.object.get(&path) {
            Some(value) => rescaled.set(&path, value.clone()),
            None => drop(rescaled.remove(&path)),
        }
    }
    Ok(Draft { object: rescaled, warnings: scale.warnings.clone() })
}

/// An object's scale.
fn scale_of(object: &Object) -> Result<Object, ApiError> {
    let selector = object.get(&["spec", "selector"]).cloned().unwrap_or_default();
    let selector = match object.text(&["kind"]) {
        // It is older than selectors with operators.
        "ReplicationController" => LabelSelector::from_map(&selector),
        _ => LabelSelector::from_object(&selector).map_err(ApiError::internal)?,
    };
    let mut scale = Object(json!({
        "kind": SCALE.kind, "apiVersion": SCALE.api_version(),
        "metadata": {},
        "spec": {"replicas": object.integer(&["spec", "replicas"]).unwrap_or(0)},
        "status": {
            "replicas": object.integer(&["status", "replicas"]).unwrap_or(0),
            "selector": selector.to_string(),
        },
    }));
    for shared in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.get(&["metadata", shared]) {
            scale.set(&["metadata", shared], value.clone());
        }
    }
    let canonical = decode_value(builtin(), SCALE.ty(), scale.0).map_err(ApiError::internal)?;
    Ok(Object(canonical.value))
}
