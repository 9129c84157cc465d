//! From an allowed request to the module that answers it. Dispatch only.
//!
//! In: a [`Call`]. Out: a response, or the failure that the chain turns into a Status.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use keelson_api_registry::{
    request::{RequestInfo, ResourceRequest},
    resources::{Storage, Verb},
    status::ApiError,
};
use time::OffsetDateTime;

use crate::{
    answer::Response,
    reviews,
    server::{Allowed, Server, User},
    write::Part,
};

pub mod get;
pub mod list;
pub mod watch;

mod binding;
mod component_status;
mod create;
mod delete;
mod delete_collection;
mod eviction;
mod own_rules;
mod patch;
mod pod_streams;
mod proxy;
mod scale;
mod update;

/// A request to a resource that the chain let pass.
pub struct Call {
    /// What is asked of which object.
    pub request: ResourceRequest,
    /// The same as path and query.
    pub info: RequestInfo,
    /// Who asks.
    pub user: User,
    /// The request's headers.
    pub headers: HeaderMap,
    /// Its body, read to the end.
    pub body: Bytes,
    /// The authorizer's word that they may.
    pub allowed: Allowed,
    /// When it arrived.
    pub now: OffsetDateTime,
    /// The connection itself, once HTTP is done with it; `None` where it cannot be had.
    pub upgrade: Option<OnUpgrade>,
}

/// Answers a call.
///
/// # Errors
/// Whatever the resource, its rules, or the store has against it.
pub async fn handle(server: &Arc<Server>, call: Call) -> Result<Response, ApiError> {
    let subresource = call.request.subresource.map(|subresource| subresource.name);
    match (subresource, call.request.verb) {
        (None, _) if call.request.resource.storage == Storage::Question => question(server, &call).await,
        (None, verb) => object(server, &call, verb).await,
        (Some("status"), verb) => part(server, &call, Part::Status, verb).await,
        (Some("finalize"), verb) => part(server, &call, Part::Finalize, verb).await,
        (Some("scale"), verb) => scale::handle(server, &call, verb).await,
        (Some("binding"), Verb::Create) => binding::create(server, &call).await,
        (Some("approval" | "ephemeralcontainers" | "resize"), verb) => {
            own_rules::handle(server, call, verb).await
        }
        (Some("eviction"), Verb::Create) => eviction::create(server, &call).await,
        (Some("token"), Verb::Create) => reviews::token_request(server, &call).await,
        (Some("log"), Verb::Get) => pod_streams::log(server, &call).await,
        (Some("exec"), _) => pod_streams::exec(server, &call).await,
        (Some("attach"), _) => pod_streams::attach(server, &call).await,
        (Some("portforward"), _) => pod_streams::port_forward(server, &call).await,
        (Some("proxy"), _) => proxy::handle(server, &call).await,
        (Some(_), _) => Err(ApiError::no_such_path()),
    }
}

async fn question(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    match call.request.resource.kind {
        "Binding" => binding::create(server, call).await,
        "ComponentStatus" => component_status::answer(server, call).await,
        _ => reviews::answer(server, call).await,
    }
}

async fn object(server: &Arc<Server>, call: &Call, verb: Verb) -> Result<Response, ApiError> {
    match verb {
        Verb::Get => get::get(server, call).await,
        Verb::List => list::list(server, call).await,
        Verb::Watch => watch::watch(server, call).await,
        Verb::Create => create::create(server, call).await,
        Verb::Update => update::update(server, call, Part::Main).await,
        Verb::Patch => patch::patch(server, call, Part::Main).await,
        Verb::Delete => delete::delete(server, call).await,
        Verb::DeleteCollection => delete_collection::delete_collection(server, call).await,
    }
}

async fn part(server: &Arc<Server>, call: &Call, part: Part, verb: Verb) -> Result<Response, ApiError> {
    match verb {
        Verb::Get => get::get(server, call).await,
        Verb::Update => update::update(server, call, part).await,
        Verb::Patch => patch::patch(server, call, part).await,
        Verb::Create | Verb::Delete | Verb::DeleteCollection | Verb::List | Verb::Watch => {
            Err(ApiError::method_not_supported(call.request.resource, verb.name()))
        }
    }
}

#[cfg(test)]
mod tests;
