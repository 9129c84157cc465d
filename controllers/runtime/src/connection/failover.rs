//! One client of many servers.
//!
//! In: a request. Out: the answer of the server that is in use. A request that never reached a server is sent to the
//! next; one whose fate is unknown fails, and it is for its caller to ask again, then of the next server.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use hyper_util::client::legacy;
use kube::Client;
use kube::client::Body;
use tower::{BoxError, Service};

/// Servers that are as good as each other.
#[derive(Clone)]
pub(super) struct Failover {
    servers: Arc<Servers>,
}

struct Servers {
    clients: Vec<Client>,
    /// Which one is in use.
    current: AtomicUsize,
}

impl Failover {
    /// `clients` has at least one element.
    pub(super) fn among(clients: Vec<Client>) -> Self {
        Self { servers: Arc::new(Servers { clients, current: AtomicUsize::new(0) }) }
    }
}

impl Service<Request<Body>> for Failover {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let servers = Arc::clone(&self.servers);
        Box::pin(async move { servers.send(request).await })
    }
}

impl Servers {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let mut request = request;
        let mut left = self.clients.len();
        loop {
            left -= 1;
            let copy = copy_of(&request).filter(|_| left > 0);
            let current = self.current.load(Ordering::Relaxed);
            let answer = self.clients[current].send(request).await;
            match (answer, copy) {
                (Ok(response), _) => {
                    if cannot_serve(response.status()) {
                        self.leave(current);
                    }
                    return Ok(response);
                }
                (Err(error), Some(copy)) if was_never_sent(&error) => {
                    self.leave(current);
                    request = copy;
                }
                (Err(error), _) => {
                    self.leave(current);
                    return Err(error.into());
                }
            }
        }
    }

    /// Uses the next server, unless another request has decided that already.
    fn leave(&self, current: usize) {
        let next = (current + 1) % self.clients.len();
        let _ = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Whether a server has no quorum or is going down. Others may be better off.
fn cannot_serve(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT | StatusCode::BAD_GATEWAY)
}

fn was_never_sent(error: &kube::Error) -> bool {
    std::iter::successors(Some(error as &dyn Error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<legacy::Error>())
        .any(legacy::Error::is_connect)
}

fn copy_of(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}
