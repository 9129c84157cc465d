//! POST to a collection: a new object.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::status::ApiError;

use super::Call;
use crate::{
    answer::Response,
    codec,
    server::Server,
    write::{
        Target, Write,
        body::{self, Wanted},
        options::WriteOptions,
    },
};

pub(super) async fn create(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let options = WriteOptions::parse(&call.info, "CreateOptions")?;
    let encoding = codec::encoding_of_body(&call.headers)?;
    let wanted = Wanted::of(call.request.resource);
    let draft = body::read(&call.body, encoding, wanted, options.validation)?;
    let write = Write { server, call, target: Target::of(call), dry_run: options.dry_run };
    let written = write.create(draft).await?;
    codec::respond(call, StatusCode::CREATED, &written.stored, &written.warnings)
}
