//! etcd's v3 API over the [`Store`].
//!
//! In: gRPC requests, in plain text or inside TLS. Out: what the store answers, in etcd's messages, codes and
//! texts, so that `etcdctl`, etcd's client libraries and the tools built on them work as they are.
//!
//! One value, `Front`, serves all services; each service is one file. The path of a request is short:
//! `accept` → service → `identity` → `convert` → [`Store`] → `convert` or `error`.
//!
//! On the same ports there are gRPC's own services (health, reflection) and what is asked over plain HTTP (`http`).
//!
//! Deliberately absent: etcd's v2 API, its HTTP gateway, and any read or write that does not go through [`Store`]. Handlers run on tasks of tonic's, which know no
//! seed: nothing here spawns.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use keelson_proto::etcd::{
    DESCRIPTORS,
    election::election_server::ElectionServer,
    lock::lock_server::LockServer,
    rpc::{
        ResponseHeader, auth_server::AuthServer, cluster_server::ClusterServer, kv_server::KvServer,
        lease_server::LeaseServer, maintenance_server::MaintenanceServer, watch_server::WatchServer,
    },
};
use keelson_store_core::id::{ClusterId, LeaseId, ReplicaId, Revision, Term};
use openraft_rt::AsyncRuntime;
use rand::RngExt as _;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch as channel},
};
use tonic::service::{AxumRouter, Routes};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{meters::Traffic, runtime::Runtime, store::Store};
use express::Express;
use requests::Site;

mod accept;
mod auth;
mod authority;
mod cluster;
mod convert;
mod election;
mod ending;
mod error;
mod express;
mod http;
mod http2;
mod identity;
mod kv;
mod learner;
mod lease;
mod lock;
mod maintenance;
mod pulse;
mod queue;
mod quota;
mod reply;
mod requests;
mod snapshot;
mod tls;
mod watch;

pub use auth::{JwtError, JwtMethod, JwtOptions};
pub use tls::{ClientTls, ClientTlsFiles};

use auth::{Jwt, Passwords, Tokens};

/// The longest message that is decoded at all, in bytes: as etcd, the longest request that is let through
/// ([`error::MAX_REQUEST_BYTES`]), and some more. What is in between is refused in etcd's words, what is longer in those of
/// Go's library.
const MAX_MESSAGE_BYTES: usize = error::MAX_REQUEST_BYTES + (512 << 10);
/// How long requests under way may take to finish once the server is asked to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// How the API is served.
#[derive(Clone)]
pub struct GrpcOptions {
    /// `None`: in plain text, because that was asked for.
    pub tls: Option<ClientTls>,
    /// After how long without events a watch that asked for progress reports is told how far it is.
    pub watch_progress_interval: Duration,
    /// Bytes of state beyond which writes that grow are refused.
    pub quota: Option<u64>,
    /// How clients are recognized while authentication is on.
    pub auth: AuthOptions,
}

/// How clients are recognized while authentication is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthOptions {
    /// What they show once they have shown a password.
    pub tokens: TokenOptions,
    /// The logarithm of the work for one password: 4 to 31.
    pub bcrypt_cost: u32,
    /// Whether the name in a client's certificate is that of a user. Only where certificates are demanded.
    pub certificate_users: bool,
}

/// What a client shows instead of its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOptions {
    /// Tokens of this store's own, which live for so long after they were last used.
    Signed(Duration),
    /// JSON Web Tokens.
    Jwt(JwtOptions),
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            tokens: TokenOptions::Signed(Duration::from_secs(300)),
            bcrypt_cost: 10,
            certificate_users: false,
        }
    }
}

impl AuthOptions {
    /// Whether clients can be served so.
    ///
    /// # Errors
    /// A key file is missing, or holds something else.
    pub fn check(&self) -> Result<(), JwtError> {
        self.tokens.make().map(drop)
    }
}

impl TokenOptions {
    fn make(&self) -> Result<Tokens, JwtError> {
        Ok(match self {
            Self::Signed(lifetime) => Tokens::signed(*lifetime),
            Self::Jwt(options) => Tokens::Jwt(Arc::new(Jwt::load(options)?)),
        })
    }
}

impl Default for GrpcOptions {
    fn default() -> Self {
        let auth = AuthOptions::default();
        Self { tls: None, watch_progress_interval: Duration::from_secs(600), quota: None, auth }
    }
}

/// Everything that the services share; each implements its trait for it. Clones share it, too.
#[derive(Clone)]
struct Front {
    store: Store,
    cluster: ClusterId,
    replica: ReplicaId,
    random: Arc<Mutex<<Runtime as AsyncRuntime>::ThreadLocalRng>>,
    watch_progress_interval: Duration,
    quota: Option<u64>,
    tokens: Tokens,
    passwords: Passwords,
    /// Snapshots that may be sent to clients at once.
    exports: Arc<Semaphore>,
    stopping: channel::Receiver<bool>,
}

/// Where clients come in.
#[derive(Default)]
pub struct Listeners {
    /// For everything.
    pub clients: Vec<TcpListener>,
    /// For probes and metrics alone, in plain text.
    pub metrics: Vec<TcpListener>,
    /// For probes and metrics alone, inside the TLS of clients; without that, in plain text as well.
    pub metrics_tls: Vec<TcpListener>,
}

/// Serves clients until `stop` completes. Then requests under way are finished, within a few seconds, and
/// streams end with a status that sends clients to another member.
///
/// Must be called inside [`runtime::seeded`](crate::runtime::seeded).
///
/// # Errors
/// Only what concerns the server as a whole, never a connection.
pub async fn serve(
    store: Store,
    listeners: Listeners,
    options: GrpcOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), JwtError> {
    let (stopping, stopped) = channel::channel(false);
    let front = Front::new(store, &options, stopped)?;
    let calls = Arc::new(http::Calls::default());
    let (health, routes) = routes(&front, &calls);
    let tls = options.tls.as_ref();
    let traffic = front.store.meters().clients.clone();
    let site = |express, routes| {
        Arc::new(Site::new(front.store.clone(), express, http::Counted::new(calls.clone(), routes)))
    };
    let clients = site(Some(Express::new(front.clone(), &calls)), routes);
    let names = options.auth.certificate_users;
    let clients = run(&front, clients, vec![(listeners.clients, tls)], names, &traffic);
    let metrics = site(None, Routes::from(probes(&front, &calls, AxumRouter::new())));
    let doors = vec![(listeners.metrics, None), (listeners.metrics_tls, tls)];
    let metrics = run(&front, metrics, doors, false, &Arc::default());
    let serving = async { tokio::join!(clients, metrics) };
    tokio::pin!(serving);
    tokio::select! {
        _ = &mut serving => return Ok(()),
        () = count_leaders(&front, &calls) => {}
        () = stop => {}
    }
    health.set_service_status("", ServingStatus::NotServing).await;
    stopping.send_replace(true);
    if tokio::time::timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("clients still had requests under way when the server stopped");
    }
    Ok(())
}

/// Answers on these sockets, until the server is asked to stop.
fn run(
    front: &Front,
    site: Arc<Site>,
    doors: Vec<(Vec<TcpListener>, Option<&ClientTls>)>,
    names: bool,
    traffic: &Arc<Traffic>,
) -> impl Future<Output = ()> + use<> {
    let connections = accept::connections(doors, names, traffic);
    requests::serve(connections, site, front.stopping.clone())
}

/// All services, and what is asked over plain HTTP.
fn routes(front: &Front, calls: &Arc<http::Calls>) -> (HealthReporter, Routes) {
    let kv = KvServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let reflect = tonic_reflection::server::Builder::configure;
    let reflect = || reflect().register_encoded_file_descriptor_set(DESCRIPTORS);
    let (reporter, health) = tonic_health::server::health_reporter();
    let own = "the descriptors were made by this build";
    let mut routes = Routes::new(kv)
        .add_service(WatchServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(LeaseServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(AuthServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(ClusterServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(MaintenanceServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(LockServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(ElectionServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(health)
        .add_service(reflect().build_v1().expect(own))
        .add_service(reflect().build_v1alpha().expect(own));
    let router = routes.axum_router_mut();
    *router = probes(front, calls, std::mem::take(router));
    (reporter, routes)
}

/// Adds what is asked over plain HTTP.
fn probes(front: &Front, calls: &Arc<http::Calls>, router: AxumRouter) -> AxumRouter {
    let (front, calls) = (front.clone(), calls.clone());
    router.fallback_service(tower::service_fn(move |request| {
        http::answer(front.clone(), calls.clone(), request)
    }))
}

/// Counts changes of the leader. Never completes.
async fn count_leaders(front: &Front, calls: &http::Calls) {
    let mut known = None;
    loop {
        known = Some(front.store.another_leader(known).await);
        calls.leader_changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Front {
    fn new(store: Store, options: &GrpcOptions, stopping: channel::Receiver<bool>) -> Result<Self, JwtError> {
        let status = store.status();
        let AuthOptions { tokens, bcrypt_cost, certificate_users: _ } = &options.auth;
        Ok(Self {
            tokens: tokens.make()?,
            passwords: Passwords::new(*bcrypt_cost, store.offload()),
            exports: Arc::new(Semaphore::new(snapshot::AT_ONCE)),
            store,
            cluster: status.cluster,
            replica: status.replica,
            random: Arc::new(Mutex::new(Runtime::thread_rng())),
            watch_progress_interval: options.watch_progress_interval,
            quota: options.quota,
            stopping,
        })
    }

    /// The header of a reply that speaks of the store at `revision`.
    fn header(&self, revision: Revision) -> ResponseHeader {
        self.header_in(self.store.term(), revision)
    }

    /// The header of a reply that speaks of this replica as it stands.
    fn header_now(&self) -> ResponseHeader {
        self.header_in(self.store.term(), self.store.applied_revision())
    }

    fn header_in(&self, term: Term, revision: Revision) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.cluster.get(),
            member_id: self.replica.get(),
            revision: convert::signed(revision.get()),
            raft_term: term.get(),
        }
    }

    /// A lease id that nobody uses, for all that matters: one of 2^63.
    fn draw_lease_id(&self) -> LeaseId {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        LeaseId::new(random.random_range(1..=i64::MAX))
    }

    /// Completes when the server is asked to stop.
    async fn stopping(&self) {
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

#[cfg(test)]
mod tests;
