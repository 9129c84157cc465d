//! The page of metrics, with etcd's names where the meaning is the same.
//!
//! In: what the replica knows of itself, the calls that were counted, and what the system says of the
//! process. Out: Prometheus' text format.
//!
//! Deliberately absent: names of etcd for which there is nothing here that means the same (its peers' streams).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use keelson_store_core::id::{LogIndex, ReplicaId};
use tonic::Code;
use tower::{Layer, Service};

use crate::{
    grpc::{Front, maintenance::API_VERSION},
    runtime::clock::Instant,
};

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

impl MethodCalls {
    pub(in crate::grpc) fn started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::grpc) fn handled(&self, code: Code, took: Duration) {
        self.handled[code as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = BUCKETS.iter().position(|end| took.as_secs_f64() <= *end) {
            self.seconds[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Counts the calls that pass through.
#[derive(Clone)]
pub(in crate::grpc) struct CountCalls(pub(in crate::grpc) Arc<Calls>);

impl<S> Layer<S> for CountCalls {
    type Service = Counted<S>;

    fn layer(&self, service: S) -> Counted<S> {
        Counted { calls: self.0.clone(), service }
    }
}

/// A service whose calls are counted.
#[derive(Clone)]
pub(in crate::grpc) struct Counted<S> {
    calls: Arc<Calls>,
    service: S,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_grpc = request.headers().get(http::header::CONTENT_TYPE).is_some_and(is_grpc);
        let method = is_grpc.then(|| self.calls.method(request.uri().path())).flatten();
        let answering = self.service.call(request);
        let Some(method) = method else { return Box::pin(answering) };
        method.started();
        let began = Instant::now();
        Box::pin(async move {
            let answer = answering.await?;
            let code =
                answer.headers().get("grpc-status").map_or(Code::Ok, |raw| Code::from_bytes(raw.as_bytes()));
            method.handled(code, began.elapsed());
            Ok(answer)
        })
    }
}

fn is_grpc(kind: &http::HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"application/grpc")
}

/// The page.
pub(super) fn page(front: &Front, calls: &Calls) -> String {
    let mut page = Page::default();
    replica(&mut page, front, calls);
    super::stations::stations(&mut page, front.store.meters());
    grpc(&mut page, calls);
    process(&mut page);
    page.0
}

/// Text under way.
#[derive(Default)]
pub(super) struct Page(String);

/// What a number is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Page {
    pub(super) fn begin(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        writeln!(self.0, "{name}{labels} {value}").expect("a String grows as needed");
    }

    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl std::fmt::Display) {
        self.begin(name, kind, help);
        self.sample(name, "", value);
    }
}

fn replica(page: &mut Page, front: &Front, calls: &Calls) {
    use Kind::{Counter, Gauge};
    let status = front.store.status();
    let me = status.members.iter().find(|member| member.replica == status.replica);
    let index = |index: Option<LogIndex>| index.map_or(0, LogIndex::get);
    let flag = u8::from;
    let leads = status.leader == Some(status.replica);
    let changes = calls.leader_changes.load(Ordering::Relaxed);
    page.one("etcd_server_has_leader", Gauge, "Whether a leader exists.", flag(status.leader.is_some()));
    page.one("etcd_server_is_leader", Gauge, "Whether this member leads.", flag(leads));
    let learns = me.is_some_and(|me| !me.voter);
    page.one("etcd_server_is_learner", Gauge, "Whether this member is a learner.", flag(learns));
    page.one("etcd_server_leader_changes_seen_total", Counter, "Changes of the leader seen here.", changes);
    let (last, applied) = (index(status.last_index), index(status.applied_index));
    page.one("etcd_server_proposals_applied_total", Gauge, "The last log entry applied here.", applied);
    page.one("keelson_store_log_last_index", Gauge, "The last entry of this member's log.", last);
    page.one("keelson_store_term", Gauge, "The current term.", status.term);
    page.begin("etcd_server_id", Gauge, "This member's id, in hexadecimal, as a label.");
    page.sample("etcd_server_id", &format!("server_id=\"{:x}\"", status.replica.get()), 1);
    page.begin("etcd_server_version", Gauge, "The version of the API, as a label.");
    page.sample("etcd_server_version", &format!("server_version=\"{API_VERSION}\""), 1);
    let size = status.size;
    page.one("etcd_mvcc_db_total_size_in_bytes", Gauge, "Bytes of state on disk.", size);
    page.one("etcd_mvcc_db_total_size_in_use_in_bytes", Gauge, "Bytes of state in use.", size);
    let quota = front.quota.unwrap_or_default();
    page.one("etcd_server_quota_backend_bytes", Gauge, "The quota for the state; 0 means none.", quota);
    let (revision, compacted) = (status.revision, status.compacted);
    page.one("etcd_debugging_mvcc_current_revision", Gauge, "The newest revision applied here.", revision);
    page.one(
        "etcd_debugging_mvcc_compact_revision",
        Gauge,
        "The oldest revision that can be read.",
        compacted,
    );
    let doubt = flag(status.doubt.is_some());
    page.one(
        "keelson_store_in_doubt",
        Gauge,
        "Whether members have different states, and nobody can tell which is right.",
        doubt,
    );
    let watchers = front.store.watchers();
    page.one("etcd_debugging_mvcc_watcher_total", Gauge, "Watches on this member.", watchers);
    if leads {
        lags(page, &status);
    }
}

/// How far each other member is behind the leader.
fn lags(page: &mut Page, status: &crate::status::Status) {
    const NAME: &str = "keelson_store_member_lag_entries";
    page.begin(NAME, Kind::Gauge, "Log entries that a member has not acknowledged to its leader.");
    let last = status.last_index.map_or(0, LogIndex::get);
    let others = status.members.iter().filter(|member| member.replica != status.replica);
    for member in others {
        let lag = last.saturating_sub(member.matched.map_or(0, LogIndex::get));
        page.sample(NAME, &format!("to=\"{:x}\"", ReplicaId::get(member.replica)), lag);
    }
}

fn grpc(page: &mut Page, calls: &Calls) {
    let methods = calls.methods.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let labels = |path: &str| {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        format!("grpc_method=\"{method}\",grpc_service=\"{service}\"")
    };
    page.begin("grpc_server_started_total", Kind::Counter, "Calls that began.");
    for (path, method) in &methods {
        page.sample("grpc_server_started_total", &labels(path), method.started.load(Ordering::Relaxed));
    }
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

/// What Linux says about this process. Left out where it says nothing.
fn process(page: &mut Page) {
    if let Some(bytes) = resident_bytes() {
        page.one("process_resident_memory_bytes", Kind::Gauge, "Memory in use.", bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        page.one("process_open_fds", Kind::Gauge, "Open files and sockets.", open.count());
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
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
        let labels = "grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\"";
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
    fn made_up_methods_do_not_fill_the_table() {
        let calls = Calls::default();
        let known = (0..1000).filter(|number| calls.method(&format!("/x/{number}")).is_some());
        assert_eq!(known.count(), MAX_METHODS);
        assert!(calls.method("/x/0").is_some());
    }

    #[test]
    fn the_process_is_measured() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
