//! Reads one object: linearizable, whatever resourceVersion is asked for.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::status::ApiError;

use super::{
    Call,
    list::options::{self, ResourceVersion},
};
use crate::{
    answer::{self, Response},
    codec::{Count, Media, Rendering, Wanted, protobuf::PROTOBUF, send},
    server::Server,
    storage::ObjectKey,
    write::body,
};

/// Answers with the object of the call.
///
/// # Errors
/// 404 where there is none; 400 for a resourceVersion that is none, 504 for one that is yet to come; 406 for
/// forms that are not known; 503 and 504 without a quorum.
pub async fn get(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let request = &call.request;
    let wanted = Wanted::of(&call.headers, &call.info)?;
    let asked = ResourceVersion::of(call.info.parameter("resourceVersion").unwrap_or_default())?;
    let key = ObjectKey::new(request.resource, &request.namespace, &request.name)?.bytes();
    let (shard, _) = server.objects.fresh(request.resource).await?;
    let (found, revision) = shard.find(&key)?;
    options::check_reached(asked, revision)?;
    let found = found.ok_or_else(|| ApiError::not_found(request.resource, &request.name))?;
    wanted.check_count(Count::One, body::Wanted::of(request.resource))?;
    let rendering = Rendering::new(request.resource, &wanted, call.now);
    if wanted.media == Media::Protobuf {
        let body = rendering.framed(&found)?;
        return Ok(answer::object_bytes(StatusCode::OK, PROTOBUF, body));
    }
    Ok(send(&wanted, StatusCode::OK, &rendering.document(&found, true)?))
}
