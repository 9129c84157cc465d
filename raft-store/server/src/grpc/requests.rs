//! HTTP on the connections of clients.
//!
//! In: connections that are ready. Out: every request of them handed to the short way ([`Express`]) or the long one, and its
//! answer sent, over HTTP/2 or HTTP/1.1.
//!
//! tonic's own server would do the same through layers that each call passes and few need; they cost as much as a tenth of
//! what becomes of a put behind them (measured).

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc, time::Duration};

use http::{HeaderMap, Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{sync::watch as channel, time::timeout};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Status, service::Routes};
use tower::ServiceExt as _;

use super::{
    accept::Connection,
    error,
    express::{Call, Express, Reply},
    http::{Calls, Counted, Messages},
    learner,
};
use crate::store::Store;

/// Requests under way at once on one connection.
const MAX_STREAMS: u32 = 1 << 16;
/// What a client may send ahead: one request of the largest size per stream, several per connection.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A client that is silent for so long is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to answer that.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client is ready to wait, if it says so.
const PATIENCE: &str = "grpc-timeout";

/// What answers requests.
pub(super) struct Site {
    /// What is asked for on the short way; `None`: nothing.
    express: Option<Arc<Express>>,
    long_way: Counted<Routes>,
    store: Store,
}

/// The body of an answer.
type Answer = Reply<Messages<tonic::body::Body>>;
/// An answer that is on its way.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

/// Serves connections until the server is asked to stop, and what is under way then is answered.
pub(super) async fn serve(
    mut connections: ReceiverStream<Connection>,
    site: Arc<Site>,
    mut stopping: channel::Receiver<bool>,
) {
    let http = http();
    let open = GracefulShutdown::new();
    // A sender that is gone means the same as one that says so.
    let stop = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
    let mut stop = std::pin::pin!(stop);
    loop {
        let connection = tokio::select! {
            () = &mut stop => break,
            connection = connections.next() => connection,
        };
        let Some(connection) = connection else { break };
        let (site, certificate) = (site.clone(), connection.certificate());
        let service = service_fn(move |mut request: Request<Incoming>| {
            if certificate.0.is_some() {
                request.extensions_mut().insert(certificate.clone());
            }
            site.answer(request)
        });
        let serving = open.watch(http.serve_connection(TokioIo::new(connection), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(error, "a client's connection ended");
            }
        });
    }
    drop(connections);
    open.shutdown().await;
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    // Without a timer there is no limit to the time that the head of a request takes.
    http.http1().timer(TokioTimer::new());
    http.http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(Some(KEEPALIVE_INTERVAL))
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    http
}

impl Site {
    /// Answers on these routes, and on the short way, if there is one.
    pub(super) fn new(store: Store, express: Option<Express>, routes: Routes, calls: Arc<Calls>) -> Self {
        Self { express: express.map(Arc::new), long_way: Counted::new(calls, routes), store }
    }

    fn answer(&self, request: Request<Incoming>) -> Answering {
        let patience = patience(request.headers());
        let answering = self.begin(request);
        let Some(patience) = patience else { return answering };
        Box::pin(async move {
            timeout(patience, answering).await.unwrap_or_else(|_| Ok(refusal(error::out_of_time())))
        })
    }

    fn begin(&self, request: Request<Incoming>) -> Answering {
        if self.store.is_learner() && !learner::serves(request.uri().path()) {
            return Box::pin(async { Ok(refusal(error::not_for_learners())) });
        }
        if let Some(express) = &self.express
            && let Some(call) = Call::of(&request)
        {
            let express = express.clone();
            return Box::pin(async move { Ok(express.answer(call, request).await) });
        }
        let answering = self.long_way.clone().oneshot(request);
        Box::pin(async move { Ok(answering.await?.map(|body| Reply::Long { body })) })
    }
}

fn refusal(status: Status) -> Response<Answer> {
    status.into_http()
}

/// How long a client is ready to wait: a number of up to eight digits, and its unit. As gRPC's servers do, what is no such
/// thing is not looked at.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(PATIENCE)?.to_str().ok()?;
    let (number, unit) = said.split_at_checked(said.len().checked_sub(1)?)?;
    let number: u32 = number.parse().ok().filter(|number| *number < 100_000_000)?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_patience_is_a_number_and_its_unit() {
        let said = |text: &'static str| {
            patience(&HeaderMap::from_iter([(
                http::HeaderName::from_static(PATIENCE),
                text.parse().unwrap(),
            )]))
        };
        assert_eq!(patience(&HeaderMap::new()), None);
        assert_eq!(said("5S"), Some(Duration::from_secs(5)));
        assert_eq!(said("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(
            (said("2M"), said("7m")),
            (Some(Duration::from_secs(120)), Some(Duration::from_millis(7)))
        );
        assert_eq!((said("8u"), said("9n")), (Some(Duration::from_micros(8)), Some(Duration::from_nanos(9))));
        for no_patience in ["", "S", "5", "5s", "-5S", "100000000S", "5 S"] {
            assert_eq!(said(no_patience), None, "{no_patience}");
        }
    }
}
