//! What the store can answer.
//!
//! In: answers as the workloads saw them. Out: one variant per [`Call`], and what its revision promises.
//! Deliberately absent: errors; they are in [`End`](super::End).

use serde::{Deserialize, Serialize};

use super::{Call, Consistency, Key, KeyVersion, LeaseId, MicroOp, Revision};

/// What was answered. `revision` is that of the answer's header; 0: not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Returned {
    /// To a read.
    Read {
        /// The header's.
        revision: Revision,
        /// The key; `None`: absent.
        found: Option<KeyVersion>,
    },
    /// To a list.
    List {
        /// The header's.
        revision: Revision,
        /// All that the range holds, in order of keys.
        items: Vec<(Key, KeyVersion)>,
    },
    /// To a write.
    Write {
        /// The header's: the write's own.
        revision: Revision,
    },
    /// To a delete.
    Delete {
        /// The header's: the delete's own, if there was a key.
        revision: Revision,
        /// Whether there was a key.
        deleted: bool,
    },
    /// To a compare-and-set.
    CompareAndSet {
        /// The header's: the write's own, if it was done.
        revision: Revision,
        /// Whether it was done.
        swapped: bool,
        /// If not: what the key was; `None`: absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current: Option<KeyVersion>,
    },
    /// To a transaction.
    Txn {
        /// The header's: the transaction's own, if it wrote.
        revision: Revision,
        /// One for each part, in order.
        results: Vec<MicroResult>,
    },
    /// To an addition to the set.
    SetAdd {
        /// The header's: the write's own.
        revision: Revision,
    },
    /// To a read of the set.
    SetRead {
        /// The header's.
        revision: Revision,
        /// All elements, in any order.
        elements: Vec<u64>,
    },
    /// To an addition to the counter.
    CounterAdd {
        /// The header's: the write's own.
        revision: Revision,
    },
    /// To a read of the counter.
    CounterRead {
        /// The header's.
        revision: Revision,
        /// The sum.
        total: i64,
    },
    /// To an attempt at a lock.
    LockAcquire {
        /// The header's: the lock's own token, if it was acquired.
        revision: Revision,
        /// Whether it was acquired.
        acquired: bool,
    },
    /// To a release.
    LockRelease {
        /// The header's: the delete's own, if it was done.
        revision: Revision,
        /// Whether the lock was still the caller's.
        released: bool,
    },
    /// To a fenced write.
    FencedWrite {
        /// The header's: the write's own, if it was accepted.
        revision: Revision,
        /// Whether the token was still good.
        accepted: bool,
    },
    /// To a grant.
    LeaseGrant {
        /// The header's.
        revision: Revision,
        /// The time to live that was granted.
        ttl_seconds: u32,
    },
    /// To a renewal.
    LeaseKeepAlive {
        /// The header's.
        revision: Revision,
        /// The time to live from now on; 0: there is no such lease.
        ttl_seconds: u32,
    },
    /// To a revocation.
    LeaseRevoke {
        /// The header's.
        revision: Revision,
        /// Whether there was such a lease.
        revoked: bool,
    },
    /// To an attempt to make a key that lives by a lease.
    LeaseAttach {
        /// The header's: the key's own, if it was made.
        revision: Revision,
        /// Whether it was made.
        attached: bool,
    },
    /// To the question how long a lease has to live.
    LeaseTimeToLive {
        /// The header's.
        revision: Revision,
        /// The seconds that remain; `None`: there is no such lease.
        remaining_seconds: Option<u32>,
    },
    /// To a read of a key that lives by a lease.
    LeaseKeyRead {
        /// The header's.
        revision: Revision,
        /// The lease that the key lives by; `None`: the key is absent.
        holder: Option<LeaseId>,
    },
    /// To a compaction.
    Compact {
        /// The header's.
        revision: Revision,
    },
}

/// What a part of a transaction answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MicroResult {
    /// An append, put or delete was done.
    Written,
    /// The list; empty also where its key is absent.
    List(
        /// In order.
        Vec<u64>,
    ),
    /// The register; `None`: absent.
    Value(
        /// What it held.
        Option<u64>,
    ),
}

/// What the header's revision of an answer promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is that of the operation's own commit.
    Committed,
    /// It is at least that of every commit that was acknowledged before the operation began.
    Current,
    /// It is some revision of the replica that answered.
    Local,
}

impl Returned {
    /// The header's revision.
    pub fn revision(&self) -> Revision {
        match self {
            Self::Read { revision, .. }
            | Self::List { revision, .. }
            | Self::Write { revision }
            | Self::Delete { revision, .. }
            | Self::CompareAndSet { revision, .. }
            | Self::Txn { revision, .. }
            | Self::SetAdd { revision }
            | Self::SetRead { revision, .. }
            | Self::CounterAdd { revision }
            | Self::CounterRead { revision, .. }
            | Self::LockAcquire { revision, .. }
            | Self::LockRelease { revision, .. }
            | Self::FencedWrite { revision, .. }
            | Self::LeaseGrant { revision, .. }
            | Self::LeaseKeepAlive { revision, .. }
            | Self::LeaseRevoke { revision, .. }
            | Self::LeaseAttach { revision, .. }
            | Self::LeaseTimeToLive { revision, .. }
            | Self::LeaseKeyRead { revision, .. }
            | Self::Compact { revision } => *revision,
        }
    }

    /// What the header's revision promises when this is the answer to `call`.
    pub fn freshness(&self, call: &Call) -> Freshness {
        let wrote = |wrote: bool| if wrote { Freshness::Committed } else { Freshness::Current };
        match self {
            Self::Read { .. } | Self::List { .. } => match call {
                Call::Read { consistency: Consistency::Serializable, .. }
                | Call::List { consistency: Consistency::Serializable, .. } => Freshness::Local,
                _ => Freshness::Current,
            },
            Self::Write { .. } | Self::SetAdd { .. } | Self::CounterAdd { .. } => Freshness::Committed,
            Self::Delete { deleted, .. } => wrote(*deleted),
            Self::CompareAndSet { swapped, .. } => wrote(*swapped),
            Self::Txn { .. } => wrote(matches!(call, Call::Txn(parts) if parts.iter().any(writes_surely))),
            Self::LockAcquire { acquired, .. } => wrote(*acquired),
            Self::LockRelease { released, .. } => wrote(*released),
            Self::FencedWrite { accepted, .. } => wrote(*accepted),
            Self::LeaseAttach { attached, .. } => wrote(*attached),
            Self::SetRead { .. } | Self::CounterRead { .. } | Self::LeaseKeyRead { .. } => Freshness::Current,
            Self::LeaseGrant { .. }
            | Self::LeaseKeepAlive { .. }
            | Self::LeaseRevoke { .. }
            | Self::LeaseTimeToLive { .. }
            | Self::Compact { .. } => Freshness::Local,
        }
    }
}

/// A delete of a key that is absent makes no commit.
fn writes_surely(part: &MicroOp) -> bool {
    matches!(part, MicroOp::Append { .. } | MicroOp::Put { .. })
}
