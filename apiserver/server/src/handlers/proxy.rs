//! Requests that are passed on as they are: to a pod, to a Service, to a node's own API.
//!
//! In: a request that the chain let pass. Out: whatever the other side answers, as it comes. Nothing by which the client
//! has shown who it is goes along: to the other side it is this server that asks.
//!
//! Deliberately absent: where that is ([`keelson_api_registry::proxy`]).
//!
//! Source: `k8s.io/apimachinery/pkg/util/proxy`.

mod links;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use keelson_api_registry::{
    object::Object,
    pod_streams::NodePlace,
    proxy::{self, Scheme, Wish},
    resources,
    status::ApiError,
};
use links::Links;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_stream::StreamExt;

use super::Call;
use crate::{
    answer::{self, Response},
    nodes::upgrade,
    selection::Selection,
    server::Server,
};

/// How long it may take to connect.
const DIAL_PATIENCE: Duration = Duration::from_secs(30);

/// Headers that speak of one connection, or of who asks this server.
const NOT_PASSED_ON: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How headers begin by which somebody acts as somebody else.
const IMPERSONATION: &str = "impersonate-";

/// Who the request goes to.
enum Other {
    /// Something that speaks HTTP, or HTTPS.
    Endpoint(Scheme, SocketAddr),
    /// A node's own API.
    Node(NodePlace),
}

/// Passes a request on.
///
/// # Errors
/// 400 for what is no name or may not be reached; 404; 503 when nobody is there.
pub(super) async fn handle(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let rest = proxy::rest_of_path(&call.info.path, call.request.resource.is_namespaced());
    if rest.is_empty() && matches!(call.info.method, Method::GET | Method::HEAD) {
        return redirect(&format!("{}/{}", call.info.path, query(call)));
    }
    let other = find(server, call).await?;
    let request = request(call, &other, rest)?;
    let answer = match &other {
        Other::Endpoint(scheme, address) => send(*scheme, *address, request).await?,
        Other::Node(place) => {
            let no_client = || ApiError::internal("this server has no certificate for calls to nodes");
            server.options.node_client.as_ref().ok_or_else(no_client)?.send(place, request).await?
        }
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let client = call.upgrade.clone();
        let client = client.ok_or_else(|| ApiError::bad_request("Upgrade request required"))?;
        return Ok(upgrade::tunnel(server, client, answer));
    }
    let prefix = call.info.path.strip_suffix(rest).unwrap_or(&call.info.path);
    Ok(passed_back(server, answer, prefix))
}

/// Relative links of a page lead where they should only if its address ends with a slash.
fn redirect(to: &str) -> Result<Response, ApiError> {
    let mut response = answer::empty(StatusCode::MOVED_PERMANENTLY);
    let to = HeaderValue::from_str(to).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

/// The query as the client wrote it, with its question mark.
fn query(call: &Call) -> String {
    let escape = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> =
        call.info.query.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

async fn find(server: &Server, call: &Call) -> Result<Other, ApiError> {
    let request = &call.request;
    let (namespace, plural) = (request.namespace.as_str(), request.resource.plural);
    let get = async |name: &str| {
        let found = server.objects.get(request.resource, namespace, name).await?;
        found.map(|found| found.object).ok_or_else(|| ApiError::not_found(request.resource, name))
    };
    match plural {
        "nodes" => {
            let wish = Wish::parse("node", &request.name)?;
            let place = NodePlace::of(&get(&wish.name).await?)?;
            if !wish.port.is_empty() && wish.port != place.port.to_string() {
                return Err(ApiError::bad_request("only the port of the node's own API can be reached"));
            }
            Ok(Other::Node(place))
        }
        "pods" => {
            let wish = Wish::parse("pod", &request.name)?;
            let address = proxy::pod_address(&get(&wish.name).await?, &wish)?;
            Ok(Other::Endpoint(wish.scheme, address))
        }
        _ => {
            let wish = Wish::parse("service", &request.name)?;
            let service = get(&wish.name).await?;
            let slices = slices(server, &service).await?;
            let addresses = proxy::service_addresses(&service, &slices, &wish)?;
            // Whichever: the moment of the request is as good as a die.
            let at = usize::try_from(call.now.nanosecond()).unwrap_or(0) % addresses.len();
            Ok(Other::Endpoint(wish.scheme, addresses[at]))
        }
    }
}

async fn slices(server: &Server, service: &Object) -> Result<Vec<Object>, ApiError> {
    let resource = resources::find("discovery.k8s.io", "v1", "endpointslices");
    let resource = resource.expect("the table has endpoint slices");
    let of_service = format!("kubernetes.io/service-name={}", service.name());
    let selection = Selection::parse(resource, Some(&of_service), None)?;
    let found = server.objects.list(resource, service.namespace(), &selection).await?;
    Ok(found.iter().map(|slice| slice.object()).collect())
}

/// The request as the other side gets it.
fn request(call: &Call, other: &Other, rest: &str) -> Result<Request<Full<bytes::Bytes>>, ApiError> {
    let host = match other {
        Other::Endpoint(_, address) => address.to_string(),
        Other::Node(place) => place.authority(),
    };
    let rest = if rest.is_empty() { "/" } else { rest };
    let mut request = Request::builder()
        .method(call.info.method.clone())
        .uri(format!("{rest}{}", query(call)))
        .header(header::HOST, host)
        .body(Full::new(call.body.clone()))
        .map_err(ApiError::internal)?;
    let headers = request.headers_mut();
    copy(&call.headers, headers);
    if upgrade::is_wanted(&call.headers) {
        for name in [header::CONNECTION, header::UPGRADE] {
            if let Some(value) = call.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
    }
    if let Ok(own) = HeaderValue::from_str(&call.info.path) {
        headers.insert(HeaderName::from_static("x-forwarded-uri"), own);
    }
    Ok(request)
}

fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        // How long a body is that was read, or changed, its sender knows.
        let is_own = NOT_PASSED_ON.contains(name) || *name == header::CONTENT_LENGTH;
        if !is_own && !name.as_str().starts_with(IMPERSONATION) {
            to.append(name.clone(), value.clone());
        }
    }
}

async fn send(
    scheme: Scheme,
    address: SocketAddr,
    request: Request<Full<bytes::Bytes>>,
) -> Result<http::Response<Incoming>, ApiError> {
    let dial = |why: &dyn std::fmt::Display| unreachable(&format!("dial tcp {address}: {why}"));
    let stream = match timeout(DIAL_PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(dial(&error)),
        Err(_) => return Err(dial(&"i/o timeout")),
    };
    match scheme {
        Scheme::Http => exchange(stream, request).await,
        Scheme::Https => match timeout(DIAL_PATIENCE, tls::connect(stream, address.ip())).await {
            Ok(Ok(stream)) => exchange(stream, request).await,
            Ok(Err(error)) => Err(unreachable(&error.to_string())),
            Err(_) => Err(unreachable("TLS handshake timeout")),
        },
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<bytes::Bytes>>,
) -> Result<http::Response<Incoming>, ApiError> {
    let failed = |error: hyper::Error| unreachable(&error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(failed)
}

fn unreachable(why: &str) -> ApiError {
    ApiError::unavailable(format!("error trying to reach service: {why}"))
}

/// The answer as the client gets it. Whoever sends it elsewhere on the same host stays behind this server.
fn passed_back(server: &Server, answer: http::Response<Incoming>, prefix: &str) -> Response {
    let (head, body) = answer.into_parts();
    let frames = BodyStream::new(body.map_err(|error| {
        tracing::debug!(%error, "an answer that was passed on broke off");
    }));
    let frames = frames.map_while(Result::ok);
    let frames = futures_util::StreamExt::take_until(frames, Box::pin(server.stopped()));
    let mut links = is_page(&head.headers).then(|| Links::below(prefix)).flatten();
    // Where there are no links to change, there is nothing held back either.
    let frames = frames.map(Some).chain(tokio_stream::once(None)).filter_map(move |frame| {
        let Some(links) = &mut links else { return frame };
        match frame.map(Frame::into_data) {
            Some(Ok(data)) => Some(Frame::data(links.push(&data).into())),
            Some(Err(other)) => Some(other),
            None => Some(Frame::data(links.rest().into())),
        }
    });
    let frames = frames.map(Ok::<_, std::convert::Infallible>);
    let mut response = http::Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = head.status;
    let headers = response.headers_mut();
    copy(&head.headers, headers);
    let elsewhere = head.headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
    if let Some(path) = elsewhere.filter(|to| to.starts_with('/') && !to.starts_with("//"))
        && let Ok(to) = HeaderValue::from_str(&format!("{prefix}{path}"))
    {
        headers.insert(header::LOCATION, to);
    }
    response
}

/// Whether an answer is HTML that can be read.
fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html") && !headers.contains_key(header::CONTENT_ENCODING)
}

#[cfg(test)]
mod tests;
