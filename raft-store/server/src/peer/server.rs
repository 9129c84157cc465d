//! What this replica does for its peers.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use keelson_proto::peer::{self as proto, Purpose, SnapshotBegin};
use keelson_store_core::{
    engine::Disk,
    id::{LeaseId, LogIndex, LogPosition, ReplicaId, Term},
    mutant::{self, Mutant},
};
use openraft::raft::{AppendEntriesRequest, StreamAppendError, StreamAppendResult};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    connection::{Connection, FrameReader, FrameWriter, unexpected},
    handshake::{self, Greeter, Identity},
    refill,
    refusals::Refusals,
    snapshot::{self, Inbox, Sending},
    transport::{Accepted, Transport},
    wire::{self, Body},
};
use crate::{
    damage::{Sentinel, contradiction},
    lease::LeaseKeeper,
    log::LogMeta,
    membership,
    meters::PeerTable,
    propose::Proposals,
    read,
    reconfigure::{Change, Reconfigurer},
    record::VoteRecord,
    runtime::{
        self, Offload,
        clock::{Instant, sleep, timeout},
    },
    state::{INCOMING_PREFIX, SharedState},
    types::{self, Raft, Types},
};

/// After a failed accept: out of descriptors, for instance, and others need time to return some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers peers.
pub(crate) struct PeerServer {
    /// Who this replica is.
    pub(crate) me: Greeter,
    /// Its Raft.
    pub(crate) raft: Raft,
    /// What it has applied.
    pub(crate) state: Arc<SharedState>,
    /// Where received snapshots are kept.
    pub(crate) disk: Arc<dyn Disk>,
    /// Which store is live.
    pub(crate) meta: LogMeta,
    /// For proposals that followers forward.
    pub(crate) proposals: Arc<Proposals>,
    /// For lease calls that followers forward.
    pub(crate) leases: Arc<LeaseKeeper>,
    /// For changes of the membership.
    pub(crate) reconfigurer: Arc<Reconfigurer>,
    /// Who ends this replica.
    pub(crate) sentinel: Arc<Sentinel>,
    /// Where long work on them goes.
    pub(crate) offload: Offload,
    /// How snapshots are sent.
    pub(crate) sending: Sending,
    /// Folders that are being filled or installed.
    pub(crate) receiving: Receiving,
    /// What is counted of each peer.
    pub(crate) peers: Arc<PeerTable>,
    /// Whom it has refused.
    pub(crate) refusals: Refusals,
}

/// Names of folders in use, each by one connection.
pub(crate) type Receiving = Mutex<BTreeSet<String>>;

impl PeerServer {
    /// Accepts peers until dropped.
    pub(crate) async fn run(self: Arc<Self>, transport: Arc<dyn Transport>) {
        let mut connections = JoinSet::new();
        loop {
            match transport.accept().await {
                Ok(accepted) => {
                    let served = runtime::spawn(self.clone().serve(accepted));
                    // Dropping the set, with this loop, ends them all.
                    connections.spawn(AbortOnDrop(served).joined());
                }
                Err(error) => {
                    tracing::warn!(%error, "a peer could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }

    async fn serve(self: Arc<Self>, accepted: Accepted) {
        let from = accepted.from.clone();
        let server = self.clone();
        if let Err(error) = self.converse(accepted).await {
            tracing::debug!(from, %error, "a peer's connection ended");
            server.refusals.note(&from, &error);
        }
    }

    async fn converse(self: Arc<Self>, accepted: Accepted) -> io::Result<()> {
        let greet = async {
            let mut connection = Connection::new(accepted.stream.await?);
            let (at, membership) = membership::in_force(&self.raft);
            let known = (LogIndex::new(at.map_or(0, |at| at.index())), &membership);
            let (peer, purpose) = handshake::receive(&mut connection, &self.me, known).await?;
            connection.count(&self.peers.of(peer.replica).traffic);
            // One that is not may know a later membership.
            let is_member = membership.get_node(&peer.replica).is_some();
            Ok::<_, io::Error>((connection, peer, purpose, is_member))
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no greeting in time");
        let (connection, peer, purpose, is_member) =
            timeout(handshake::PATIENCE, greet).await.map_err(late)??;
        tracing::debug!(peer = peer.name, ?purpose, "a peer has connected");
        let raft = self.raft.clone();
        let serving = async {
            match purpose {
                Purpose::Control | Purpose::Forward => self.serve_requests(connection, peer.replica).await,
                Purpose::Join => self.serve_stranger(connection, peer.replica).await,
                Purpose::Append => self.serve_appends(connection).await,
                Purpose::Snapshot => self.serve_snapshot(connection, &peer).await,
                Purpose::Unspecified => Err(unexpected("as a purpose")),
            }
        };
        tokio::select! {
            served = serving => served,
            // It is told so when it connects again.
            () = membership::left_for_good(&raft, peer.replica), if is_member => {
                Err(io::Error::other("it is no member any more"))
            }
        }
    }

    /// Requests in any order, each answered when it is done.
    async fn serve_requests(self: Arc<Self>, connection: Connection, peer: ReplicaId) -> io::Result<()> {
        let Connection { mut reader, writer } = connection;
        let (replies, queue) = mpsc::unbounded_channel();
        let mut writing = std::pin::pin!(write_replies(writer, queue));
        loop {
            let request = tokio::select! {
                biased;
                // A peer that cannot hear must notice: as long as this end is open it waits for replies.
                written = &mut writing => return written,
                request = reader.next() => request?,
            };
            let Some((id, body)) = request else { return Ok(()) };
            let (server, replies) = (self.clone(), replies.clone());
            runtime::spawn(async move {
                let reply = server
                    .answer(peer, body)
                    .await
                    .unwrap_or_else(|error| Body::Failed(proto::Failed { reason: error.to_string() }));
                // The writer is gone when the connection is: nobody waits for the reply any more.
                let _ = replies.send((id, reply));
            });
        }
    }

    async fn answer(&self, peer: ReplicaId, body: Body) -> io::Result<Body> {
        let invalid = super::connection::invalid;
        Ok(match body {
            Body::AppendRequest(request) => {
                let request = wire::append(request).map_err(invalid)?;
                self.check_append(&request)?;
                let last = wire::last_log_id(&request);
                let prev = request.prev_log_id;
                let response = self.raft.append_entries(request).await.map_err(io::Error::other)?;
                let result = response.into_stream_result(prev, last);
                self.hear(&result);
                Body::AppendReply(wire::put_append_result(&result))
            }
            Body::VoteRequest(request) => self.vote(request).await?,
            Body::TransferLeader(request) => {
                let request = wire::transfer(request).map_err(invalid)?;
                let reply = self.raft.handle_transfer_leader(request).await.map_err(io::Error::other)?;
                Body::TransferLeaderReply(wire::put_transfer_reply(&reply))
            }
            Body::ReadIndex(_) => Body::ReadIndexReply(read::answer_peer(&self.raft).await),
            Body::ForwardBatch(batch) => Body::ForwardReply(self.proposals.answer_peer(batch.commands).await),
            Body::LeaseKeepAlive(request) => {
                Body::LeaseKeepAliveReply(self.leases.answer_renewal(request.ids).await)
            }
            Body::LeaseTimeToLive(request) => {
                Body::LeaseTimeToLiveReply(self.leases.answer_remaining(LeaseId::new(request.id)).await)
            }
            Body::StateHash(asked) => {
                let hash = self.state.hash_after(LogIndex::new(asked.index));
                Body::StateHashReply(proto::StateHashReply { hash })
            }
            Body::Recall(_) => Body::RecallReply(self.recall(peer)?),
            Body::Reconfigure(request) => {
                let change = wire::change(request).map_err(invalid)?;
                Body::ReconfigureReply(self.reconfigurer.answer_peer(&change).await)
            }
            _ => return Err(unexpected("as a request")),
        })
    }

    /// The one request of a replica that is no member: to become one, under the id with which it has come.
    async fn serve_stranger(&self, mut connection: Connection, stranger: ReplicaId) -> io::Result<()> {
        let invalid = super::connection::invalid;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no request in time");
        let (id, body) = timeout(handshake::PATIENCE, connection.reader.expect()).await.map_err(late)??;
        let Body::Reconfigure(request) = body else {
            return Err(unexpected("of a replica that is no member"));
        };
        let change = wire::change(request).map_err(invalid)?;
        match &change {
            Change::Join { replica, .. } if *replica == stranger => {}
            _ => return Err(unexpected("of a replica that is no member")),
        }
        let reply = self.reconfigurer.answer_stranger(&change).await;
        connection.writer.send(id, Body::ReconfigureReply(reply)).await
    }

    /// What this replica remembers of a peer.
    fn recall(&self, peer: ReplicaId) -> io::Result<proto::RecallReply> {
        let vote = self.meta.vote().map_err(io::Error::other)?.filter(|vote| vote.voted_for == peer);
        let matched = membership::matched(&self.raft, peer);
        Ok(proto::RecallReply {
            matched: matched.as_ref().map(|(last, _)| wire::put_log_id(last)),
            matched_in: matched.map(|(_, term)| term.get()),
            vote: vote.map(|vote| wire::put_vote(&vote.vote())),
            leader_urls: match membership::route(&self.raft) {
                membership::Route::To(_, leader) => leader.peer_urls,
                membership::Route::Here | membership::Route::Nowhere => Vec::new(),
            },
        })
    }

    async fn vote(&self, request: proto::VoteRequest) -> io::Result<Body> {
        let pre_vote = request.pre_vote;
        let mut request = wire::vote_request(request).map_err(super::connection::invalid)?;
        if mutant::is(Mutant::VoteForBehind) {
            let ahead_of_all = LogPosition { term: Term::new(u64::MAX), index: LogIndex::new(u64::MAX) };
            request.last_log_id = Some(types::log_id(ahead_of_all));
        }
        let reply = if pre_vote { self.raft.pre_vote(request).await } else { self.raft.vote(request).await };
        Ok(Body::VoteReply(wire::put_vote_reply(&reply.map_err(io::Error::other)?)))
    }

    /// Refuses an append that contradicts what was applied here, and ends this replica (rule D4 of [`crate::damage`]).
    fn check_append(&self, request: &AppendEntriesRequest<Types>) -> io::Result<()> {
        let Some(applied) = self.state.applied_at() else { return Ok(()) };
        let Some(sent) = contradiction::find(applied, request) else { return Ok(()) };
        let why = contradiction::words(applied, sent);
        self.sentinel.end(why.clone());
        Err(io::Error::other(why))
    }

    /// The replication stream: appends in order, answered in order. After one that is refused openraft forgets
    /// what follows, and so does the leader; the next append begins anew.
    async fn serve_appends(self: Arc<Self>, connection: Connection) -> io::Result<()> {
        let Connection { mut reader, mut writer } = connection;
        while let Some((id, body)) = reader.next().await? {
            self.append_run(&mut reader, &mut writer, (id, body)).await?;
        }
        Ok(())
    }

    /// Whoever sends appends leads, unless it was told that its time is over.
    fn hear(&self, appended: &StreamAppendResult<Types>) {
        if !matches!(appended, Err(StreamAppendError::HigherVote(_))) {
            self.state.hear_leader();
        }
    }

    async fn append_run(
        &self,
        reader: &mut FrameReader,
        writer: &mut FrameWriter,
        first: (u64, Body),
    ) -> io::Result<()> {
        let (requests, input) = mpsc::unbounded_channel::<AppendEntriesRequest<Types>>();
        let (ids, mut waiting) = mpsc::unbounded_channel();
        let take = |(id, body): (u64, Body)| {
            let Body::AppendRequest(request) = body else { return Err(unexpected("between appends")) };
            let request = wire::append(request).map_err(super::connection::invalid)?;
            self.check_append(&request)?;
            // Both receivers live as long as this run.
            let _ = (ids.send(id), requests.send(request));
            Ok(())
        };
        take(first)?;
        let mut results = Box::pin(self.raft.stream_append(UnboundedReceiverStream::new(input)));
        loop {
            tokio::select! {
                biased;
                result = results.next() => {
                    let Some(result) = result else { return Ok(()) };
                    let result = result.map_err(io::Error::other)?;
                    self.hear(&result);
                    let id = waiting.try_recv().map_err(|_| unexpected("count of append results"))?;
                    writer.send(id, Body::AppendReply(wire::put_append_result(&result))).await?;
                    if result.is_err() {
                        return Ok(());
                    }
                }
                frame = reader.expect() => take(frame?)?,
            }
        }
    }

    /// One snapshot: a leader's, that comes, or one that a replica with a damaged state asks for.
    async fn serve_snapshot(self: Arc<Self>, mut connection: Connection, peer: &Identity) -> io::Result<()> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no snapshot in time");
        let (id, body) = timeout(handshake::PATIENCE, connection.reader.expect()).await.map_err(late)??;
        match body {
            Body::SnapshotBegin(begin) => self.receive_snapshot(connection, peer, begin).await,
            Body::SnapshotAsk(ask) => self.give_snapshot(connection, peer, (id, ask)).await,
            _ => Err(unexpected("instead of a snapshot")),
        }
    }

    async fn give_snapshot(
        &self,
        mut connection: Connection,
        peer: &Identity,
        (id, ask): (u64, proto::SnapshotAsk),
    ) -> io::Result<()> {
        let at_least = ask.at_least.map(|at| types::position(&wire::log_id(at)));
        let found = match self.state.doubt() {
            Some(doubt) => Err(doubt),
            None => refill::at_least(&self.raft, at_least).await,
        };
        let snapshot = match found {
            Ok(snapshot) => snapshot,
            Err(reason) => return connection.writer.send(id, Body::Failed(proto::Failed { reason })).await,
        };
        // Who has applied something follows somebody.
        let vote = self.meta.vote().map_err(io::Error::other)?.map(VoteRecord::vote);
        let vote = vote.ok_or_else(|| io::Error::other("this replica has no vote"))?;
        tracing::info!(to = peer.name, last = ?snapshot.meta.last_log_id, "a damaged replica gets a snapshot");
        snapshot::send(connection, &vote, &snapshot, &self.sending).await.map(drop)
    }

    async fn receive_snapshot(
        &self,
        mut connection: Connection,
        peer: &Identity,
        begin: SnapshotBegin,
    ) -> io::Result<()> {
        let started = Instant::now();
        let live = self.meta.state_store().map_err(io::Error::other)?;
        let folder = snapshot::staging_folder(live.as_deref(), peer.replica, &begin)?;
        let _claim = FolderClaim::take(&self.receiving, &folder)?;
        self.clear_abandoned()?;
        let (disk, notes) = (self.disk.clone(), Some(self.meta.clone()));
        let inbox = Inbox { disk, notes, folder: folder.clone(), offload: self.offload };
        tracing::info!(from = peer.name, snapshot = begin.id, "receiving a snapshot");
        inbox.receive(&mut connection, begin, &self.raft, &self.meta).await?;
        tracing::info!(from = peer.name, elapsed = ?started.elapsed(), "received a snapshot");
        if self.meta.state_store().map_err(io::Error::other)?.as_deref() != Some(folder.as_str()) {
            // Raft had no need of it any more.
            self.disk.remove(&folder).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Removes what other transfers left half done: their senders have newer snapshots by now, or lead no more.
    fn clear_abandoned(&self) -> io::Result<()> {
        let live = self.meta.state_store().map_err(io::Error::other)?;
        let in_use = self.receiving.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let names = self.disk.list().map_err(io::Error::other)?;
        let incoming = names.iter().filter(|name| name.starts_with(INCOMING_PREFIX));
        for name in incoming.filter(|name| !in_use.contains(*name) && live.as_ref() != Some(*name)) {
            self.disk.remove(name).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// One connection's right to a folder: a second one must not touch what the first fills or Raft installs.
struct FolderClaim<'s> {
    receiving: &'s Receiving,
    folder: String,
}

impl<'s> FolderClaim<'s> {
    fn take(receiving: &'s Receiving, folder: &str) -> io::Result<Self> {
        let is_new = receiving.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        let busy = || io::Error::new(io::ErrorKind::ResourceBusy, "the snapshot is arriving already");
        is_new.then(|| Self { receiving, folder: folder.to_owned() }).ok_or_else(busy)
    }
}

impl Drop for FolderClaim<'_> {
    fn drop(&mut self) {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.folder);
    }
}

/// Ends a task when whoever waits for it is dropped.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl AbortOnDrop {
    async fn joined(mut self) {
        // An error means that the task panicked or was aborted; it has logged or wanted that itself.
        let _ = (&mut self.0).await;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends replies until nobody makes any more, or the connection breaks.
async fn write_replies(
    mut writer: FrameWriter,
    mut queue: mpsc::UnboundedReceiver<(u64, Body)>,
) -> io::Result<()> {
    while let Some(reply) = queue.recv().await {
        feed_reply(&mut writer, reply)?;
        while let Ok(reply) = queue.try_recv() {
            feed_reply(&mut writer, reply)?;
        }
        writer.flush().await?;
    }
    Ok(())
}

/// A reply that is too long for a frame is replaced by its failure: the others must not suffer for it.
fn feed_reply(writer: &mut FrameWriter, (id, body): (u64, Body)) -> io::Result<()> {
    writer
        .feed(id, body)
        .or_else(|error| writer.feed(id, Body::Failed(proto::Failed { reason: error.to_string() })))
}
