//! How to reach each peer.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use keelson_proto::peer::{Purpose, Recall, RecallReply, ReconfigureReply, StateHash};
use keelson_store_core::id::{ClusterId, LogIndex, ReplicaId};
use openraft::{
    async_runtime::watch::WatchReceiver as _, metrics::RaftServerMetrics, type_config::alias::WatchReceiverOf,
};
use tokio::sync::Notify;

use super::{
    connection::{Connection, unexpected},
    handshake::{self, Identity, Peer, Target},
    link::Link,
    refusals::Refusals,
    transport::Transport,
    wire::{self, Body},
};
use crate::{
    meters::PeerTable,
    options::Member,
    reconfigure::Change,
    runtime::clock::timeout,
    types::{Raft, Types},
};

/// The links of one replica to its peers, made on first use and shared by all who need them.
pub struct Directory {
    dialer: Arc<Dialer>,
    links: Mutex<BTreeMap<(ReplicaId, Purpose), Arc<Link>>>,
}

/// Opens connections in this replica's name.
pub(super) struct Dialer {
    me: Identity,
    transport: Arc<dyn Transport>,
    /// What is counted of each peer.
    peers: Arc<PeerTable>,
    /// What peers and this replica have against each other.
    refusals: Refusals,
    /// Wakes whoever wants to know why somebody has refused this replica.
    refused: Notify,
    /// What Raft says of itself, once there is one.
    metrics: OnceLock<Metrics>,
}

type Metrics = WatchReceiverOf<Types, RaftServerMetrics<Types>>;

impl Directory {
    /// A directory for the replica `me`.
    pub fn new(me: Identity, transport: Arc<dyn Transport>) -> Self {
        Self { dialer: Arc::new(Dialer::new(me, transport)), links: Mutex::default() }
    }

    /// From now on peers are told how much `raft` knows.
    pub(crate) fn follow(&self, raft: &Raft) {
        // There is one for each life.
        let _ = self.dialer.metrics.set(raft.server_metrics());
    }

    /// This replica.
    pub fn me(&self) -> &Identity {
        &self.dialer.me
    }

    /// Completes when a peer has refused this replica since the last time.
    pub(crate) async fn refused(&self) {
        self.dialer.refused.notified().await;
    }

    /// What is counted of each peer.
    pub(crate) fn peers(&self) -> &Arc<PeerTable> {
        &self.dialer.peers
    }

    pub(super) fn dialer(&self) -> &Arc<Dialer> {
        &self.dialer
    }

    /// The link to a replica for requests of one kind. A member that moved gets a new one.
    pub(super) fn link(&self, replica: ReplicaId, member: &Member, purpose: Purpose) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.get(&(replica, purpose)).filter(|link| link.member() == member).cloned();
        link.unwrap_or_else(|| {
            let target = Target::Replica(replica);
            let link = Arc::new(Link::new(self.dialer.clone(), target, member.clone(), purpose));
            links.insert((replica, purpose), link.clone());
            link
        })
    }

    /// For votes, heartbeats, read index and leases.
    pub fn control(&self, replica: ReplicaId, member: &Member) -> Arc<Link> {
        self.link(replica, member, Purpose::Control)
    }

    /// For proposals and changes of the membership.
    pub fn forward(&self, replica: ReplicaId, member: &Member) -> Arc<Link> {
        self.link(replica, member, Purpose::Forward)
    }

    /// Asks whoever lives at a URL who it is.
    ///
    /// # Errors
    /// Nobody answers, whoever does belongs to another cluster, or it refuses this replica
    /// ([`io::ErrorKind::ConnectionAborted`]).
    pub async fn identify(&self, url: &str, patience: Duration) -> io::Result<Peer> {
        let member = Member { peer_urls: vec![url.to_owned()], ..Member::default() };
        let dial = self.dialer.dial(Target::Anybody, &member, Purpose::Control);
        let (_, peer) = timeout(patience, dial)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("{url} does not answer")))??;
        Ok(peer)
    }

    /// Asks whoever lives at a URL to have this replica taken into the cluster.
    ///
    /// # Errors
    /// Nobody answers in time, or not to the question. Whether this replica was taken in is not known then.
    pub(crate) async fn ask_to_join(
        &self,
        url: &str,
        change: &Change,
        patience: Duration,
    ) -> io::Result<ReconfigureReply> {
        let member = Member { peer_urls: vec![url.to_owned()], ..Member::default() };
        let ask = async {
            let (mut connection, _) = self.dialer.dial(Target::Anybody, &member, Purpose::Join).await?;
            match connection.ask(Body::Reconfigure(wire::put_change(change))).await? {
                Body::ReconfigureReply(reply) => Ok(reply),
                _ => Err(unexpected("to the request to join")),
            }
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("{url} does not answer"));
        timeout(patience, ask).await.unwrap_or_else(|_| Err(late()))
    }

    /// Asks whoever lives at a URL which cluster it belongs to, in the name of a replica that belongs to none.
    ///
    /// # Errors
    /// Nobody answers in time.
    pub(crate) async fn cluster_at(&self, url: &str, patience: Duration) -> io::Result<ClusterId> {
        let member = Member { peer_urls: vec![url.to_owned()], ..Member::default() };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{url} does not answer"));
        let dial = self.dialer.dial(Target::Anybody, &member, Purpose::Join);
        let (_, peer) = timeout(patience, dial).await.map_err(late)??;
        Ok(peer.identity.cluster)
    }

    /// Asks whoever lives at a URL what it remembers of this replica.
    ///
    /// # Errors
    /// Nobody answers in time, or whoever does refuses this replica.
    pub(crate) async fn recall(&self, url: &str, patience: Duration) -> io::Result<(Identity, RecallReply)> {
        let member = Member { peer_urls: vec![url.to_owned()], ..Member::default() };
        let ask = async {
            let (mut connection, peer) = self.dialer.dial(Target::Anybody, &member, Purpose::Control).await?;
            match connection.ask(Body::Recall(Recall {})).await? {
                Body::RecallReply(reply) => Ok((peer.identity, reply)),
                _ => Err(unexpected("as a recollection")),
            }
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("{url} does not answer"));
        timeout(patience, ask).await.unwrap_or_else(|_| Err(late()))
    }

    /// Asks whoever lives at a URL for the hash of its state after an entry; `None` where it does not know it.
    ///
    /// # Errors
    /// Nobody answers in time, or not to the question.
    pub(crate) async fn state_hash(
        &self,
        url: &str,
        index: LogIndex,
        patience: Duration,
    ) -> io::Result<Option<(ReplicaId, u64)>> {
        let member = Member { peer_urls: vec![url.to_owned()], ..Member::default() };
        let ask = async {
            let (mut connection, peer) = self.dialer.dial(Target::Anybody, &member, Purpose::Control).await?;
            match connection.ask(Body::StateHash(StateHash { index: index.get() })).await? {
                Body::StateHashReply(reply) => Ok(reply.hash.map(|hash| (peer.identity.replica, hash))),
                _ => Err(unexpected("as a state's hash")),
            }
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("{url} does not answer"));
        timeout(patience, ask).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Dialer {
    fn new(me: Identity, transport: Arc<dyn Transport>) -> Self {
        Self {
            me,
            transport,
            peers: Arc::default(),
            refusals: Refusals::default(),
            refused: Notify::new(),
            metrics: OnceLock::new(),
        }
    }

    /// Dials a member's URLs one after the other and shakes hands.
    pub(super) async fn dial(
        &self,
        target: Target,
        member: &Member,
        purpose: Purpose,
    ) -> io::Result<(Connection, Peer)> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "it has no peer URL");
        for url in &member.peer_urls {
            match self.dial_url(url, target, purpose).await {
                Ok(connected) => return Ok(connected),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The entry that has put the membership in force that this replica knows; 0 when it knows none.
    fn known(&self) -> LogIndex {
        let at = self.metrics.get().and_then(|metrics| *metrics.borrow_watched().membership_config.log_id());
        at.map_or(LogIndex::new(0), |at| LogIndex::new(at.index()))
    }

    async fn dial_url(&self, url: &str, target: Target, purpose: Purpose) -> io::Result<(Connection, Peer)> {
        let meeting = async {
            let mut connection = Connection::new(self.transport.dial(url).await?);
            let met = handshake::introduce(&mut connection, &self.me, target, purpose, self.known()).await?;
            connection.count(&self.peers.of(met.identity.replica).traffic);
            Ok((connection, met))
        };
        meeting.await.inspect_err(|error: &io::Error| {
            self.refusals.note_dialled(url, error);
            if error.kind() == io::ErrorKind::ConnectionAborted {
                self.refused.notify_one();
            }
        })
    }
}
