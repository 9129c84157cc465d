//! openraft's network over links and connections.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use keelson_proto::peer::Purpose;
use keelson_store_core::id::ReplicaId;
use openraft::{
    OptionalSend,
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::{
        Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption,
        RaftNetworkFactory,
    },
    raft::{
        AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};

use super::{
    append,
    connection::{Connection, unexpected},
    directory::Directory,
    handshake::Target,
    link::LinkError,
    snapshot::{self, Sending},
    wire::{self, Body},
};
use crate::{
    meters::count,
    options::{Member, Timing},
    runtime::clock::{Instant, timeout},
    state::{SharedState, SnapshotFolder},
    types::{Snapshot, Types, Vote},
};

/// Pause between attempts to reach a peer that is away.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Makes openraft's clients to peers.
pub(crate) struct NetworkFactory {
    /// How peers are reached.
    pub(crate) directory: Arc<Directory>,
    /// What snapshots are made of.
    pub(crate) state: Arc<SharedState>,
    /// Raft's clocks, from which patience derives.
    pub(crate) timing: Timing,
    /// How snapshots are sent.
    pub(crate) sending: Sending,
}

/// How a client carries appends.
enum Appends {
    /// Over a connection of their own: replication. Kept between runs.
    Stream(Option<Connection>),
    /// One by one over the control link, where a late answer disturbs nobody: heartbeats.
    OneByOne,
}

/// openraft's client to one peer.
pub(crate) struct PeerClient {
    directory: Arc<Directory>,
    state: Arc<SharedState>,
    timing: Timing,
    target: ReplicaId,
    member: Member,
    appends: Appends,
    sending: Sending,
}

impl NetworkFactory {
    fn client(&self, target: ReplicaId, member: &Member, appends: Appends) -> PeerClient {
        let (directory, state) = (self.directory.clone(), self.state.clone());
        let (timing, sending, member) = (self.timing, self.sending.clone(), member.clone());
        PeerClient { directory, state, timing, target, member, appends, sending }
    }
}

impl RaftNetworkFactory<Types> for NetworkFactory {
    type Network = PeerClient;

    async fn new_client(&mut self, target: ReplicaId, member: &Member) -> PeerClient {
        self.client(target, member, Appends::Stream(None))
    }

    async fn new_heartbeat_client(&mut self, target: ReplicaId, member: &Member) -> PeerClient {
        self.client(target, member, Appends::OneByOne)
    }
}

type AppendStream<'a> =
    Pin<Box<dyn Stream<Item = Result<StreamAppendResult<Types>, RPCError<Types>>> + Send + 'a>>;
type AppendFuture<'a> = Pin<Box<dyn Future<Output = Result<AppendStream<'a>, RPCError<Types>>> + Send + 'a>>;

impl PeerClient {
    async fn ask(&self, body: Body, patience: Duration) -> Result<Body, RPCError<Types>> {
        let link = self.directory.control(self.target, &self.member);
        link.request(body, patience).await.map_err(unreachable_link)
    }

    /// A dead follower is noticed by its heartbeats; this only frees a stream that hangs.
    fn silence(&self) -> Duration {
        self.timing.election_max * 2
    }

    async fn stream<'s, S>(&'s mut self, input: S) -> Result<AppendStream<'s>, RPCError<Types>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + Send + Unpin + 'static,
    {
        let silence = self.silence();
        let (directory, target, member) = (&self.directory, self.target, &self.member);
        match &mut self.appends {
            Appends::Stream(home) => {
                let mut input = input.peekable();
                let connection = match home.take() {
                    Some(connection) => connection,
                    None => {
                        // openraft pauses after a failure inside its stream of requests, and nowhere else: whoever
                        // dials before asking it for one dials without end while the peer is down.
                        Pin::new(&mut input).peek().await;
                        dial(directory, target, member, Purpose::Append, silence)
                            .await
                            .map_err(unreachable)?
                    }
                };
                let results = append::replicate(home, connection, input, silence);
                Ok(Box::pin(results.map(|result| result.map_err(unreachable))))
            }
            Appends::OneByOne => {
                let link = directory.control(target, member);
                let (peer, state) = (directory.peers().of(target), &self.state);
                Ok(Box::pin(input.then(move |request| {
                    let (link, peer) = (link.clone(), peer.clone());
                    async move {
                        let began = Instant::now();
                        let body = Body::AppendRequest(wire::put_append(&request));
                        let answered = link.request(body, silence).await;
                        match &answered {
                            Ok(_) => peer.round_trip.since(began),
                            Err(_) => count(&state.meters().heartbeats_failed),
                        }
                        let reply = answered.map_err(unreachable_link)?;
                        let Body::AppendReply(reply) = reply else { return Err(nonsense()) };
                        wire::append_result(reply).map_err(unreachable)
                    }
                })))
            }
        }
    }
}

impl NetStreamAppend<Types> for PeerClient {
    fn stream_append<'s, S>(&'s mut self, input: S, _option: RPCOption) -> AppendFuture<'s>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(self.stream(input))
    }
}

impl NetVote<Types> for PeerClient {
    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_for_vote(&request, false, option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_for_vote(&request, true, option).await
    }
}

impl PeerClient {
    async fn ask_for_vote(
        &self,
        request: &VoteRequest<Types>,
        pre_vote: bool,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let body = Body::VoteRequest(wire::put_vote_request(request, pre_vote));
        match self.ask(body, option.soft_ttl()).await? {
            Body::VoteReply(reply) => wire::vote_reply(reply).map_err(unreachable),
            _ => Err(nonsense()),
        }
    }
}

impl NetTransferLeader<Types> for PeerClient {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let body = Body::TransferLeader(wire::put_transfer(&request));
        match self.ask(body, self.silence()).await? {
            Body::TransferLeaderReply(reply) => wire::transfer_reply(reply).map_err(unreachable),
            _ => Err(nonsense()),
        }
    }
}

impl NetSnapshot<Types> for PeerClient {
    type SnapshotData = SnapshotFolder;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        if self.state.is_in_doubt() {
            return Err(unreachable(io::Error::other(
                "nobody can tell whether this replica's state is right",
            ))
            .into());
        }
        let silence = self.silence();
        let send = async {
            let (target, member) = (self.target, &self.member);
            let connection = dial(&self.directory, target, member, Purpose::Snapshot, silence).await?;
            snapshot::send(connection, &vote, &snapshot, &self.sending).await
        };
        tokio::select! {
            sent = send => sent.map(SnapshotResponse::new).map_err(|error| unreachable(error).into()),
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }
}

impl NetBackoff<Types> for PeerClient {
    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(RETRY_PAUSE)))
    }
}

async fn dial(
    directory: &Directory,
    target: ReplicaId,
    member: &Member,
    purpose: Purpose,
    patience: Duration,
) -> io::Result<Connection> {
    let dial = directory.dialer().dial(Target::Replica(target), member, purpose);
    let late = || io::Error::new(io::ErrorKind::TimedOut, "connecting took too long");
    let connected = timeout(patience, dial).await.unwrap_or_else(|_| Err(late()));
    connected.map(|(connection, _)| connection)
}

fn unreachable(error: impl std::error::Error + 'static) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&error))
}

fn unreachable_link(error: LinkError) -> RPCError<Types> {
    unreachable(error)
}

fn nonsense() -> RPCError<Types> {
    unreachable(unexpected("as an answer"))
}
