//! Runs a server until it is asked to stop.
//!
//! In: [`ServerOptions`]. Out: a server that serves until SIGTERM or SIGINT, then hands its leadership over.
//!
//! Order of a start: everything that can be wrong on this machine first (certificates, sockets, disk), then the
//! cluster. Stopping goes the other way round: first the controllers and the scheduler, which give back what they lead,
//! then the clients' doors, so that nothing new comes in, then the store.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use keelson_apiserver::authn::x509::ClientAuthorities;
use keelson_apiserver::nodes::NodeClient;
use keelson_apiserver::serve::{self, Sharing};
use keelson_apiserver::server::{self as api, Server, ServiceAccountKeys};
use keelson_apiserver::{bootstrap, tls};
use keelson_store::options::{Member, StoreOptions};
use keelson_store::runtime::{seeded, spawn};
use keelson_store::{Store, compactor, export};
use tokio::net::TcpListener;

use super::components::Components;
use super::files::Pem;
use super::flags::Flags;
use super::options::ServerOptions;
use crate::process::{self, StopSignals};
use crate::replica;

/// Checks the flags and runs the server to its end.
pub(super) fn run(flags: Flags) -> Result<ExitCode, Box<dyn Error>> {
    let log_level = flags.log_level;
    let options = ServerOptions::from_flags(flags)?;
    process::prepare(log_level)?;
    // Only a simulation repeats a seed.
    process::runtime()?.block_on(seeded(rand::random(), start(&options)))?;
    Ok(ExitCode::SUCCESS)
}

async fn start(options: &ServerOptions) -> Result<(), Box<dyn Error>> {
    let mut signals = StopSignals::install()?;
    let pem = Pem::read(&options.files, &options.name)?;
    let authorities = ClientAuthorities::from_pem(&pem.client_authority)?;
    let tls = tls::server_config(&pem.serving_certificate, &pem.serving_key, &authorities)?;
    let listeners = listen(options)?;
    let transport = replica::listen(options.peer_listen, Some(&options.files.peer)).await?;
    let opened = replica::open(&options.data_dir, transport, store_options(options), &mut signals).await?;
    let Some(store) = opened else { return Ok(()) };
    let compactor = spawn(compactor::run(store.clone(), options.history_retention));
    let backup = options.backup.clone().map(|backup| spawn(export::back_up(store.clone(), backup)));
    let served = serve(store.clone(), listeners, tls, pem, options, &mut signals).await;
    compactor.abort();
    backup.inspect(|backup| backup.abort());
    store.shutdown().await;
    tracing::info!("stopped");
    served
}

async fn serve(
    store: Store,
    listeners: Vec<TcpListener>,
    tls: Arc<rustls::ServerConfig>,
    pem: Pem,
    options: &ServerOptions,
    signals: &mut StopSignals,
) -> Result<(), Box<dyn Error>> {
    let keys =
        ServiceAccountKeys { signing: pem.service_account_key, earlier: pem.service_account_earlier_keys };
    let node_client =
        NodeClient::from_pem(&pem.kubelet_client_certificate, &pem.kubelet_client_key, &pem.node_authority)?;
    let api_options = api_options(options, pem.client_authority, node_client);
    let server = Server::open(store.clone(), &keys, api_options)?;
    let components = Components::start(options, &pem.server_authority).await?;
    tracing::info!(
        name = options.name,
        listen = %options.listen,
        shared = options.shared_listen.map(tracing::field::display),
        peers = %options.peer_listen,
        "serving"
    );
    let presence = server.clone();
    let presence = spawn(async move { bootstrap::run(&presence).await });
    let mut ended = Ok(());
    let stop = async {
        ended = replica::ended(&store, signals).await;
        components.stop().await;
    };
    serve::serve(server, listeners, tls, stop).await;
    // It takes this server off the list of those that clients are sent to, which needs the store.
    if let Err(panicked) = presence.await {
        tracing::error!(%panicked, "the work beside requests ended in a fault of this server");
    }
    Ok(ended?)
}

/// What the store is told; everything that has no flag keeps its default.
fn store_options(options: &ServerOptions) -> StoreOptions {
    let api = SocketAddr::new(options.advertise_address, options.listen.port());
    let member = Member {
        name: options.name.clone(),
        peer_urls: vec![options.peer_url.to_string()],
        client_urls: vec![format!("https://{api}")],
        ..Member::default()
    };
    let first = replica::initial_members(&options.initial_cluster);
    StoreOptions {
        beginning: options.beginning,
        removing: "`keelson remove-server`",
        ..StoreOptions::new(member, first, options.cluster_token.clone())
    }
}

/// What the API server is told; everything that has no flag keeps its default.
fn api_options(
    options: &ServerOptions,
    client_ca_pem: String,
    node_client: NodeClient,
) -> api::ServerOptions {
    let (address, port) = (options.advertise_address, options.listen.port());
    api::ServerOptions {
        service_cluster_ip_range: options.service_network.range(),
        service_node_ports: options.node_ports.0.clone(),
        node_client: Some(node_client),
        shutdown_delay: options.shutdown_delay,
        ..api::ServerOptions::new(options.name.clone(), address, port, client_ca_pem)
    }
}

fn listen(options: &ServerOptions) -> Result<Vec<TcpListener>, String> {
    let own = [(options.listen, Sharing::Exclusive)];
    let shared = options.shared_listen.map(|address| (address, Sharing::Shared));
    let listen = |(address, sharing)| {
        serve::listen(address, sharing)
            .map_err(|error| format!("cannot listen on {address} for clients: {error}"))
    };
    own.into_iter().chain(shared).map(listen).collect()
}
