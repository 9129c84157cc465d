//! What is asked over plain HTTP, on the ports of clients and on ports of its own: probes, metrics, the
//! version.
//!
//! In: GET or HEAD. Out: etcd's paths and bodies.
//!
//! | path | answer |
//! |---|---|
//! | `/health` | JSON: whether this member has a leader and can read; `?serializable=true` asks for nobody's agreement |
//! | `/livez`, `/readyz` | whether to restart this member, whether to send it requests; `?verbose` tells each check |
//! | `/version` | JSON: the version of the API |
//! | `/metrics` | for Prometheus |
//!
//! Deliberately absent: etcd's gateway from JSON to gRPC.

mod calls;
mod health;
mod messages;
mod metrics;
mod process;
mod stations;

use std::{convert::Infallible, sync::Arc};

use http::{Method, Request, Response, StatusCode, header};
use tonic::service::AxumBody;

use super::{Front, error, maintenance::API_VERSION};
use health::Probe;

pub(super) use calls::{Calls, Counted, Handling, MethodCalls};
pub(super) use messages::Messages;

/// An answer: its status, the type of its body, and the body.
struct Answer(StatusCode, &'static str, String);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// The version of the exposition format belongs to the type.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers whatever is no gRPC call of a service that is there.
pub(super) async fn answer(
    front: Front,
    calls: Arc<Calls>,
    request: Request<AxumBody>,
) -> Result<Response<AxumBody>, Infallible> {
    let is_grpc = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        return Ok(error::unknown_method(request.uri().path(), false).into_http());
    }
    let Answer(status, kind, body) = if matches!(*request.method(), Method::GET | Method::HEAD) {
        get(&front, &calls, request.uri().path(), request.uri().query().unwrap_or_default()).await
    } else {
        Answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed\n".to_owned())
    };
    let mut response = Response::new(AxumBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    Ok(response)
}

async fn get(front: &Front, calls: &Calls, path: &str, query: &str) -> Answer {
    match path {
        "/health" => health::health(front, calls, query).await,
        "/version" => Answer(StatusCode::OK, JSON, version()),
        "/metrics" => Answer(StatusCode::OK, METRICS, metrics::page(front, calls)),
        _ => match Probe::of(path) {
            Some(probe) => probe.answer(front, query).await,
            None => Answer(StatusCode::NOT_FOUND, TEXT, "404 page not found\n".to_owned()),
        },
    }
}

fn version() -> String {
    serde_json::json!({
        "etcdserver": API_VERSION,
        "etcdcluster": API_VERSION,
        "storage": API_VERSION,
    })
    .to_string()
}

/// The values of a parameter of a query, in order.
fn parameters<'q>(query: &'q str, name: &str) -> impl Iterator<Item = &'q str> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}
