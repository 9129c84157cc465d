//! Runs a member until it is asked to stop.
//!
//! In: [`MemberOptions`]. Out: a member that serves until SIGTERM or SIGINT, then hands its leadership over.
//!
//! A member that finds damage which its next start mends makes that start by itself ([`super::start_again`]).
//!
//! Order of a start: everything that can be wrong on this machine first (certificates, sockets, disk), then
//! the cluster. Stopping goes the other way round: first the clients' door, so that nothing new comes in.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use keelson_store::Store;
use keelson_store::compactor;
use keelson_store::export::{self, BackupOptions};
use keelson_store::grpc::{self, ClientTls, ClientTlsFiles, GrpcOptions, Listeners};
use keelson_store::options::{Member, StoreOptions, Timing};
use keelson_store::runtime::seeded;
use tokio::net::TcpListener;

use super::flags::Flags;
use super::mutant;
use super::options::{AutoCompaction, ClientDoor, MemberOptions};
use super::start_again::start_again;
use crate::endpoint::Endpoint;
use crate::process::{self, StopSignals};
use crate::replica;

/// Checks the flags and runs the member to its end.
pub(super) fn run(flags: Flags) -> Result<ExitCode, Box<dyn Error>> {
    let log_level = flags.tuning.log_level;
    let folder = flags.member.data_dir();
    let options = MemberOptions::from_flags(flags, !has_member(&folder))?;
    process::prepare(log_level)?;
    options.notes.iter().for_each(|note| tracing::warn!("{note}"));
    mutant::choose()?;
    refuse_etcds_folder(&options.data_dir)?;
    // Only a simulation repeats a seed.
    process::runtime()?.block_on(seeded(rand::random(), serve(options)))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(options: MemberOptions) -> Result<(), Box<dyn Error>> {
    let mut signals = StopSignals::install()?;
    let front = GrpcOptions {
        tls: client_tls(&options.client)?,
        watch_progress_interval: options.watch_progress_interval,
        quota: options.quota,
        auth: options.auth.clone(),
    };
    front.auth.check()?;
    let listeners = Listeners {
        clients: listen("clients", &options.client.listen).await?,
        metrics: listen("metrics", &options.metrics.plain).await?,
        metrics_tls: listen("metrics", &options.metrics.tls).await?,
    };
    let transport = replica::listen(options.peer.listen, options.peer.tls.as_ref()).await?;
    let opened = replica::open(&options.data_dir, transport, store_options(&options), &mut signals).await?;
    let Some(store) = opened else { return Ok(()) };
    tracing::info!(name = options.name, clients = ?options.client.listen, peers = ?options.peer.listen, "serving");
    let mut ended = Ok(());
    let stop = async { ended = replica::ended(&store, &mut signals).await };
    let serving = grpc::serve(store.clone(), listeners, front, stop);
    let served = tokio::select! {
        served = serving => served,
        () = compact(&store, options.compaction) => unreachable!("compaction goes on for ever"),
        () = back_up(&store, options.backup.clone()) => unreachable!("a backup goes on for ever"),
    };
    let is_mended = store.is_mended_at_start();
    store.shutdown().await;
    tracing::info!("stopped");
    match ended {
        Err(why) if is_mended => start_again(&why, &mut signals).await,
        ended => Ok(ended.map(|()| served)??),
    }
}

/// What the store is told; everything that has no flag keeps its default.
fn store_options(options: &MemberOptions) -> StoreOptions {
    let text = |urls: &[Endpoint]| urls.iter().map(ToString::to_string).collect();
    let member = Member {
        name: options.name.clone(),
        peer_urls: text(&options.peer.advertise),
        client_urls: text(&options.client.advertise),
        ..Member::default()
    };
    let timing = Timing {
        heartbeat: options.heartbeat,
        election_min: options.election_timeout,
        election_max: options.election_timeout * 2,
    };
    StoreOptions {
        timing,
        beginning: options.beginning,
        snapshot_every: options.snapshot_every,
        keep_behind_snapshot: options.keep_behind_snapshot,
        slow_write: options.slow_write,
        snapshot_bytes_per_second: options.snapshot_bytes_per_second,
        ..StoreOptions::new(
            member,
            replica::initial_members(&options.initial_cluster),
            options.cluster_token.clone(),
        )
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

async fn listen(whom: &str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|error| format!("cannot listen on {address} for {whom}: {error}"))?);
    }
    Ok(listeners)
}

/// Compacts history as the flags say. Never completes.
async fn compact(store: &Store, kept: AutoCompaction) {
    match kept {
        AutoCompaction::Off => {}
        AutoCompaction::Periodic(time) => compactor::run(store.clone(), time).await,
        AutoCompaction::Revisions(count) => compactor::run_by_revision(store.clone(), count).await,
    }
    std::future::pending().await
}

/// Writes every change down, if that is wanted. Never completes.
async fn back_up(store: &Store, backup: Option<BackupOptions>) {
    if let Some(backup) = backup {
        let _never: Infallible = export::back_up(store.clone(), backup).await;
    }
    std::future::pending().await
}

/// Whether a member has begun in a folder. Only the store can tell how far it came.
fn has_member(data_dir: &Path) -> bool {
    data_dir.join("log").is_dir()
}

/// A folder of etcd's own data must not become another cluster's beside it.
fn refuse_etcds_folder(data_dir: &Path) -> Result<(), String> {
    if data_dir.join("member").join("snap").exists() {
        return Err(format!(
            "{}: etcd's own data is in there, which this store cannot read. Use another --data-dir, and copy the keys \
             from the running etcd with `etcdctl make-mirror`",
            data_dir.display()
        ));
    }
    Ok(())
}
