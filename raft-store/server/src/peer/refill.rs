//! Snapshots that are asked for.
//!
//! In: what a replica with a damaged state, or a damaged log, needs. Out: the name of a store on its disk, whole and
//! durable, and what that holds; on the other side, a snapshot that is new enough. What is on the way is
//! [`super::snapshot`]'s.

use std::{io, sync::Arc, time::Duration};

use keelson_proto::peer::{Failed, Purpose, SnapshotAsk, SnapshotReply, snapshot_reply};
use keelson_store_core::{engine::Disk, id::LogPosition};
use openraft::async_runtime::watch::WatchReceiver as _;

use super::{
    connection::{Connection, unexpected},
    directory::Directory,
    handshake::{Peer, Target},
    snapshot::{Inbox, staging_folder},
    wire::{self, Body},
};
use crate::{
    options::Member,
    runtime::{Offload, clock::timeout},
    types::{self, Raft, Snapshot, SnapshotMeta},
};

/// How long dialling and the handshake may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a peer may take until it has a snapshot to send: it may have to make one.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);
/// How long making one may take.
const BUILD_PATIENCE: Duration = Duration::from_secs(100);

/// What is needed, and where it goes.
pub(crate) struct SnapshotWish<'a> {
    /// The snapshot must hold this entry, or one of a later term.
    pub(crate) at_least: Option<LogPosition>,
    /// Which store is live.
    pub(crate) live: Option<String>,
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) offload: Offload,
}

/// Asks whoever lives at a URL for a snapshot, takes it in and reads all of it.
///
/// # Errors
/// Nobody answers in time, whoever does has none that will do or refuses this replica
/// ([`io::ErrorKind::ConnectionAborted`]), or what came is damaged.
pub(crate) async fn fetch(
    directory: &Directory,
    url: &str,
    wish: &SnapshotWish<'_>,
) -> io::Result<(String, SnapshotMeta)> {
    let (mut connection, peer) = dial(directory, url).await?;
    let ask = SnapshotAsk { at_least: wish.at_least.map(|at| wire::put_log_id(&types::log_id(at))) };
    let answer = timeout(ANSWER_PATIENCE, connection.ask(Body::SnapshotAsk(ask))).await;
    let begin = match answer.unwrap_or_else(|_| Err(late(url)))? {
        Body::SnapshotBegin(begin) => begin,
        Body::Failed(Failed { reason }) => return Err(io::Error::other(reason)),
        _ => return Err(unexpected("instead of a snapshot")),
    };
    let folder = staging_folder(wish.live.as_deref(), peer.identity.replica, &begin)?;
    tracing::info!(from = peer.identity.name, snapshot = begin.id, "receiving a snapshot");
    let inbox = Inbox { disk: wish.disk.clone(), notes: None, folder, offload: wish.offload };
    let received = inbox.take(&mut connection, begin).await?;
    let damage = inbox.damage(&received.meta).await?;
    let is_behind = received.meta.last_log_id.as_ref().map(types::position) < wish.at_least;
    let result = match &damage {
        Some(damage) => snapshot_reply::Result::Damaged(damage.clone()),
        None => snapshot_reply::Result::Vote(wire::put_vote(&received.vote)),
    };
    // It may have gone away: what was received is here all the same.
    let reply = SnapshotReply { result: Some(result) };
    let _ = connection.writer.send(received.end, Body::SnapshotReply(reply)).await;
    match damage {
        Some(damage) => {
            wish.disk.remove(&inbox.folder).map_err(io::Error::other)?;
            Err(io::Error::other(damage))
        }
        None if is_behind => Err(io::Error::other("it has sent an older snapshot than was asked for")),
        None => Ok((inbox.folder, received.meta)),
    }
}

async fn dial(directory: &Directory, url: &str) -> io::Result<(Connection, Peer)> {
    let member = Member { peer_urls: vec![url.to_owned()], ..Member::default() };
    let dial = directory.dialer().dial(Target::Anybody, &member, Purpose::Snapshot);
    timeout(CONNECT_PATIENCE, dial).await.unwrap_or_else(|_| Err(late(url)))
}

fn late(url: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{url} does not answer"))
}

/// A snapshot that holds an entry, made now if need be.
///
/// # Errors
/// Why there is none.
pub(super) async fn at_least(raft: &Raft, at: Option<LogPosition>) -> Result<Snapshot, String> {
    let last = |snapshot: &Snapshot| snapshot.meta.last_log_id.as_ref().map(types::position);
    let current = async || raft.get_snapshot().await.map_err(|error| error.to_string());
    if let Some(snapshot) = current().await?.filter(|snapshot| last(snapshot) >= at) {
        return Ok(snapshot);
    }
    let mut metrics = raft.metrics();
    let applied = metrics.borrow_watched().last_applied.as_ref().map(types::position);
    if applied.is_none() || applied < at {
        return Err(format!("it has applied its log up to {applied:?} only"));
    }
    raft.trigger().snapshot().await.map_err(|error| error.to_string())?;
    let built = async {
        while metrics.borrow_watched().snapshot.as_ref().map(types::position)
            < at.max(Some(LogPosition::default()))
        {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    };
    // Whoever stopped, or took too long, has none.
    let _ = timeout(BUILD_PATIENCE, built).await;
    let built = current().await?.filter(|snapshot| last(snapshot) >= at);
    built.ok_or_else(|| "it has no snapshot yet".to_owned())
}
