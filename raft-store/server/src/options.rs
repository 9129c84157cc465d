//! What a store is told when it is opened.

use std::time::Duration;

use keelson_store_core::id::ReplicaId;
use serde::{Deserialize, Serialize};

use crate::runtime::Offload;

/// What the cluster knows about one replica besides its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name that the operator gave it, unique in the cluster.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// What becomes of it once it has caught up.
    pub calling: Calling,
    /// The id of the place that was kept for it before it came. Whoever kept it knows the member by that.
    pub place: Option<ReplicaId>,
}

/// What becomes of a learner once it has caught up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Calling {
    /// A voter, by itself.
    #[default]
    Voter,
    /// Nothing, until somebody promotes it.
    Learner,
}

/// What a leader can spare on two cores without its clients noticing much: 10 GiB in some three minutes.
pub const DEFAULT_SNAPSHOT_BYTES_PER_SECOND: u64 = 64 << 20;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// This replica, as its peers shall know it.
    pub member: Member,
    /// The first members of the cluster, this one included. Used once, when the disk is new.
    pub initial_cluster: Vec<InitialMember>,
    /// Separates clusters that would otherwise look alike.
    pub cluster_token: String,
    /// What a new disk becomes part of.
    pub beginning: Beginning,
    /// Raft's clocks.
    pub timing: Timing,
    /// Log entries between two snapshots.
    pub snapshot_every: u64,
    /// Log entries kept behind a snapshot, so that a replica that was away briefly needs no snapshot.
    pub keep_behind_snapshot: u64,
    /// Bytes per second of snapshots that this replica sends to lagging ones, all together; 0 sends as fast as it
    /// goes.
    pub snapshot_bytes_per_second: u64,
    /// How long a write waits for its fate, a read for its read index.
    pub request_timeout: Duration,
    /// From here on a write is slow: the log says where its time went.
    pub slow_write: Duration,
    /// Bytes of recent log entries kept in memory.
    pub log_cache_bytes: usize,
    /// Bytes of recent changes kept in memory for watchers.
    pub watch_history_bytes: usize,
    /// Where blocking work goes.
    pub offload: Offload,
    /// What an operator of this program types to remove a member, in a sentence: told to whoever is refused because
    /// another disk has its name.
    pub removing: &'static str,
}

/// What a new disk becomes part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beginning {
    /// Of a cluster that comes into being with it.
    #[default]
    Founding,
    /// Of a cluster that is there already: the other members of `initial_cluster` are asked to take it in.
    Joining,
}

/// One member of a cluster that is about to be born.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialMember {
    /// Its name.
    pub name: String,
    /// Where its peers reach it.
    pub peer_url: String,
}

/// Raft's clocks. A follower that hears nothing for [`Timing::election_max`] stands for election after a
/// random time between the two election timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Shortest wait before an election.
    pub election_min: Duration,
    /// Longest wait before an election, and the leader's lease.
    pub election_max: Duration,
}

impl Default for Timing {
    /// A lost leader is replaced within about 0.9 s, and two busy cores do not make it flap.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(75),
            election_min: Duration::from_millis(225),
            election_max: Duration::from_millis(450),
        }
    }
}

impl StoreOptions {
    /// Options with the defaults for everything that has one.
    pub fn new(member: Member, initial_cluster: Vec<InitialMember>, cluster_token: String) -> Self {
        Self {
            member,
            initial_cluster,
            cluster_token,
            beginning: Beginning::default(),
            timing: Timing::default(),
            snapshot_every: 100_000,
            keep_behind_snapshot: 10_000,
            snapshot_bytes_per_second: DEFAULT_SNAPSHOT_BYTES_PER_SECOND,
            request_timeout: Duration::from_secs(7),
            slow_write: Duration::from_millis(100),
            log_cache_bytes: 16 << 20,
            watch_history_bytes: 8 << 20,
            offload: Offload::Thread,
            removing: "`etcdctl member remove`; `keelson store replace` does both",
        }
    }
}
