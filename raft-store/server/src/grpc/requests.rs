//! HTTP on the connections of clients.
//!
//! In: connections that are ready. Out: every request of them answered, on the short way ([`Express`]) or on the long one, over
//! HTTP/2 ([`http2`]) or HTTP/1.1.
//!
//! tonic's own server would do the same through layers that each call passes and few need (measured: with a task for each
//! call, a tenth of a put's processor time).

use std::{
    convert::Infallible,
    error::Error,
    fmt::Display,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{sync::watch as channel, time::timeout};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::{
    accept::Connection,
    error,
    express::{Call, Express},
    http::{Counted, Messages},
    http2,
    identity::CertificateName,
    learner,
    reply::Reply,
};
use crate::store::Store;

/// How long a client may take until it says something, or has said the head of a request over HTTP/1.1.
const FIRST_WORDS: Duration = Duration::from_secs(30);
/// What the types of calls begin with.
const GRPC: &[u8] = b"application/grpc";
/// How long a client is ready to wait, if it says so.
const PATIENCE: &str = "grpc-timeout";

/// What answers requests.
pub(super) struct Site {
    /// What is asked for on the short way; `None`: nothing.
    express: Option<Express>,
    long_way: Counted<Routes>,
    store: Store,
}

/// An answer that is on its way. In a box, since what handles a call is large, and would be moved again and again.
type Answering<'a> = Pin<Box<dyn Future<Output = Response<Answer>> + Send + 'a>>;
/// The body of an answer.
type Answer = Reply<Messages<tonic::body::Body>>;

/// Serves connections until the server is asked to stop, and what is under way then is answered.
pub(super) async fn serve(
    mut connections: ReceiverStream<Connection>,
    site: Arc<Site>,
    stopping: channel::Receiver<bool>,
) {
    // Every connection holds a receiver as long as it lives.
    let (open, connection_is_open) = channel::channel(());
    loop {
        let connection = tokio::select! {
            () = asked(stopping.clone()) => break,
            connection = connections.next() => connection,
        };
        let Some(connection) = connection else { break };
        let (site, stopping, is_open) = (site.clone(), stopping.clone(), connection_is_open.clone());
        tokio::spawn(async move {
            if let Err(error) = converse(connection, &site, asked(stopping)).await {
                tracing::debug!(error, "a client's connection ended");
            }
            drop(is_open);
        });
    }
    drop((connections, connection_is_open));
    open.closed().await;
}

/// Completes when the server is asked to stop. A sender that is gone means the same as one that says so.
async fn asked(mut stopping: channel::Receiver<bool>) {
    drop(stopping.wait_for(|stopping| *stopping).await);
}

async fn converse(
    mut connection: Connection,
    site: &Site,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut stop = pin!(stop);
    let is_http2 = tokio::select! {
        is_http2 = timeout(FIRST_WORDS, connection.begins_as_http2()) => is_http2?,
        () = &mut stop => return Ok(()),
    };
    let certificate = connection.certificate();
    if is_http2? {
        let answer = |request| site.answer(request, &certificate);
        return Ok(http2::serve(connection, answer, stop).await?);
    }
    let answer = service_fn(|request| {
        let answering = site.answer(request, &certificate);
        async { Ok::<_, Infallible>(answering.await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(FIRST_WORDS);
    let mut serving = pin!(http.serve_connection(TokioIo::new(connection), answer));
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = stop => serving.as_mut().graceful_shutdown(),
    }
    Ok(serving.await?)
}

impl Site {
    /// Answers on these routes, and on the short way, if there is one.
    pub(super) const fn new(store: Store, express: Option<Express>, long_way: Counted<Routes>) -> Self {
        Self { express, long_way, store }
    }

    fn answer<'a, B>(&'a self, request: Request<B>, certificate: &'a CertificateName) -> Answering<'a>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Display + Into<Box<dyn Error + Send + Sync>> + Send,
    {
        let patience = patience(request.headers());
        let answering = self.find_way(request, certificate);
        let Some(patience) = patience else { return answering };
        Box::pin(async move {
            timeout(patience, answering).await.unwrap_or_else(|_| error::out_of_time().into_http())
        })
    }

    fn find_way<'a, B>(&'a self, mut request: Request<B>, certificate: &'a CertificateName) -> Answering<'a>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Display + Into<Box<dyn Error + Send + Sync>> + Send,
    {
        if self.store.is_learner() && !learner::serves(request.uri().path()) {
            return Box::pin(async { error::not_for_learners().into_http() });
        }
        if is_method(request.uri().path()) && !is_call(&request) {
            return Box::pin(async { refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE) });
        }
        if let Some(express) = &self.express
            && let Some(call) = Call::of(&request)
        {
            return Box::pin(express.answer(call, certificate, request));
        }
        request.extensions_mut().insert(certificate.clone());
        let answering = self.long_way.clone().oneshot(request);
        Box::pin(async move {
            let answered = answering.await.unwrap_or_else(|never: Infallible| match never {});
            answered.map(|body| Reply::Long { body })
        })
    }
}

/// Whether a path is that of a method, `/package.Service/Name`.
fn is_method(path: &str) -> bool {
    let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    service.is_some_and(|(service, _)| service.contains('.'))
}

/// Whether a request is made as calls are. What a page in somebody's browser can send unasked is not.
fn is_call<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    *request.method() == Method::POST && kind.is_some_and(|kind| kind.as_bytes().starts_with(GRPC))
}

fn refusal(status: StatusCode) -> Response<Answer> {
    let mut refusal = Response::new(Reply::Nothing);
    *refusal.status_mut() = status;
    refusal
}

/// How long a client is ready to wait: a number of up to eight digits, and its unit. What is no such
/// thing is not looked at.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(PATIENCE)?.to_str().ok()?;
    let (number, unit) = said.split_at_checked(said.len().checked_sub(1)?)?;
    let is_number = number.len() <= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|_| is_number)?;
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
        for no_patience in ["", "S", "5", "5s", "-5S", "100000000S", "5 S", "+5S"] {
            assert_eq!(said(no_patience), None, "{no_patience}");
        }
    }
}
