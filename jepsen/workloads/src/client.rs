//! What a workload needs of a store: etcd's calls, as a trait.
//!
//! In: requests with keys, values and revisions as histories have them. Out: answers, or errors that say whether a
//! change may have happened. The simulation implements [`Client`] on the store itself, the harness on gRPC, the tests
//! on a map. Deliberately absent: retries, timeouts and choosing a replica; a client asks one replica, once, and
//! whoever uses it decides what comes next.

use futures_util::future::BoxFuture;
use keelson_checkers::history::{
    Consistency, Filters, Key, KeyRange, KeyVersion, LeaseId, Revision, Value, WatchEvent,
};

/// An answer under way. It may be dropped before it is there; what was asked may then happen all the same.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, CallError>>;

/// A connection to one replica.
///
/// Values cross it through [`encode`](crate::encode) and [`decode`](crate::decode).
pub trait Client: Send + Sync {
    /// The replica's name.
    fn replica(&self) -> &str;

    /// Reads keys.
    fn range(&self, request: RangeRequest) -> Answer<'_, RangeResponse>;

    /// Compares and changes, atomically.
    fn txn(&self, txn: Txn) -> Answer<'_, TxnResponse>;

    /// Forgets history below a revision. Answers the header's revision.
    fn compact(&self, revision: Revision) -> Answer<'_, Revision>;

    /// Grants a lease with the id that the caller chose.
    fn lease_grant(&self, id: LeaseId, ttl_seconds: u32) -> Answer<'_, LeaseResponse>;

    /// Renews a lease.
    fn lease_keep_alive(&self, id: LeaseId) -> Answer<'_, LeaseResponse>;

    /// Ends a lease. Answers the header's revision, or [`Refusal::LeaseNotFound`].
    fn lease_revoke(&self, id: LeaseId) -> Answer<'_, Revision>;

    /// Asks how long a lease has to live.
    fn lease_time_to_live(&self, id: LeaseId) -> Answer<'_, LeaseResponse>;

    /// Opens a watch. Whatever goes wrong, also at once, comes out of the stream.
    fn watch(&self, request: WatchRequest) -> Box<dyn WatchStream>;
}

/// A watch that was opened. Dropping it ends the watch.
pub trait WatchStream: Send {
    /// The next message. The first one is [`WatchEvent::Created`], the last one [`WatchEvent::Canceled`] or
    /// [`WatchEvent::Broken`]; after it nobody asks again. A fragmented response is one message.
    ///
    /// Cancel-safe: a message is never lost because the future was dropped.
    fn next(&mut self) -> BoxFuture<'_, WatchMessage>;

    /// Asks the store for a report of progress, which comes as a message when the watch is up to date. Never waits.
    fn ask_progress(&mut self);
}

/// How a call fails, and what may be concluded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The store has decided, and changed nothing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It certainly did not happen and will not: it never reached a log.
    #[error("{0}")]
    Failed(String),
    /// It may have happened, may happen later, or never. When in doubt, this one.
    #[error("{0}")]
    Unknown(String),
}

/// Why the store refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such lease.
    #[error("there is no such lease")]
    LeaseNotFound,
    /// The revision was compacted away.
    #[error("the revision was compacted away")]
    Compacted,
    /// The revision lies in the future.
    #[error("the revision lies in the future")]
    FutureRevision,
    /// Anything else, in the store's words.
    #[error("{0}")]
    Other(String),
}

impl CallError {
    /// The same error of a call that changes nothing, whatever became of it.
    #[must_use]
    pub(crate) fn of_a_read(self) -> Self {
        match self {
            Self::Unknown(why) => Self::Failed(why),
            Self::Refused(_) | Self::Failed(_) => self,
        }
    }
}

/// Which keys to read, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// The keys.
    pub range: KeyRange,
    /// At which revision; `None`: now.
    pub revision: Option<Revision>,
    /// How fresh.
    pub consistency: Consistency,
    /// At most this many; `None`: all.
    pub limit: Option<u32>,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeResponse {
    /// The header's.
    pub revision: Revision,
    /// In order of keys.
    pub items: Vec<(Key, KeyVersion)>,
    /// Whether the limit cut some off.
    pub more: bool,
}

/// A transaction: if all guards hold, `success` runs, else `failure`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// All must hold.
    pub guards: Vec<Guard>,
    /// In order; each sees what those before it wrote.
    pub success: Vec<Op>,
    /// As `success`.
    pub failure: Vec<Op>,
}

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The key.
    pub key: Key,
    /// What must hold.
    pub holds: Attribute,
}

/// What a guard demands to be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The revision that made the key; 0: it is absent.
    CreateRevision(Revision),
    /// The revision that wrote it last; 0: it is absent.
    ModRevision(Revision),
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read a key.
    Get(Key),
    /// Write a key. With [`LeaseId`] 0 it lives by none.
    Put(Key, Value, LeaseId),
    /// Delete a key.
    Delete(Key),
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResponse {
    /// The header's.
    pub revision: Revision,
    /// Whether the guards held.
    pub succeeded: bool,
    /// One for each operation of the branch that ran.
    pub results: Vec<OpResult>,
}

/// What an operation of a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// What a get found; `None`: the key is absent.
    Got(Option<KeyVersion>),
    /// The put was done.
    Put,
    /// How many keys a delete deleted: 0 or 1.
    Deleted(u64),
}

/// What was said of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseResponse {
    /// The header's; 0: not told.
    pub revision: Revision,
    /// The seconds it has to live; `None`: there is no such lease (etcd says 0 to a renewal, -1 to the question).
    pub ttl_seconds: Option<u32>,
}

/// What to watch, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRequest {
    /// The keys.
    pub range: KeyRange,
    /// The first revision that is wanted; 0: from now on.
    pub start: Revision,
    /// What is not wanted.
    pub filters: Filters,
    /// Whether events shall carry what was before.
    pub prev_kv: bool,
    /// Whether the store shall report progress of its own accord.
    pub progress: bool,
}

/// One message of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchMessage {
    /// The header's; 0: not told.
    pub header_revision: Revision,
    /// What it says.
    pub what: WatchEvent,
}

impl RangeRequest {
    /// One key, now.
    pub fn one(key: &Key, consistency: Consistency) -> Self {
        Self { range: KeyRange::One(key.clone()), revision: None, consistency, limit: None }
    }
}

impl Guard {
    /// The key was last written at this revision; 0: it is absent.
    pub fn unchanged(key: &Key, mod_revision: Revision) -> Self {
        Self { key: key.clone(), holds: Attribute::ModRevision(mod_revision) }
    }

    /// The key was made at this revision; 0: it is absent.
    pub fn made_at(key: &Key, create_revision: Revision) -> Self {
        Self { key: key.clone(), holds: Attribute::CreateRevision(create_revision) }
    }
}
