//! etcd's v3 API over the [`Store`].
//!
//! In: gRPC requests, in plain text or inside TLS. Out: what the store answers, in etcd's messages, codes and
//! texts, so that `etcdctl`, etcd's client libraries and the tools built on them work as they are.
//!
//! One value, `Front`, serves all services; each service is one file. The path of a request is short:
//! `accept` → service → `convert` → [`Store`] → `convert` or `error`.
//!
//! Deliberately absent: users and roles (who may connect is decided by TLS), etcd's v2 API, its HTTP gateway,
//! and any read or write that does not go through [`Store`]. Handlers run on tasks of tonic's, which know no
//! seed: nothing here spawns.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keelson_proto::etcd::rpc::{
    ResponseHeader, cluster_server::ClusterServer, kv_server::KvServer, lease_server::LeaseServer,
    maintenance_server::MaintenanceServer, watch_server::WatchServer,
};
use keelson_store_core::id::{ClusterId, LeaseId, ReplicaId, Revision, Term};
use openraft_rt::AsyncRuntime;
use rand::RngExt as _;
use tokio::{net::TcpListener, sync::watch as channel};
use tonic::transport::{Error, Server, server::Router};

use crate::{runtime::Runtime, store::Store};

mod accept;
mod cluster;
mod convert;
mod ending;
mod error;
mod kv;
mod lease;
mod maintenance;
mod snapshot;
mod tls;
mod watch;

pub use tls::{ClientTls, ClientTlsFiles};

/// The longest message that is decoded at all, in bytes. Well above the longest request that is let through
/// ([`error::MAX_REQUEST_BYTES`]), so that a client learns in etcd's words that its request is too large.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Requests under way at once on one connection.
const MAX_STREAMS: u32 = 1 << 16;
/// What a client may send ahead: one request of the largest size per stream, several per connection.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A client that is silent for so long is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to answer that.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long requests under way may take to finish once the server is asked to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// How the API is served.
#[derive(Clone)]
pub struct GrpcOptions {
    /// `None`: in plain text, because that was asked for.
    pub tls: Option<ClientTls>,
    /// After how long without events a watch that asked for progress reports is told how far it is.
    pub watch_progress_interval: Duration,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self { tls: None, watch_progress_interval: Duration::from_secs(600) }
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
    stopping: channel::Receiver<bool>,
}

/// Serves clients until `stop` completes. Then requests under way are finished, within a few seconds, and
/// streams end with a status that sends clients to another member.
///
/// Must be called inside [`runtime::seeded`](crate::runtime::seeded).
///
/// # Errors
/// See tonic: only what concerns the server as a whole, never a connection.
pub async fn serve(
    store: Store,
    listeners: Vec<TcpListener>,
    options: GrpcOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let (stopping, mut stopped) = channel::channel(false);
    let connections = accept::connections(listeners, options.tls.as_ref());
    let front = Front::new(store, &options, stopped.clone());
    let serving = router(&front).serve_with_incoming_shutdown(connections, async move {
        // A sender that is gone means the same as one that says so.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    });
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        () = stop => {}
    }
    stopping.send_replace(true);
    tokio::time::timeout(DRAIN, serving).await.unwrap_or_else(|_| {
        tracing::warn!("clients still had requests under way when the server stopped");
        Ok(())
    })
}

fn router(front: &Front) -> Router {
    let kv = KvServer::new(front.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(kv)
        .add_service(WatchServer::new(front.clone()))
        .add_service(LeaseServer::new(front.clone()))
        .add_service(ClusterServer::new(front.clone()))
        .add_service(MaintenanceServer::new(front.clone()))
}

impl Front {
    fn new(store: Store, options: &GrpcOptions, stopping: channel::Receiver<bool>) -> Self {
        let status = store.status();
        Self {
            store,
            cluster: status.cluster,
            replica: status.replica,
            random: Arc::new(Mutex::new(Runtime::thread_rng())),
            watch_progress_interval: options.watch_progress_interval,
            stopping,
        }
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
