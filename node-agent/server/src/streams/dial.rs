//! Connections to the container runtime's streaming server.

use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{CONNECTION, HOST, UPGRADE},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Bytes, client::conn::http1, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::VERSION_HEADER;
use crate::answer::Refusal;

/// A connection that carries SPDY.
pub(super) type RuntimeSocket = TokioIo<Upgraded>;

/// How much of a runtime's refusal is shown.
const MAX_TEXT: usize = 4 << 10;

/// Connects to a URL that the runtime has given out, offering these protocols; also what it answers.
pub(super) async fn dial(url: &str, versions: &[HeaderValue]) -> Result<(RuntimeSocket, HeaderMap), Refusal> {
    let url: Uri = url.parse().map_err(|_| unusable(url, "it is no URL"))?;
    if url.scheme_str() != Some("http") {
        let why = "only http:// is spoken with a runtime on the same machine";
        return Err(unusable(&url.to_string(), why));
    }
    let authority = url.authority().ok_or_else(|| unusable(&url.to_string(), "it names no host"))?.as_str();
    let failed = |error: &dyn std::fmt::Display| {
        Refusal::internal(format!(
            "cannot connect to the container runtime's streams at {authority}: {error}"
        ))
    };
    let stream = TcpStream::connect(authority).await.map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    // It ends with the answer, or when it has handed the socket on.
    tokio::spawn(connection.with_upgrades());
    let request = request(&url, authority, versions).map_err(|error| failed(&error))?;
    let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (code, body) = (response.status(), Limited::new(response.into_body(), MAX_TEXT).collect().await);
        let text = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        return Err(Refusal::internal(format!("the container runtime refuses the streams: {code}: {text}")));
    }
    let headers = response.headers().clone();
    let socket = hyper::upgrade::on(response).await.map_err(|error| failed(&error))?;
    Ok((TokioIo::new(socket), headers))
}

fn request(url: &Uri, authority: &str, versions: &[HeaderValue]) -> http::Result<Request<Empty<Bytes>>> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, authority)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "SPDY/3.1");
    for version in versions {
        request = request.header(VERSION_HEADER, version);
    }
    request.body(Empty::new())
}

fn unusable(url: &str, why: &str) -> Refusal {
    Refusal::internal(format!("the container runtime answers with the URL {url:?}: {why}"))
}
