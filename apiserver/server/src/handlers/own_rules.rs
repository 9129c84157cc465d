//! Parts of an object that change by rules of their own: a pod's ephemeral containers and the size of its containers,
//! what was decided about a certificate request.
//!
//! In: a call to such a part. Out: the answer of a call to the object, by those rules.
//!
//! Deliberately absent: the rules ([`Strategy`]).

use std::sync::{Arc, OnceLock};

use keelson_api_registry::{
    kinds::{certificates::signing_request::Approval, pod},
    resources::{ResourceInfo, Verb},
    status::ApiError,
    strategy::Strategy,
};

use super::{Call, part};
use crate::{answer::Response, server::Server, write::Part};

/// A part with rules of its own.
struct Row {
    subresource: &'static str,
    /// Which of the object's parts it can change.
    part: Part,
    rules: &'static dyn Strategy,
    /// The resource, but for the rules.
    resource: OnceLock<ResourceInfo>,
}

const fn row(subresource: &'static str, part: Part, rules: &'static dyn Strategy) -> Row {
    Row { subresource, part, rules, resource: OnceLock::new() }
}

static ROWS: [Row; 3] = [
    row("approval", Part::Status, &Approval),
    row("ephemeralcontainers", Part::Main, &pod::EphemeralContainers),
    row("resize", Part::Main, &pod::Resize),
];

pub(super) async fn handle(server: &Arc<Server>, mut call: Call, verb: Verb) -> Result<Response, ApiError> {
    let subresource = call.request.subresource.map_or("", |subresource| subresource.name);
    let row = ROWS.iter().find(|row| row.subresource == subresource).ok_or_else(ApiError::no_such_path)?;
    let resource = call.request.resource;
    call.request.resource = row.resource.get_or_init(|| ResourceInfo { strategy: row.rules, ..*resource });
    part(server, &call, row.part, verb).await
}
