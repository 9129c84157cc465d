//! Paths that are no resources: health, version, metrics, discovery, OpenAPI, and the keys of tokens.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, ETAG, IF_NONE_MATCH, VARY},
    request::Parts,
};
use keelson_api_registry::{
    discovery::{self, Form},
    document::Document,
    openapi,
    request::{RequestInfo, Target},
    status::ApiError,
};
use serde_json::json;

use crate::{
    answer::{self, Response},
    authz::Allowed,
    health::{self, Probe},
    metrics::{self, Gauge},
    server::Server,
    store_status::{self, StoreStatus},
    version,
};

/// What everybody may see, also while there is no quorum and there are no roles yet.
pub fn is_public(info: &RequestInfo) -> bool {
    matches!(info.target, Target::Path) && (info.path == "/version" || Probe::at(&info.path).is_some())
}

/// Answers a path.
///
/// # Errors
/// 404 for a path that is not there, 405 for anything but GET.
pub async fn answer(
    server: &Arc<Server>,
    head: &Parts,
    info: &RequestInfo,
    _allowed: &Allowed,
) -> Result<Response, ApiError> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let text = "the server does not allow this method on the requested resource";
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", text));
    }
    if let Some((probe, check)) = Probe::at(&info.path) {
        return health::answer(server, probe, check, info).await;
    }
    match info.path.as_str() {
        "/" => Ok(answer::json(StatusCode::OK, &index())),
        "/version" => Ok(answer::json(StatusCode::OK, &version::value())),
        "/metrics" => Ok(metrics(server)),
        store_status::PATH => Ok(store(server)),
        "/openid/v1/jwks" => Ok(key_set(server)),
        "/.well-known/openid-configuration" => Ok(answer::json(StatusCode::OK, &issuer(server))),
        path => document(path, &head.headers),
    }
}

/// Discovery and OpenAPI.
fn document(path: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let found = if path.starts_with("/openapi/") {
        openapi::builtin().document(path, accept)
    } else {
        discovery::builtin().document(path, Form::accepted(accept))
    };
    found.map(|document| conditional(document, headers)).ok_or_else(ApiError::no_such_path)
}

/// A document, or the statement that the client has it already.
fn conditional(document: &Document, headers: &HeaderMap) -> Response {
    let etag = document.etag();
    let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    let mut response = if known.split(',').any(|known| known.trim() == etag) {
        answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        answer::object_bytes(StatusCode::OK, document.media_type, document.body.clone())
    };
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(ETAG, HeaderValue::from_str(&etag).expect("a quoted hash is plain text"));
    response
}

fn metrics(server: &Server) -> Response {
    let text = server.metrics.render(&gauges(server));
    answer::object_bytes(StatusCode::OK, metrics::CONTENT_TYPE, Bytes::from(text))
}

/// Numbers as they are at this moment. They need no exactness beyond that of a double.
#[allow(clippy::cast_precision_loss, reason = "the format knows doubles only")]
fn gauges(server: &Server) -> Vec<Gauge> {
    let underway = server.flow.underway();
    let store = server.objects.store().status();
    let one = |name, help, value| Gauge { name, help, values: vec![("", value)] };
    let mut gauges = vec![
        Gauge {
            name: "apiserver_current_inflight_requests",
            help: "Requests under way that are no watches.",
            values: vec![
                ("{request_kind=\"readOnly\"}", underway.reading as f64),
                ("{request_kind=\"mutating\"}", underway.changing as f64),
            ],
        },
        one("keelson_store_revision", "The store's revision on this replica.", store.revision.get() as f64),
        one("keelson_store_size_bytes", "The size of the store on this replica.", store.size as f64),
        one(
            "keelson_store_has_leader",
            "Whether this replica knows a leader.",
            f64::from(u8::from(store.leader.is_some())),
        ),
        one(
            "keelson_store_is_leader",
            "Whether this replica leads.",
            f64::from(u8::from(store.leader == Some(store.replica))),
        ),
    ];
    gauges.extend(metrics::process_gauges());
    gauges
}

fn store(server: &Server) -> Response {
    let status = StoreStatus::from(server.objects.store().status());
    answer::json(StatusCode::OK, &json!(status))
}

fn key_set(server: &Server) -> Response {
    let keys = server.tokens.keys().key_set().to_string();
    answer::object_bytes(StatusCode::OK, "application/jwk-set+json", keys.into())
}

/// OpenID Connect's description of who issues service account tokens.
fn issuer(server: &Server) -> serde_json::Value {
    let options = &server.options;
    let host = match options.advertise_address {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    };
    json!({
        "issuer": server.tokens.name(),
        "jwks_uri": format!("https://{host}:{}/openid/v1/jwks", options.secure_port),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

fn index() -> serde_json::Value {
    json!({"paths": [
        "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/keelson/v1/store", "/livez", "/metrics",
        "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version",
    ]})
}
