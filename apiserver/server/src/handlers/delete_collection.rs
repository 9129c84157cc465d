//! DELETE of a collection: all objects that a list with the same query would show, each as if it were deleted alone.
//!
//! What is created meanwhile stays; what somebody else deletes meanwhile is no failure.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use keelson_api_registry::status::ApiError;

use super::{
    Call, delete,
    list::{self, options::ListOptions},
};
use crate::{
    answer::Response,
    cache::CachedObject,
    codec::{self, Wanted},
    selection::Selection,
    server::Server,
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
    let wanted = Wanted::of(&call.headers, &call.info)?;
    let chosen = list::page::read(&server.objects, request, &chosen_by, &selection).await?;
    let deletions = chosen.objects.iter().cloned().map(|object| one(server, call, &options, object));
    stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    // As they were.
    let mut response = list::respond(call, &wanted, chosen).await?;
    delete::warn(request.resource, &options, &mut response);
    Ok(response)
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
