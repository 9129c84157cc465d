//! Requests that change the protocol: what of them a node is told, and the tunnel afterwards.
//!
//! Which protocol it is does not matter here: the client and the node agree on it, and this server hands bytes on.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{CONNECTION, HOST, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use keelson_api_registry::{pod_streams::NodePlace, status::ApiError};
use tokio::io::copy_bidirectional;

use crate::{
    answer::{self, Response as Answer},
    server::Server,
    web_socket,
};

/// Which headers matter to a node; above all, none with which the client has shown who it is.
const TO_NODE: [&str; 6] = [
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
    "x-stream-protocol-version",
    "user-agent",
];

/// Which of a node's headers matter to a client when the protocol changes.
const TO_CLIENT: [&str; 5] =
    ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol", "x-stream-protocol-version"];

/// Whether a request wants to change the protocol.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && web_socket::has_token(headers, &CONNECTION, "upgrade")
}

/// The request to a node that corresponds to a client's.
pub(crate) fn request_to_node(
    place: &NodePlace,
    method: http::Method,
    path_and_query: &str,
    headers: &HeaderMap,
) -> Result<Request<Empty<Bytes>>, ApiError> {
    let mut request = Request::builder()
        .method(method)
        .uri(path_and_query)
        .header(HOST, place.authority())
        .body(Empty::new())
        .map_err(ApiError::internal)?;
    let wanted: &[&str] = if is_wanted(headers) { &TO_NODE } else { &["user-agent"] };
    copy(wanted, headers, request.headers_mut());
    for protocol in web_socket::protocols(headers) {
        let protocol = HeaderValue::from_str(protocol).map_err(ApiError::internal)?;
        request.headers_mut().append(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(request)
}

/// Answers a client as the node did, and from then on hands the bytes of either to the other, until one has nothing
/// more to say or this server stops.
pub(crate) fn tunnel(server: &Arc<Server>, client: OnUpgrade, node: Response<Incoming>) -> Answer {
    let mut answer = answer::empty(node.status());
    copy(&TO_CLIENT, node.headers(), answer.headers_mut());
    let stopped = server.stopped();
    tokio::spawn(async move {
        tokio::select! {
            result = connect(client, node) => {
                if let Err(error) = result {
                    tracing::debug!(error, "a tunnel to a node broke");
                }
            }
            () = stopped => {}
        }
    });
    answer
}

async fn connect(client: OnUpgrade, node: Response<Incoming>) -> Result<(), String> {
    let upgraded = |upgrade: OnUpgrade| async move {
        let socket: Upgraded = upgrade.await.map_err(|error| error.to_string())?;
        Ok::<_, String>(TokioIo::new(socket))
    };
    let mut node = upgraded(hyper::upgrade::on(node)).await?;
    let mut client = upgraded(client).await?;
    copy_bidirectional(&mut client, &mut node).await.map(drop).map_err(|error| error.to_string())
}

fn copy(names: &[&'static str], from: &HeaderMap, to: &mut HeaderMap) {
    for name in names {
        for value in from.get_all(*name) {
            to.append(HeaderName::from_static(name), value.clone());
        }
    }
}
