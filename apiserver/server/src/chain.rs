//! What happens to every request, top to bottom in the order in which it happens.
//!
//! In: a request of somebody at the other end of a connection. Out: a response, always: what fails becomes a
//! Status, and so does a panic, which is a fault of this server's and ends nothing but its request.
//!
//! Deliberately absent: what a request asks for (`handlers`, `paths`), and any way around these stations.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header, request::Parts};
use http_body::Body as HttpBody;
use hyper::upgrade::OnUpgrade;
use keelson_api_registry::{
    request::{self, RequestInfo, Target},
    status::ApiError,
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    answer::{self, Response},
    aside,
    authn::{Peer, impersonation},
    authz::{
        Allowed,
        attributes::{Attributes, Words},
    },
    body, codec, compress, deadline, deprecation,
    flow::is_long_running,
    handlers::Call,
    paths, record,
    server::{Phase, Server, User},
    uid,
};

/// The header by which a request is found again in logs.
const AUDIT_ID: &str = "audit-id";

/// Audit ids of clients that are longer are not taken over.
const MAX_AUDIT_ID_BYTES: usize = 64;

/// Answers a request.
pub async fn answer<B>(server: Arc<Server>, peer: Arc<Peer>, request: Request<B>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + Unpin,
    B::Error: std::fmt::Display,
{
    let began = Instant::now();
    let (head, body) = request.into_parts();
    if !request::is_well_formed(head.uri.path()) {
        return malformed(head.version);
    }
    let audit_id = audit_id(&head.headers);
    let info = RequestInfo::parse(&head.method, &head.uri);
    let stations = stations(&server, &peer, &head, info.clone(), body);
    let result = AssertUnwindSafe(stations).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(?audit_id, method = %head.method, uri = %head.uri, "a handler panicked");
        Err(ApiError::internal("the request ended in a fault of this server"))
    });
    let known = info.as_ref().ok();
    let mut response = result.unwrap_or_else(|error| match head.uri.path() {
        path if error.is_no_such_path() && !paths::is_below_an_api(path) => codec::no_such_page(),
        _ => codec::failure(&error, &head.headers, known),
    });
    if head.method != Method::HEAD && known.is_none_or(|info| !is_long_running(info)) {
        response = compress::compressed(&head.headers, response).await;
    }
    log(&head, &audit_id, response.status(), began);
    let headers = response.headers_mut();
    headers.insert(AUDIT_ID, audit_id);
    if server.phase() != Phase::Serving && head.version <= Version::HTTP_11 {
        // HTTP/1.1 has no other way to tell a client that it should ask somebody else from now on.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    record::observe(&server.metrics, &head.method, known, response.status(), began.elapsed());
    // The answer to a HEAD is a GET's without the body: HTTP/2 clients hang up on one that has it.
    if head.method == Method::HEAD { response.map(|_| answer::no_body()) } else { response }
}

/// A line for each request, for those who ask for so much: a client's `Audit-Id` leads to it.
fn log(head: &Parts, audit_id: &HeaderValue, status: StatusCode, began: Instant) {
    let (client, took) = (head.headers.get(header::USER_AGENT), began.elapsed());
    tracing::debug!(method = %head.method, uri = %head.uri, status = status.as_u16(), ?took, ?client, ?audit_id, "answered");
}

/// What Go's server says of a path that cannot be unescaped, before anything of upstream sees it.
fn malformed(version: Version) -> Response {
    let mut response = answer::text(StatusCode::BAD_REQUEST, "400 Bad Request");
    if version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The stations of a request, in order. What is thrown at one of them is what the client gets.
async fn stations<B>(
    server: &Arc<Server>,
    peer: &Peer,
    head: &Parts,
    info: Result<RequestInfo, ApiError>,
    body: B,
) -> Result<Response, ApiError>
where
    B: HttpBody<Data = Bytes> + Send + Unpin,
    B::Error: std::fmt::Display,
{
    let now = server.now();
    let limit = match &info {
        Ok(info) => deadline::limit_for(info, server.options.request_timeout)?,
        Err(_) => Some(server.options.request_timeout),
    };
    let work = async {
        let user = authenticate(server, peer, &head.headers, now).await?;
        // What does not exist is told only to those who showed who they are.
        let info = admit_anonymous(&user, info)?;
        let user = impersonation::act_as(&server.authorizer, user, &head.headers)?;
        let _slot = server.flow.enter(&info, &head.method, &user)?;
        let allowed = authorize(server, &user, head, &info).await?;
        let body = body::read(&head.headers, body).await?;
        dispatch(server, head, info, Asking { user, allowed, now }, body).await
    };
    // Boxed: the stations' future is as large as the largest handler's.
    deadline::keep(limit, &head.method, Box::pin(work)).await
}

/// Who asks, may they, and when.
struct Asking {
    user: User,
    allowed: Allowed,
    now: OffsetDateTime,
}

async fn authenticate(
    server: &Server,
    peer: &Peer,
    headers: &HeaderMap,
    now: OffsetDateTime,
) -> Result<User, ApiError> {
    server.authenticator.authenticate(peer, headers, &server.tokens, &server.objects, now).await
}

/// Who shows no credentials sees what load balancers and installers must see, and nothing else.
fn admit_anonymous(user: &User, info: Result<RequestInfo, ApiError>) -> Result<RequestInfo, ApiError> {
    let is_public = info.as_ref().is_ok_and(paths::is_public);
    if user.is_anonymous() && !is_public { Err(ApiError::unauthorized()) } else { info }
}

async fn authorize(
    server: &Server,
    user: &User,
    head: &Parts,
    info: &RequestInfo,
) -> Result<Allowed, ApiError> {
    if paths::is_public(info) {
        return Ok(server.authorizer.public());
    }
    let words = Words::of(&head.method, info);
    server.authorizer.authorize_now(&server.objects, user, &Attributes::of(info, &words)).await
}

async fn dispatch(
    server: &Arc<Server>,
    head: &Parts,
    info: RequestInfo,
    asking: Asking,
    body: Bytes,
) -> Result<Response, ApiError> {
    let Asking { user, allowed, now } = asking;
    let request = match &info.target {
        Target::Path => return paths::answer(server, head, &info, &allowed).await,
        Target::Resource(request) => request.clone(),
    };
    let upgrade = head.extensions.get::<OnUpgrade>().cloned();
    let resource = request.resource;
    let call = Call { request, info, user, headers: head.headers.clone(), body, allowed, now, upgrade };
    let mut response = aside::handle(server, call).await?;
    if let Some(warning) = deprecation::warning(resource) {
        codec::warn(response.headers_mut(), warning);
    }
    Ok(response)
}

/// The client's own audit id, or a new one.
fn audit_id(headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(AUDIT_ID).filter(|id| !id.is_empty() && id.len() <= MAX_AUDIT_ID_BYTES);
    let new = || HeaderValue::from_str(&uid::random()).expect("a UUID is hexadecimal digits and dashes");
    own.cloned().unwrap_or_else(new)
}

#[cfg(test)]
mod tests;
