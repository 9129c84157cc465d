//! DELETE of an object.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::{object::Object, resources::ResourceInfo, status::ApiError};
use serde_json::json;

use super::Call;
use crate::{
    answer::Response,
    codec,
    server::Server,
    write::{Deleted, Target, Write, delete_options::DeleteOptions},
};

pub(super) async fn delete(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let encoding = codec::encoding_of_body(&call.headers)?;
    let options = DeleteOptions::read(&call.info, &call.body, encoding)?;
    let write = Write { server, call, target: Target::of(call), dry_run: options.dry_run };
    let resource = call.request.resource;
    let mut response = match write.delete(&options).await? {
        Deleted::Waits(stored) => codec::respond(call, status_of_waiting(&options), &stored, &[])?,
        Deleted::Gone(stored) if resource.strategy.returns_deleted_object() => {
            codec::respond(call, StatusCode::OK, &stored, &[])?
        }
        Deleted::Gone(stored) => {
            codec::respond(call, StatusCode::OK, &success(resource, &stored.object), &[])?
        }
    };
    warn(resource, &options, &mut response);
    Ok(response)
}

/// Tells those what becomes of dependents who may not think of it.
pub(super) fn warn(resource: &ResourceInfo, options: &DeleteOptions, response: &mut Response) {
    let warning = resource.strategy.silent_deletion_warning().filter(|_| options.propagation().is_none());
    if let Some(warning) = warning {
        codec::warn(response.headers_mut(), warning);
    }
}

/// 202 for those who asked in the older way that dependents go, too. As upstream, everybody else expects 200.
fn status_of_waiting(options: &DeleteOptions) -> StatusCode {
    if options.orphan_dependents == Some(false) { StatusCode::ACCEPTED } else { StatusCode::OK }
}

/// The Status of a deletion. As upstream, its `kind` is the resource's plural.
fn success(resource: &ResourceInfo, object: &Object) -> Object {
    let mut details = json!({"name": object.name(), "kind": resource.plural, "uid": object.uid()});
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    Object(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    }))
}
