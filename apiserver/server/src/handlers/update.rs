//! PUT to an object or to a part of it: what the client says takes the place of what is there.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::status::ApiError;

use super::Call;
use crate::{
    answer::Response,
    authz::attributes::{Attributes, Object, ResourceAttributes},
    codec,
    server::Server,
    write::{
        Part, Target, Write,
        body::{self, Wanted},
        identity,
        options::WriteOptions,
    },
};

pub(super) async fn update(server: &Arc<Server>, call: &Call, part: Part) -> Result<Response, ApiError> {
    let options = WriteOptions::parse(&call.info, "UpdateOptions")?;
    let encoding = codec::encoding_of_body(&call.headers)?;
    let resource = call.request.resource;
    let draft = body::read(&call.body, encoding, Wanted::of(resource), options.validation)?;
    identity::check_name(&draft.object, &call.request)?;
    let write = Write { server, call, target: Target::of(call), dry_run: options.dry_run };
    if let Some(written) = write.update(part, &|_| Ok(draft.clone())).await? {
        return codec::respond(call, StatusCode::OK, &written.stored, &written.warnings);
    }
    if part != Part::Main || !resource.strategy.creates_on_update() {
        return Err(ApiError::not_found(resource, &call.request.name));
    }
    check_may_create(server, call)?;
    let written = write.create(draft).await?;
    codec::respond(call, StatusCode::CREATED, &written.stored, &written.warnings)
}

/// The chain has only asked whether the client may update or patch.
///
/// # Errors
/// 403.
pub(super) fn check_may_create(server: &Server, call: &Call) -> Result<(), ApiError> {
    let object = ResourceAttributes {
        group: call.request.resource.group,
        resource: call.request.resource.plural,
        subresource: "",
        namespace: &call.request.namespace,
        name: &call.request.name,
        selector: None,
    };
    let creation = Attributes { verb: "create", object: Object::Resource(object) };
    match server.authorizer.allows(&call.user, &creation) {
        true => Ok(()),
        false => Err(creation.forbidden(&call.user, "")),
    }
}
