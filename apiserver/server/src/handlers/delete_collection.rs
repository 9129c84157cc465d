//! DELETE of a collection: all objects that a list with the same query would show, each as if it were deleted alone.
//!
//! What is created meanwhile stays; what somebody else deletes meanwhile is no failure.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use keelson_api_registry::{object::Object, status::ApiError};

use serde_json::json;

use super::{
    Call,
    list::{self, options::ListOptions},
};
use crate::{
    answer::Response,
    cache::CachedObject,
    codec,
    selection::Selection,
    server::Server,
    storage::from_storage,
    write::{Target, Write, delete_options::DeleteOptions},
};

/// How many deletions are under way at once: enough to share the store's batches, too few to crowd others out.
const AT_ONCE: usize = 16;

pub(super) async fn delete_collection(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let encoding = codec::encoding_of_body(&call.headers)?;
    let options = DeleteOptions::read(&call.info, &call.body, encoding)?;
    let chosen_by = ListOptions::parse(&call.info)?;
    let request = &call.request;
    let (labels, fields) = (call.info.parameter("labelSelector"), call.info.parameter("fieldSelector"));
    let selection = Selection::parse(request.resource, labels, fields)?;
    let chosen = list::page::read(&server.objects, request, &chosen_by, &selection).await?.objects;
    let deletions = stream::iter(chosen.iter().cloned().map(|object| one(server, call, &options, object)));
    deletions.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    codec::respond(call, StatusCode::OK, &list_of(call, &chosen)?, &[])
}

async fn one(
    server: &Arc<Server>,
    call: &Call,
    options: &DeleteOptions,
    object: Arc<CachedObject>,
) -> Result<(), ApiError> {
    let target = Target { namespace: &object.namespace, name: &object.name, ..Target::of(call) };
    let write = Write { server, call, target, dry_run: options.dry_run };
    match write.delete(options).await {
        Ok(_) => Ok(()),
        Err(error) if error.reason == "NotFound" => Ok(()),
        Err(error) => Err(error),
    }
}

/// What was chosen, as it was.
fn list_of(call: &Call, chosen: &[Arc<CachedObject>]) -> Result<Object, ApiError> {
    let resource = call.request.resource;
    let items = chosen.iter().map(|object| from_storage(resource, object.object()).map(|object| object.0));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    Ok(Object(json!({
        "kind": resource.list_kind(), "apiVersion": resource.api_version(), "metadata": {}, "items": items,
    })))
}
