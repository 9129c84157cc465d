//! Runs a member until it is asked to stop.
//!
//! In: [`MemberOptions`]. Out: a member that serves until SIGTERM or SIGINT, then hands its leadership over.
//!
//! Order of a start: everything that can be wrong on this machine first (certificates, sockets, disk), then the
//! cluster. Stopping goes the other way round: first the clients' door, so that nothing new comes in.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use keelson_store::Store;
use keelson_store::grpc::{self, ClientTls, ClientTlsFiles, GrpcOptions};
use keelson_store::options::{InitialMember, Member, StoreOptions, Timing};
use keelson_store::peer::{PeerTls, TcpTransport, TlsFiles};
use keelson_store::runtime::seeded;
use keelson_store_core::engine::Disk;
use keelson_store_rocks::{RocksDisk, RocksOptions};
use tokio::net::TcpListener;

use super::endpoint::Endpoint;
use super::flags::Flags;
use super::options::{ClientDoor, MemberOptions, PeerDoor};
use crate::process::{self, StopSignals};

/// Checks the flags and runs the member to its end.
pub(super) fn run(flags: Flags) -> Result<ExitCode, Box<dyn Error>> {
    let log_filter = flags.tuning.log_level.filter();
    let options = MemberOptions::from_flags(flags)?;
    process::start_logging(log_filter)?;
    process::install_crypto();
    match process::raise_open_files() {
        Some(limit) => tracing::debug!(limit, "limit of open files"),
        None => tracing::debug!("open files are not limited"),
    }
    // Only a simulation repeats a seed.
    process::runtime()?.block_on(seeded(rand::random(), serve(options)))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(options: MemberOptions) -> Result<(), Box<dyn Error>> {
    let mut signals = StopSignals::install()?;
    let front = GrpcOptions { tls: client_tls(&options.client)?, ..GrpcOptions::default() };
    let clients = listen(&options.client).await?;
    let transport = peer_transport(&options.peer).await?;
    let disk: Arc<dyn Disk> = Arc::new(RocksDisk::new(options.data_dir.clone(), RocksOptions::default())?);
    let opened = tokio::select! {
        opened = Store::open(disk, Arc::new(transport), store_options(&options)) => opened,
        // Nothing was promised to anybody yet, so there is nothing to hand over.
        () = signals.asked() => return Ok(()),
    };
    let store = opened?;
    tracing::info!(name = options.name, clients = ?options.client.listen, peers = ?options.peer.listen, "serving");
    let mut ended: Result<(), String> = Ok(());
    let stop = async {
        tokio::select! {
            () = signals.asked() => {}
            // It cannot tell any more what is on its disk; a process that starts anew can.
            why = store.failed() => ended = Err(format!("the store has failed: {why}")),
        }
    };
    let served = grpc::serve(store.clone(), clients, front, stop).await;
    store.shutdown().await;
    tracing::info!("stopped");
    ended?;
    Ok(served?)
}

/// What the store is told; everything that has no flag keeps its default.
fn store_options(options: &MemberOptions) -> StoreOptions {
    let text = |urls: &[Endpoint]| urls.iter().map(ToString::to_string).collect();
    let member = Member {
        name: options.name.clone(),
        peer_urls: text(&options.peer.advertise),
        client_urls: text(&options.client.advertise),
    };
    let first = options.initial_cluster.iter();
    let first = first.map(|(name, url)| InitialMember { name: name.clone(), peer_url: url.to_string() });
    let timing = Timing {
        heartbeat: options.heartbeat,
        election_min: options.election_timeout,
        election_max: options.election_timeout * 2,
    };
    StoreOptions {
        timing,
        snapshot_every: options.snapshot_every,
        ..StoreOptions::new(member, first.collect(), options.cluster_token.clone())
    }
}

fn client_tls(door: &ClientDoor) -> io::Result<Option<ClientTls>> {
    let Some(files) = &door.tls else { return Ok(None) };
    let files = ClientTlsFiles {
        cert: files.certificate.clone(),
        key: files.key.clone(),
        client_ca: files.client_authority.clone(),
    };
    ClientTls::load(&files).map(Some)
}

async fn listen(door: &ClientDoor) -> Result<Vec<TcpListener>, String> {
    let mut listeners = Vec::new();
    for address in &door.listen {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|error| format!("cannot listen on {address} for clients: {error}"))?);
    }
    Ok(listeners)
}

async fn peer_transport(door: &PeerDoor) -> Result<TcpTransport, String> {
    let tls = match &door.tls {
        Some(files) => {
            let files = TlsFiles {
                cert: files.certificate.clone(),
                key: files.key.clone(),
                ca: files.trusted_authority.clone(),
            };
            Some(PeerTls::load(&files).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let address = door.listen;
    TcpTransport::bind(address, tls)
        .await
        .map_err(|error| format!("cannot listen on {address} for peers: {error}"))
}
