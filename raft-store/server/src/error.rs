//! How calls fail, and what the caller may conclude.
//!
//! A write that was *rejected* did not and will not happen; one that is *unknown* may have happened or may
//! still happen. The two are never mixed up, and neither is a command that was decided and refused.

use keelson_store_core::{command::CommandError, engine::EngineError};

/// Why a write has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// It was applied, and every replica refused it alike. Retrying it unchanged is pointless.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// It was never appended to any log: safe to retry.
    #[error("rejected before it was proposed: {0}")]
    Rejected(Rejection),
    /// Nobody knows whether it happened. Retry only what may happen twice, or read first.
    #[error("the outcome is unknown: {0}")]
    Unknown(Doubt),
}

/// Why a write was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No leader is known within the deadline, so there is no quorum.
    #[error("no leader")]
    NoLeader,
    /// Too many writes wait already.
    #[error("too many requests wait")]
    Overloaded,
    /// This replica is stopping or has stopped.
    #[error("this replica has stopped")]
    Stopped,
    /// Replicas have different states, and no majority of them says which is right.
    #[error("members have different states, and nobody can tell which is right")]
    InDoubt,
    /// The disk is nearly full, and the write would grow the store.
    #[error("this replica's disk is nearly full: delete something first, or give it more room")]
    NoSpace,
}

/// Why the fate of a write is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Its deadline passed while it was under way.
    #[error("timed out while it was being replicated")]
    Timeout,
    /// The leader to which it had been sent was lost.
    #[error("the leader was lost while it was being replicated")]
    LeaderLost,
    /// This replica stopped while it was under way.
    #[error("this replica stopped while it was being replicated")]
    Stopped,
}

/// Why a read has no answer. All but [`ReadError::Refused`] and [`ReadError::Broken`] are worth a retry.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The request itself cannot be answered: compacted or future revision.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// No quorum confirmed the read within the deadline.
    #[error("no quorum confirmed the read in time: {0}")]
    NoQuorum(String),
    /// This replica is stopping or has stopped.
    #[error("this replica has stopped")]
    Stopped,
    /// The local engine failed; this replica is about to stop.
    #[error("the local store failed: {0}")]
    Broken(#[from] EngineError),
}

/// Why a lease call has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeaseError {
    /// There is no such lease, or it is being revoked.
    #[error("etcdserver: requested lease not found")]
    NotFound,
    /// No leader confirmed the call within the deadline. A renewal may be repeated freely.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What to do about an engine that does not open, where it is known.
fn next_step(error: &EngineError) -> &'static str {
    match error {
        EngineError::Io { cause, .. } if cause.contains("No space left on device") => {
            ". The file system is full, and nothing that was acknowledged is lost: make room, then start again"
        }
        EngineError::Io { .. }
        | EngineError::Corrupt { .. }
        | EngineError::TooNew { .. }
        | EngineError::TooOld { .. } => "",
    }
}

/// How a replica comes back whose data is no good.
const COMING_BACK: &str = "If it has peers, let it come back from them: remove its data folder, remove it from the \
                           cluster, and start it with --initial-cluster-state existing (a server: `keelson remove-server \
                           NAME` comes before the start; a store: `keelson store replace` does both). If it has none, \
                           restore a snapshot";

/// Why a store does not open. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or record is damaged, too new, or not accessible.
    #[error("{0}. {advice}", advice = COMING_BACK)]
    Damaged(EngineError),
    /// The data folder holds a state, and no log that it came from.
    #[error("the data folder has {0:?}, but no log: a part of it is missing. Bring that back. {advice}", advice = COMING_BACK)]
    LogMissing(String),
    /// What is damaged cannot be made anew here, and the replica has no peers.
    #[error(
        "{0}. This member has no peer to be refilled from. `keelson store recover`, with this member's flags, shows what \
         survives in its data folder, and with --yes goes on with that; else restore a snapshot (`keelson store snapshot \
         restore`)"
    )]
    NobodyToAsk(String),
    /// The disk has no room for a member beside the reserve.
    #[error(
        "the file system has {total} MiB, and a member needs one of {least} MiB: what it holds, and as much again to write \
         out and merge what it has acknowledged. Give it a larger one, and start again",
        total = .total >> 20, least = .least >> 20
    )]
    DiskTooSmall {
        /// Bytes that it has.
        total: u64,
        /// Bytes that it needs.
        least: u64,
    },
    /// The engine cannot be opened or written.
    #[error("{0}{next}", next = next_step(.0))]
    Engine(EngineError),
    /// The name is not in the initial cluster.
    #[error("--name {0:?} is not in --initial-cluster; add it there or correct the name")]
    NameNotInCluster(String),
    /// A peer does not let this replica into its cluster: a foreign or wiped disk, or flags that differ.
    #[error("peer {name:?} refuses this replica: {reason}")]
    Refused {
        /// The peer.
        name: String,
        /// Its words.
        reason: String,
    },
    /// The disk has forgotten what it promised.
    #[error(
        "this disk is older than it was: member {peer:?} has seen {seen} of it, and it has {found}. It was restored \
         from a copy, or it lost what it had synced; it may not vote. Remove the member, empty its data folder, and \
         add it as a new member"
    )]
    RolledBack {
        /// Who remembers.
        peer: String,
        /// What it has seen.
        seen: String,
        /// What the disk has.
        found: String,
    },
    /// The disk's replica was a member, and was removed.
    #[error(
        "this replica was removed from the cluster, and its id never comes back: empty its data folder to have it join as \
         a new member"
    )]
    Removed,
    /// A socket, thread or certificate could not be had.
    #[error("{0}")]
    System(String),
    /// openraft refused to start.
    #[error("raft does not start: {0}")]
    Raft(String),
}

impl From<EngineError> for OpenError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Corrupt { .. } => Self::Damaged(error),
            EngineError::Io { .. } | EngineError::TooNew { .. } | EngineError::TooOld { .. } => {
                Self::Engine(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let io = |cause: &str| {
            OpenError::Engine(EngineError::Io { what: "open /data/log".to_owned(), cause: cause.to_owned() })
        };
        let full = io("IO error: No space left on device").to_string();
        assert!(
            full.starts_with("open /data/log: ") && full.ends_with("make room, then start again"),
            "{full}"
        );
        assert_eq!(io("Permission denied").to_string(), "open /data/log: Permission denied");
    }
}
