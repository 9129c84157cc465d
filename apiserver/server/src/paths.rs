//! Paths that are no resources: health, version, metrics, discovery, OpenAPI, and the keys of tokens.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, LOCATION, VARY},
    request::Parts,
};
use keelson_api_registry::{
    discovery::{self, Form},
    document::Document,
    openapi::{self, Missing},
    request::{RequestInfo, Target},
    resources,
    status::ApiError,
};
use keelson_api_schema::Encoding;
use serde_json::json;
use time::{
    Duration, OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description,
};

use crate::{
    answer::{self, Response},
    authz::Allowed,
    codec::{self, protobuf::PROTOBUF},
    health::{self, Probe},
    metrics::{self, Gauge},
    server::Server,
    store_members,
    store_status::{self, StoreStatus},
    version,
};

/// How long a document may be kept that is named by its hash.
const KEPT: Duration = Duration::days(365);

const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// What everybody may see, also while there is no quorum and there are no roles yet.
pub fn is_public(info: &RequestInfo) -> bool {
    matches!(info.target, Target::Path)
        && (without_slash(&info.path) == "/version" || Probe::at(&info.path).is_some())
}

/// OpenAPI names some of these paths with a slash at their end, so clients that are made from it ask for that.
fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path)
}

/// Answers a path.
///
/// # Errors
/// 404 for a path that is not there, 405 for anything but GET, and DELETE where there is something to delete.
pub async fn answer(
    server: &Arc<Server>,
    head: &Parts,
    info: &RequestInfo,
    _allowed: &Allowed,
) -> Result<Response, ApiError> {
    if let (&Method::DELETE, Some(name)) = (&head.method, info.path.strip_prefix(store_members::PREFIX)) {
        return store_members::remove(server, name).await;
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let text = "the server does not allow this method on the requested resource";
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", text).with_details());
    }
    if let Some((probe, check)) = Probe::at(&info.path) {
        return health::answer(server, probe, check, info).await;
    }
    match without_slash(&info.path) {
        "/" => Ok(for_people(&index())),
        "/version" => Ok(for_people(&version::value())),
        "/metrics" => Ok(metrics(server)),
        store_status::PATH => Ok(store(server)),
        "/openid/v1/jwks" => Ok(key_set(server)),
        "/.well-known/openid-configuration" => Ok(answer::json(StatusCode::OK, &issuer(server))),
        path if path.starts_with("/openapi/") => openapi(info, &head.headers, server.now()).await,
        path => discovery(path, info, &head.headers),
    }
}

/// Whether a path is below one that upstream serves an API at, the path itself included: those answer with a Status whatever
/// is asked for.
pub(crate) fn is_below_an_api(path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').split('/');
    match parts.next() {
        Some("api" | "version") => true,
        Some("apis") => {
            let group = parts.next().unwrap_or_default();
            !group.is_empty() && resources::groups().iter().any(|(served, _)| *served == group)
        }
        _ => false,
    }
}

/// Indented for everybody, as upstream sends these.
fn for_people(value: &serde_json::Value) -> Response {
    let text = codec::indented(value.to_string().as_bytes());
    answer::object_bytes(StatusCode::OK, answer::JSON, text.into())
}

fn discovery(path: &str, info: &RequestInfo, headers: &HeaderMap) -> Result<Response, ApiError> {
    let wanted = Form::accepted(accepted(headers));
    let form = wanted.map_or(Form::Plain, |(form, _)| form);
    let (document, form) = discovery::builtin().document(path, form).ok_or_else(ApiError::no_such_path)?;
    let (_, encoding) = wanted.ok_or_else(|| ApiError::not_acceptable(codec::OFFERED))?;
    let is_pretty = codec::is_pretty(headers, Some(info));
    let (media, body) = written(document, encoding, is_pretty)?;
    let mut response = conditional(document, body, headers);
    if let Some(content_type) = response.headers_mut().get_mut(CONTENT_TYPE) {
        let media = format!("{media}{}", form.parameters());
        *content_type = HeaderValue::from_str(&media).map_err(ApiError::internal)?;
    }
    Ok(response)
}

/// A document of discovery, and the media type in which it is written.
fn written(
    document: &Document,
    encoding: Encoding,
    is_pretty: bool,
) -> Result<(&'static str, Bytes), ApiError> {
    let json = &document.body;
    Ok(match encoding {
        Encoding::Json if is_pretty => (answer::JSON, codec::indented(json).into()),
        Encoding::Json => (answer::JSON, json.clone()),
        Encoding::Yaml => (codec::YAML, codec::yaml(json).into()),
        Encoding::Protobuf => {
            let message = codec::protobuf::document(json);
            let message = message.ok_or_else(|| ApiError::internal("the document has no message"))?;
            (PROTOBUF, message.into())
        }
    })
}

/// A document of OpenAPI. Under the hash of its content it may be kept for ever; who asks under an older one is sent on.
async fn openapi(info: &RequestInfo, headers: &HeaderMap, now: OffsetDateTime) -> Result<Response, ApiError> {
    let named = info.parameter("hash").filter(|hash| !hash.is_empty()).map(str::to_owned);
    match find(info.path.clone(), named, accepted(headers).map(str::to_owned)).await? {
        Found::Newest(document) => Ok(conditional(&document, document.body.clone(), headers)),
        Found::Named(document) => {
            let mut response = conditional(&document, document.body.clone(), headers);
            let kept = response.headers_mut();
            kept.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
            kept.insert(EXPIRES, http_date(now + KEPT)?);
            Ok(response)
        }
        Found::Renamed { hash } => moved(&format!("{}?hash={hash}", info.path)),
        Found::NotAcceptable => {
            let mut response = answer::empty(StatusCode::NOT_ACCEPTABLE);
            response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
            Ok(response)
        }
    }
}

/// What is at a path of OpenAPI.
enum Found {
    /// It may be another one tomorrow.
    Newest(Document),
    /// The client named it by its hash, and it is that one for ever.
    Named(Document),
    /// The client named an older one by its hash; this is the newest one's.
    Renamed { hash: String },
    /// It has no form that the client accepts, which upstream tells without a word.
    NotAcceptable,
}

/// Writing a document takes a while the first time, and the store's heartbeats must not wait for it. None is written for
/// who has to ask again.
async fn find(path: String, named: Option<String>, accept: Option<String>) -> Result<Found, ApiError> {
    let found = move || {
        let documents = openapi::builtin();
        let hash = documents.hash(&path);
        if let (Some(hash), Some(named)) = (hash, &named)
            && hash != named
        {
            return Ok(Found::Renamed { hash: hash.to_owned() });
        }
        match documents.document(&path, accept.as_deref()) {
            Ok(document) if hash.is_some() && named.is_some() => Ok(Found::Named(document.clone())),
            Ok(document) => Ok(Found::Newest(document.clone())),
            Err(Missing::NotAcceptable) => Ok(Found::NotAcceptable),
            Err(Missing::NotFound) => Err(ApiError::no_such_path()),
        }
    };
    tokio::task::spawn_blocking(found).await.map_err(ApiError::internal)?
}

fn moved(place: &str) -> Result<Response, ApiError> {
    let mut response = answer::empty(StatusCode::MOVED_PERMANENTLY);
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_str(place).map_err(ApiError::internal)?);
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// A time as HTTP's headers write it.
fn http_date(time: OffsetDateTime) -> Result<HeaderValue, ApiError> {
    let text = time.to_offset(UtcOffset::UTC).format(HTTP_DATE).map_err(ApiError::internal)?;
    HeaderValue::from_str(&text).map_err(ApiError::internal)
}

fn accepted(headers: &HeaderMap) -> Option<&str> {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok())
}

/// A document, or the statement that the client has it already.
fn conditional(document: &Document, body: Bytes, headers: &HeaderMap) -> Response {
    let etag = document.etag();
    let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    let mut response = if known.split(',').any(|known| known.trim() == etag) {
        answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        answer::object_bytes(StatusCode::OK, document.media_type, body)
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

/// Everything that can be looked at and is no resource.
fn index() -> serde_json::Value {
    let alone = [
        "/.well-known/openid-configuration",
        "/api",
        "/apis",
        "/healthz",
        store_status::PATH,
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/readyz",
        "/version",
    ];
    let of_groups = resources::groups().iter().flat_map(|(group, versions)| {
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let of_versions: Vec<String> = versions.iter().map(|version| format!("{root}/{version}")).collect();
        [vec![root], of_versions].concat()
    });
    let paths: BTreeSet<String> = alone.into_iter().map(str::to_owned).chain(of_groups).collect();
    json!({"paths": paths})
}

#[cfg(test)]
mod tests {
    use keelson_api_schema::{Document as Body, builtin};

    use super::*;

    #[test]
    fn discovery_says_the_same_in_every_encoding() {
        for (path, form, kind) in [
            ("/api", Form::Plain, "APIVersions"),
            ("/apis", Form::Plain, "APIGroupList"),
            ("/apis/apps", Form::Plain, "APIGroup"),
            ("/apis/apps/v1", Form::Plain, "APIResourceList"),
            ("/apis", Form::Aggregated, "APIGroupDiscoveryList"),
        ] {
            let (document, _) = discovery::builtin().document(path, form).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&document.body).unwrap();
            assert_eq!(json["kind"], kind);
            for (encoding, media) in [(Encoding::Yaml, codec::YAML), (Encoding::Protobuf, PROTOBUF)] {
                let (told, body) = written(document, encoding, false).unwrap();
                assert_eq!(told, media);
                let group = if form == Form::Plain { "meta.k8s.io" } else { "apidiscovery.k8s.io" };
                let version = if form == Form::Plain { "v1" } else { "v2" };
                let ty = builtin().lookup_kind(group, version, kind).unwrap();
                let decoded = Body::parse(&body, encoding).unwrap().decode(builtin(), ty).unwrap();
                let read = codec::canonical(&decoded.value);
                let read: serde_json::Value = serde_json::from_slice(&read).unwrap();
                let mut expected: serde_json::Value =
                    serde_json::from_slice(&codec::canonical(&json)).unwrap();
                if encoding == Encoding::Protobuf && path == "/api" {
                    // A list without items is as if it were not there.
                    expected["serverAddressByClientCIDRs"] = serde_json::Value::Null;
                }
                assert_eq!(read, expected, "{path} {media}");
            }
        }
    }

    #[test]
    fn who_accepts_nothing_that_is_written_here_is_told_what_is() {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/cbor"))]);
        let info = RequestInfo::parse(&Method::GET, &"/apis".parse().unwrap()).unwrap();
        let refused = discovery("/apis", &info, &headers).unwrap_err();
        assert_eq!((refused.code.as_u16(), refused.reason), (406, "NotAcceptable"));
        assert_eq!(discovery("/apis/none", &info, &headers).unwrap_err().code, 404);
    }
}
