//! How requests travel to one server: over TLS, with HTTP/2 many on one connection.
//!
//! In: a request. Out: its answer. A server takes only so many requests on one connection, and watches last: when there
//! are many, another connection is opened before the first is full. A server that no longer answers pings is given up
//! with everything that waits for it, within seconds. Deliberately absent: proxies, and trying again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Config;
use kube::client::{Body, ConfigExt};
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Service, ServiceBuilder};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a server may take to begin an answer. Its own deadline is a minute.
const ANSWER: Duration = Duration::from_secs(90);

/// How often a server that is to answer is asked whether it is still there ...
const PING_EVERY: Duration = Duration::from_secs(10);

/// ... and how long it may take to say so.
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// So many requests go over one connection at once. Servers allow a hundred.
const STREAMS: usize = 80;

type Http = legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// What carries a client's requests.
pub(super) type Transport = tower::util::BoxService<Request<Body>, Response<Held>, BoxError>;

/// The way to the server that `config` names, as whom it says. Bearer tokens that change are not its concern.
pub(super) fn transport(config: &Config) -> kube::Result<Transport> {
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .layer(TimeoutLayer::new(ANSWER))
        .service(Lines::new(connector(config)?));
    Ok(Transport::new(service))
}

fn connector(config: &Config) -> kube::Result<HttpsConnector<HttpConnector>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(PING_EVERY));
    tcp.set_tcp_user_timeout(Some(PING_EVERY + PING_PATIENCE));
    let tls = config.rustls_client_config()?;
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    Ok(builder.enable_all_versions().wrap_connector(tcp))
}

/// Connections to one server, opened as they are needed.
#[derive(Clone)]
struct Lines {
    connector: HttpsConnector<HttpConnector>,
    open: Arc<Mutex<Vec<Line>>>,
}

/// A connection. Every request that is under way holds a clone of `busy`.
struct Line {
    http: Http,
    busy: Arc<()>,
}

impl Line {
    fn requests(&self) -> usize {
        Arc::strong_count(&self.busy) - 1
    }
}

impl Lines {
    fn new(connector: HttpsConnector<HttpConnector>) -> Self {
        Self { connector, open: Arc::default() }
    }

    /// A connection with room for one more request; the second is to be held as long as that is under way.
    fn with_room(&self) -> (Http, Arc<()>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = 0;
        // The first is kept for whoever comes next; the others go when nobody needs them.
        open.retain(|line| {
            place += 1;
            place == 1 || line.requests() > 0
        });
        if let Some(line) = open.iter().find(|line| line.requests() < STREAMS) {
            return (line.http.clone(), Arc::clone(&line.busy));
        }
        let line = Line { http: http(self.connector.clone()), busy: Arc::default() };
        let answer = (line.http.clone(), Arc::clone(&line.busy));
        open.push(line);
        answer
    }
}

impl Service<Request<Body>> for Lines {
    type Response = Response<Held>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Held>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (http, busy) = self.with_room();
        Box::pin(async move {
            let response = http.request(request).await?;
            Ok(response.map(|body| Held { body, _busy: busy }))
        })
    }
}

fn http(connector: HttpsConnector<HttpConnector>) -> Http {
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_PATIENCE)
        .build(connector)
}

/// An answer's body, which takes room on its connection until it ends.
pub(super) struct Held {
    body: Incoming,
    _busy: Arc<()>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
