//! The API as a client sees it: one member, a real connection, every service.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use keelson_proto::etcd::rpc::{
    PutRequest, PutResponse, RangeRequest, RangeResponse, kv_client::KvClient, lease_client::LeaseClient,
    maintenance_client::MaintenanceClient, watch_client::WatchClient,
};
use keelson_store_core::engine::mem::MemDisk;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{AuthOptions, GrpcOptions, JwtError, Listeners, serve};
use crate::{
    options::{InitialMember, Member, StoreOptions},
    peer::TcpTransport,
    runtime,
    store::Store,
};

mod auth;
mod http;
mod kv;
mod lease;
mod maintenance;
mod queue;
mod watch;

/// Beyond it a test has failed, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a watch that wants progress reports gets one, in tests.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(20);

/// A member that runs alone and serves clients.
struct Served {
    address: SocketAddr,
    /// Where it is asked for metrics alone.
    metrics: SocketAddr,
    channel: Channel,
    store: Store,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), JwtError>>,
}

/// Runs a test against a fresh member, in a runtime like production's.
fn with_member(test: impl AsyncFnOnce(Served)) {
    with_quota(None, test);
}

/// The same with a quota.
fn with_quota(quota: Option<u64>, test: impl AsyncFnOnce(Served)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = runtime::seeded(7, async {
        let served = Served::start(quota).await;
        test(served).await;
    });
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("the test takes too long") });
}

impl Served {
    async fn start(quota: Option<u64>) -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let transport = TcpTransport::bind(any_port, None).await.unwrap();
        let peer_url = format!("http://{}", transport.local_addr().unwrap());
        let listener = TcpListener::bind(any_port).await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let member = Member {
            name: "alone".to_owned(),
            peer_urls: vec![peer_url.clone()],
            client_urls: vec![url.clone()],
            ..Member::default()
        };
        let initial = vec![InitialMember { name: member.name.clone(), peer_url }];
        let options = StoreOptions::new(member, initial, "test".to_owned());
        let disk = Arc::new(MemDisk::new());
        let store = Store::open(disk, Arc::new(transport), options).await.unwrap();

        let (stop, stopped) = oneshot::channel();
        let for_metrics = TcpListener::bind(any_port).await.unwrap();
        let metrics = for_metrics.local_addr().unwrap();
        let listeners =
            Listeners { clients: vec![listener], metrics: vec![for_metrics], ..Listeners::default() };
        let auth = AuthOptions { bcrypt_cost: 4, ..AuthOptions::default() };
        let options = GrpcOptions { watch_progress_interval: PROGRESS_INTERVAL, quota, auth, tls: None };
        let serving = runtime::spawn(serve(store.clone(), listeners, options, async {
            let _ = stopped.await;
        }));
        let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        Self { address, metrics, channel, store, stop, serving }
    }

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
    }

    fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel.clone())
    }

    fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
    }

    fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone())
    }

    async fn put(&self, key: &str, value: &str) -> PutResponse {
        self.kv().put(put_request(key, value)).await.unwrap().into_inner()
    }

    async fn get(&self, key: &str) -> RangeResponse {
        let request = RangeRequest { key: key.to_owned().into(), ..Default::default() };
        self.kv().range(request).await.unwrap().into_inner()
    }
}

fn put_request(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() }
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, text: &str) {
    let status = answer.expect_err("the request should be refused");
    assert_eq!((status.code(), status.message()), (code, text));
}

#[test]
fn a_server_that_stops_lets_its_port_go() {
    with_member(async |served| {
        served.put("a", "1").await;
        let Served { address, channel, store, stop, serving, .. } = served;
        drop(channel);
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
        TcpListener::bind(address).await.unwrap();
        store.shutdown().await;
    });
}
