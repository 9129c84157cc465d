//! What a client can ask.
//!
//! In: the workloads' operations. Out: one enum; [`Returned`](super::Returned) has the matching answers.
//! Deliberately absent: requests that no promise speaks of.

use serde::{Deserialize, Serialize};

use super::{Key, KeyRange, LeaseId, Revision};

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// It sees every write that was acknowledged before it began.
    #[default]
    Linearizable,
    /// It sees the state at some revision.
    Serializable,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// Read a key, now or at a revision of the past.
    Read {
        /// The key.
        key: Key,
        /// The revision; `None`: now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
        /// How fresh.
        #[serde(default)]
        consistency: Consistency,
    },
    /// Read all keys of a range, now or at a revision of the past.
    List {
        /// The keys.
        range: KeyRange,
        /// The revision; `None`: now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
        /// How fresh.
        #[serde(default)]
        consistency: Consistency,
    },
    /// Write a key, whatever it was.
    Write {
        /// The key.
        key: Key,
        /// The new value.
        value: u64,
    },
    /// Delete a key.
    Delete {
        /// The key.
        key: Key,
    },
    /// Write a key if its mod revision is still the expected one; else read it in the same transaction.
    CompareAndSet {
        /// The key.
        key: Key,
        /// The expected mod revision; 0: the key is absent.
        expected: Revision,
        /// The new value.
        value: u64,
    },
    /// All of these at one moment. Where the client had to read before it wrote, the write was guarded by what was
    /// read, and a guard that did not hold is recorded as a failure.
    Txn(
        /// In order; each sees what those before it wrote.
        Vec<MicroOp>,
    ),
    /// Add an element to THE set of the run.
    SetAdd(
        /// The element.
        u64,
    ),
    /// Read THE set of the run.
    SetRead,
    /// Add to THE counter of the run.
    CounterAdd(
        /// How much; may be negative.
        i64,
    ),
    /// Read THE counter of the run.
    CounterRead,
    /// Make the lock's key if it is absent.
    LockAcquire {
        /// The lock.
        lock: Key,
    },
    /// Delete the lock's key if it is the caller's.
    LockRelease {
        /// The lock.
        lock: Key,
        /// The caller's token.
        token: Revision,
    },
    /// Write if the lock's key still is the one that the token names, decided in the same transaction.
    FencedWrite {
        /// The lock.
        lock: Key,
        /// The revision that made the lock's key.
        token: Revision,
        /// The new value.
        value: u64,
    },
    /// Grant a lease.
    LeaseGrant {
        /// The lease; chosen by the client, never twice in a run.
        id: LeaseId,
        /// The time to live that is asked for.
        ttl_seconds: u32,
    },
    /// Renew a lease.
    LeaseKeepAlive {
        /// The lease.
        id: LeaseId,
    },
    /// End a lease now.
    LeaseRevoke {
        /// The lease.
        id: LeaseId,
    },
    /// Make a key that lives by the lease, if the key is absent.
    LeaseAttach {
        /// The lease.
        id: LeaseId,
        /// The key; only leases end it.
        key: Key,
        /// Its value.
        value: u64,
    },
    /// Ask how long a lease has to live.
    LeaseTimeToLive {
        /// The lease.
        id: LeaseId,
    },
    /// Read, linearizably, a key that lives by a lease.
    LeaseKeyRead {
        /// The key.
        key: Key,
    },
    /// Forget the history below a revision.
    Compact {
        /// The revision.
        revision: Revision,
    },
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MicroOp {
    /// Append an element to a list.
    Append {
        /// The list's key.
        key: Key,
        /// The element.
        element: u64,
    },
    /// Read a list.
    ReadList {
        /// The list's key.
        key: Key,
    },
    /// Write a register.
    Put {
        /// The register's key.
        key: Key,
        /// The new value.
        value: u64,
    },
    /// Read a register.
    Get {
        /// The register's key.
        key: Key,
    },
    /// Delete a register.
    Delete {
        /// The register's key.
        key: Key,
    },
}

impl Call {
    /// The numbers that it writes, each of them once in a run.
    pub(crate) fn values(&self) -> impl Iterator<Item = u64> {
        let (one, parts) = match self {
            Self::Write { value, .. }
            | Self::CompareAndSet { value, .. }
            | Self::FencedWrite { value, .. }
            | Self::LeaseAttach { value, .. }
            | Self::SetAdd(value) => (Some(*value), &[][..]),
            Self::Txn(parts) => (None, parts.as_slice()),
            Self::Read { .. }
            | Self::List { .. }
            | Self::Delete { .. }
            | Self::SetRead
            | Self::CounterAdd(_)
            | Self::CounterRead
            | Self::LockAcquire { .. }
            | Self::LockRelease { .. }
            | Self::LeaseGrant { .. }
            | Self::LeaseKeepAlive { .. }
            | Self::LeaseRevoke { .. }
            | Self::LeaseTimeToLive { .. }
            | Self::LeaseKeyRead { .. }
            | Self::Compact { .. } => (None, &[][..]),
        };
        one.into_iter().chain(parts.iter().filter_map(MicroOp::written))
    }
}

impl MicroOp {
    /// The number that it writes.
    pub(crate) fn written(&self) -> Option<u64> {
        match self {
            Self::Append { element: value, .. } | Self::Put { value, .. } => Some(*value),
            Self::ReadList { .. } | Self::Get { .. } | Self::Delete { .. } => None,
        }
    }

    /// The key that it is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Append { key, .. }
            | Self::ReadList { key }
            | Self::Put { key, .. }
            | Self::Get { key }
            | Self::Delete { key } => key,
        }
    }
}
