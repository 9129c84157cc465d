//! What was called, and how it went.
//!
//! In: calls, on the short way by the handler's own counters, on the long one through a layer. Out: counts by method, with
//! the names and labels of Go's library, which dashboards know.

use std::{
    collections::BTreeMap,
    future::Future,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::{
    messages::Messages,
    metrics::{Kind, Page},
};
use crate::{grpc::error, runtime::clock::Instant};

/// Upper ends of the buckets in which handling times are counted, in seconds; etcd's.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// More than all services have together.
const MAX_METHODS: usize = 128;

/// What was called, and how it went; by the path of the method.
#[derive(Debug, Default)]
pub(in crate::grpc) struct Calls {
    methods: Mutex<BTreeMap<String, Arc<MethodCalls>>>,
    /// How often another leader was seen than before.
    pub(in crate::grpc) leader_changes: AtomicU64,
    /// How often `/health` was asked, and all was well,
    pub(super) health_successes: AtomicU64,
    /// or not.
    pub(super) health_failures: AtomicU64,
}

/// One method's calls.
#[derive(Debug, Default)]
pub(in crate::grpc) struct MethodCalls {
    started: AtomicU64,
    /// By gRPC code. Streams are counted when they begin to answer.
    handled: [AtomicU64; CODES.len()],
    /// By the first of [`BUCKETS`] that holds it.
    seconds: [AtomicU64; BUCKETS.len()],
    nanos: AtomicU64,
    /// Messages that clients sent,
    received: AtomicU64,
    /// and that were sent to them.
    sent: AtomicU64,
}

/// Calls that are more than one message each way, and how Go's library names that.
const STREAMS: [(&str, &str); 8] = [
    ("/etcdserverpb.KV/RangeStream", "server_stream"),
    ("/etcdserverpb.Lease/LeaseKeepAlive", "bidi_stream"),
    ("/etcdserverpb.Maintenance/Snapshot", "server_stream"),
    ("/etcdserverpb.Watch/Watch", "bidi_stream"),
    ("/grpc.health.v1.Health/Watch", "server_stream"),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "bidi_stream"),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "bidi_stream"),
    ("/v3electionpb.Election/Observe", "server_stream"),
];

fn kind_of(path: &str) -> &'static str {
    STREAMS.iter().find(|(stream, _)| *stream == path).map_or("unary", |(_, kind)| kind)
}

/// gRPC's codes by their numbers, as Go's library names them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

impl Calls {
    /// Of a method that is known to be there.
    pub(in crate::grpc) fn known(&self, path: &str) -> Arc<MethodCalls> {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        methods.entry(path.to_owned()).or_default().clone()
    }

    /// `None` where too many have been called, because somebody makes them up.
    fn method(&self, path: &str) -> Option<Arc<MethodCalls>> {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(method) = methods.get(path) {
            return Some(method.clone());
        }
        let method = (methods.len() < MAX_METHODS).then(Arc::<MethodCalls>::default)?;
        methods.insert(path.to_owned(), method.clone());
        Some(method)
    }
}

/// A call that has begun. Where it ends without a code, its client has given it up.
pub(in crate::grpc) struct Handling<C: Deref<Target = MethodCalls>> {
    calls: C,
    began: Instant,
    code: Code,
}

impl<C: Deref<Target = MethodCalls>> Handling<C> {
    pub(in crate::grpc) fn begin(calls: C) -> Self {
        calls.started.fetch_add(1, Ordering::Relaxed);
        Self { calls, began: Instant::now(), code: Code::Cancelled }
    }

    pub(in crate::grpc) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl<C: Deref<Target = MethodCalls>> Drop for Handling<C> {
    fn drop(&mut self) {
        self.calls.handled(self.code, self.began.elapsed());
    }
}

impl MethodCalls {
    pub(in crate::grpc) fn received(&self, messages: u64) {
        self.received.fetch_add(messages, Ordering::Relaxed);
    }

    pub(in crate::grpc) fn sent(&self, messages: u64) {
        self.sent.fetch_add(messages, Ordering::Relaxed);
    }

    fn handled(&self, code: Code, took: Duration) {
        self.handled[code as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = BUCKETS.iter().position(|end| took.as_secs_f64() <= *end) {
            self.seconds[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A service whose calls are counted.
#[derive(Clone)]
pub(in crate::grpc) struct Counted<S> {
    calls: Arc<Calls>,
    service: S,
}

impl<S> Counted<S> {
    pub(in crate::grpc) fn new(calls: Arc<Calls>, service: S) -> Self {
        Self { calls, service }
    }
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<Messages<B>>, Response = Response<R>>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes>,
{
    type Response = Response<Messages<R>>;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_grpc = request.headers().get(http::header::CONTENT_TYPE).is_some_and(is_grpc);
        let method = is_grpc.then(|| self.calls.method(request.uri().path())).flatten();
        let (counter, path) = (method.clone(), request.uri().path().to_owned());
        let answering = self.service.call(request.map(|body| Messages::received(body, counter)));
        let Some(method) = method else {
            return Box::pin(async move { Ok(answering.await?.map(|body| Messages::sent(body, None))) });
        };
        let handling = Handling::begin(method.clone());
        Box::pin(async move {
            let mut answer = answering.await?;
            reword(&path, answer.headers_mut());
            let code =
                answer.headers().get("grpc-status").map_or(Code::Ok, |raw| Code::from_bytes(raw.as_bytes()));
            handling.end(code);
            Ok(answer.map(|body| Messages::sent(body, Some(method))))
        })
    }
}

/// Says in the words of Go's library what this one says in its own.
fn reword(path: &str, headers: &mut HeaderMap) {
    let said = headers.get("grpc-status").is_some().then(|| Status::from_header_map(headers)).flatten();
    if let Some(status) = said.and_then(|said| error::in_gos_words(path, &said)) {
        // Only a text that is no header fails, and these are.
        let _ = status.add_header(headers);
    }
}

fn is_grpc(kind: &http::HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"application/grpc")
}

/// The counts, on the page.
pub(super) fn grpc(page: &mut Page, calls: &Calls) {
    let methods = calls.methods.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let labels = |path: &str| {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let kind = kind_of(path);
        format!("grpc_method=\"{method}\",grpc_service=\"{service}\",grpc_type=\"{kind}\"")
    };
    let count = |page: &mut Page, name: &str, help: &str, counter: fn(&MethodCalls) -> &AtomicU64| {
        page.begin(name, Kind::Counter, help);
        for (path, method) in &methods {
            page.sample(name, &labels(path), counter(method).load(Ordering::Relaxed));
        }
    };
    count(page, "grpc_server_started_total", "Calls that began.", |method| &method.started);
    count(page, "grpc_server_msg_received_total", "Messages of clients.", |method| &method.received);
    count(page, "grpc_server_msg_sent_total", "Messages to clients.", |method| &method.sent);
    page.begin(
        "grpc_server_handled_total",
        Kind::Counter,
        "Calls that were answered; streams, when they began to be.",
    );
    for (path, method) in &methods {
        for (code, count) in CODES.iter().zip(&method.handled) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                let labels = format!("{},grpc_code=\"{code}\"", labels(path));
                page.sample("grpc_server_handled_total", &labels, count);
            }
        }
    }
    page.begin(
        "grpc_server_handling_seconds",
        Kind::Histogram,
        "From a call to its answer, or a stream's first word.",
    );
    for (path, method) in &methods {
        handling_seconds(page, &labels(path), method);
    }
}

fn handling_seconds(page: &mut Page, labels: &str, method: &MethodCalls) {
    const NAME: &str = "grpc_server_handling_seconds";
    let mut below = 0;
    for (end, count) in BUCKETS.iter().zip(&method.seconds) {
        below += count.load(Ordering::Relaxed);
        page.sample(&format!("{NAME}_bucket"), &format!("{labels},le=\"{end}\""), below);
    }
    let all: u64 = method.handled.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    page.sample(&format!("{NAME}_bucket"), &format!("{labels},le=\"+Inf\""), all);
    let seconds = Duration::from_nanos(method.nanos.load(Ordering::Relaxed)).as_secs_f64();
    page.sample(&format!("{NAME}_sum"), labels, seconds);
    page.sample(&format!("{NAME}_count"), labels, all);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_method_and_code_and_their_times_add_up() {
        let calls = Calls::default();
        let method = calls.method("/etcdserverpb.KV/Put").unwrap();
        method.started.fetch_add(3, Ordering::Relaxed);
        method.handled(Code::Ok, Duration::from_millis(4));
        method.handled(Code::Ok, Duration::from_millis(30));
        method.handled(Code::Unavailable, Duration::from_secs(60));
        let mut page = Page::default();
        grpc(&mut page, &calls);
        let labels = "grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"";
        for line in [
            format!("grpc_server_started_total{{{labels}}} 3"),
            format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}} 2"),
            format!("grpc_server_handled_total{{{labels},grpc_code=\"Unavailable\"}} 1"),
            format!("grpc_server_handling_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            format!("grpc_server_handling_seconds_bucket{{{labels},le=\"10\"}} 2"),
            format!("grpc_server_handling_seconds_bucket{{{labels},le=\"+Inf\"}} 3"),
            format!("grpc_server_handling_seconds_sum{{{labels}}} 60.034"),
        ] {
            assert!(page.0.lines().any(|found| found == line), "{line} is not in\n{}", page.0);
        }
    }

    #[test]
    fn streams_are_told_from_calls_with_one_message_each_way() {
        assert_eq!(kind_of("/etcdserverpb.KV/Range"), "unary");
        assert_eq!(kind_of("/etcdserverpb.Watch/Watch"), "bidi_stream");
        assert_eq!(kind_of("/etcdserverpb.Maintenance/Snapshot"), "server_stream");
    }

    #[test]
    fn made_up_methods_do_not_fill_the_table() {
        let calls = Calls::default();
        let known = (0..1000).filter(|number| calls.method(&format!("/x/{number}")).is_some());
        assert_eq!(known.count(), MAX_METHODS);
        assert!(calls.method("/x/0").is_some());
    }
}
