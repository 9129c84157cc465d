//! What can be asked of the state machine, and what it answers.
//!
//! Semantics, limits and error texts are etcd's (etcd v3 API, `rpc.proto`). A command is encoded once, at the
//! door, and travels as opaque bytes through log, network and disk.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{LeaseId, Revision};

mod auth;
mod codec;
mod shared;
mod spans;
mod validate;

pub use auth::{
    Access, AuthCommand, AuthError, Caller, PasswordHash, Permission, PermissionRange, ROOT, TokenKey,
};
pub(crate) use spans::Spans;
pub use validate::MAX_TXN_OPS;

/// One entry of the replicated log, as the state machine sees it. Variants are never reordered or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Compare and change, atomically. A plain put or delete is a transaction without compares.
    Txn(Txn),
    /// Forget superseded versions below a revision.
    Compact(Revision),
    /// Make a lease. The id is chosen before proposing, so that all replicas agree.
    LeaseGrant {
        /// Must not be in use, and not 0.
        id: LeaseId,
        /// Time to live in seconds, at least 1.
        ttl_seconds: u32,
    },
    /// End a lease and delete every key that hangs on it, in one revision.
    LeaseRevoke(LeaseId),
    /// Change users and roles.
    Auth(AuthCommand),
}

/// A transaction: if all compares hold, `success` runs, else `failure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Txn {
    /// All must hold.
    pub compare: Vec<Compare>,
    /// Run in order when they do.
    pub success: Vec<Op>,
    /// Run in order when they do not.
    pub failure: Vec<Op>,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Read.
    Range(RangeRequest),
    /// Write.
    Put(PutRequest),
    /// Delete.
    DeleteRange(DeleteRangeRequest),
    /// A nested transaction.
    Txn(Txn),
}

/// A set of keys, as etcd's requests name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyRange {
    /// Exactly this key.
    Single(#[serde(with = "shared")] Bytes),
    /// `start <= key < end`. Empty when `end <= start`.
    Span {
        /// First key.
        #[serde(with = "shared")]
        start: Bytes,
        /// First key past the range.
        #[serde(with = "shared")]
        end: Bytes,
    },
    /// This key and everything after it.
    From(#[serde(with = "shared")] Bytes),
}

impl KeyRange {
    /// A range as etcd's requests name it: no end means one key, an end of one zero byte means "and all that follow".
    pub fn named(key: Bytes, range_end: Bytes) -> Self {
        match &range_end[..] {
            [] => Self::Single(key),
            [0] => Self::From(key),
            _ => Self::Span { start: key, end: range_end },
        }
    }

    /// True when the range holds the key.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::Single(single) => key == single,
            Self::Span { start, end } => **start <= *key && *key < **end,
            Self::From(start) => **start <= *key,
        }
    }

    /// The range from its first key up to and without another one, or without an end.
    pub fn span(&self) -> (Bytes, Option<Bytes>) {
        match self {
            Self::Single(key) => {
                let end = [key, &[0][..]].concat();
                (key.clone(), Some(end.into()))
            }
            Self::Span { start, end } => (start.clone(), Some(end.clone())),
            Self::From(start) => (start.clone(), None),
        }
    }

    /// The first key that the range may hold.
    pub const fn start(&self) -> &Bytes {
        match self {
            Self::Single(start) | Self::Span { start, end: _ } | Self::From(start) => start,
        }
    }
}

/// A condition on every key of a range. On a range without keys it holds exactly when a missing key
/// (version 0, revisions 0, lease 0) satisfies it; a compare of values fails there, as in etcd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// Which keys.
    pub range: KeyRange,
    /// How the key's attribute relates to the operand: `attribute <relation> operand`.
    pub relation: Relation,
    /// Which attribute, and what to compare it with.
    pub operand: Operand,
}

/// How two values relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// `==`
    Equal,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `!=`
    NotEqual,
}

/// What a [`Compare`] looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operand {
    /// How often the key was written since its creation; 0 when it does not exist.
    Version(u64),
    /// The revision that created it; 0 when it does not exist.
    CreateRevision(Revision),
    /// The revision that last changed it; 0 when it does not exist.
    ModRevision(Revision),
    /// Its value, compared as bytes. Never true for a key that does not exist.
    Value(#[serde(with = "shared")] Bytes),
    /// Its lease; 0 when it has none or does not exist.
    Lease(LeaseId),
}

/// etcd's `PutRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRequest {
    /// Not empty.
    #[serde(with = "shared")]
    pub key: Bytes,
    /// May be empty.
    #[serde(with = "shared")]
    pub value: Bytes,
    /// The lease to hang the key on, or [`LeaseId::NONE`].
    pub lease: LeaseId,
    /// Answer with the version that this put replaces.
    pub prev_kv: bool,
    /// Keep the value that is there; the key must exist.
    pub ignore_value: bool,
    /// Keep the lease that is there; the key must exist.
    pub ignore_lease: bool,
}

/// etcd's `DeleteRangeRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRangeRequest {
    /// Which keys.
    pub range: KeyRange,
    /// Answer with what was deleted.
    pub prev_kv: bool,
}

/// etcd's `RangeRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRequest {
    /// Which keys.
    pub range: KeyRange,
    /// At which revision; 0 for the newest.
    pub revision: Revision,
    /// At most this many; 0 for all.
    pub limit: u64,
    /// In which order. Limit counts after sorting.
    pub sort: Option<Sort>,
    /// Without values.
    pub keys_only: bool,
    /// Only how many.
    pub count_only: bool,
    /// Lowest mod revision to answer, or 0.
    pub min_mod_revision: Revision,
    /// Highest mod revision to answer, or 0.
    pub max_mod_revision: Revision,
    /// Lowest create revision to answer, or 0.
    pub min_create_revision: Revision,
    /// Highest create revision to answer, or 0.
    pub max_create_revision: Revision,
}

impl RangeRequest {
    /// All keys of a range at the newest revision, in key order.
    pub fn new(range: KeyRange) -> Self {
        Self {
            range,
            revision: Revision::ZERO,
            limit: 0,
            sort: None,
            keys_only: false,
            count_only: false,
            min_mod_revision: Revision::ZERO,
            max_mod_revision: Revision::ZERO,
            min_create_revision: Revision::ZERO,
            max_create_revision: Revision::ZERO,
        }
    }
}

/// The order of a range's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Largest first.
    pub descending: bool,
}

/// What a [`Sort`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortBy {
    /// The key's bytes.
    Key,
    /// The version.
    Version,
    /// The revision that created it.
    Create,
    /// The revision that last changed it.
    Mod,
    /// The value's bytes.
    Value,
}

/// A key, its value and where they stand in history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value; empty where the request did not want it.
    pub value: Bytes,
    /// The revision that created the key, after its last deletion.
    pub create_revision: Revision,
    /// The revision that last changed it.
    pub mod_revision: Revision,
    /// How often it was written since its creation, counting from 1.
    pub version: u64,
    /// The lease it hangs on, or [`LeaseId::NONE`].
    pub lease: LeaseId,
}

/// What a command did, or why it was refused. Every replica computes the same one.
pub type Outcome = Result<Response, CommandError>;

/// An accepted command's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The store's revision after the command.
    pub revision: Revision,
    /// What it answers.
    pub body: ResponseBody,
}

/// The part of a [`Response`] that depends on the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseBody {
    /// To [`Command::Txn`].
    Txn(TxnResponse),
    /// To [`Command::Compact`].
    Compact,
    /// To [`Command::LeaseGrant`].
    LeaseGrant,
    /// To [`Command::LeaseRevoke`].
    LeaseRevoke,
    /// To [`Command::Auth`].
    Auth,
}

/// A transaction's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnResponse {
    /// Whether the compares held.
    pub succeeded: bool,
    /// One answer per operation of the branch that ran.
    pub responses: Vec<OpResponse>,
}

/// An operation's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpResponse {
    /// To [`Op::Range`].
    Range(RangeResponse),
    /// To [`Op::Put`]: the version that was replaced, where asked for.
    Put(Option<KeyValue>),
    /// To [`Op::DeleteRange`].
    DeleteRange {
        /// How many keys went.
        deleted: u64,
        /// What they were, where asked for.
        prev_kvs: Vec<KeyValue>,
    },
    /// To [`Op::Txn`].
    Txn(TxnResponse),
}

/// A range's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeResponse {
    /// The keys, within the limit.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit cut some off.
    pub more: bool,
    /// How many keys the range has at that revision, whatever the limit.
    pub count: u64,
}

/// Why a command was refused, on every replica alike. The texts are etcd's: clients match on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CommandError {
    /// A put names a lease that does not exist.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// A grant names an id that is in use.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// A read or compaction below what has been compacted away.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted {
        /// The oldest revision that can still be read.
        compacted: Revision,
    },
    /// A read or compaction beyond the newest revision.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision {
        /// The newest revision.
        current: Revision,
    },
    /// `ignore_value` or `ignore_lease` on a key that does not exist.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// The same key would be written twice in one transaction.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// A put or range without a key.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// `ignore_value` with a value.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// `ignore_lease` with a lease.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// More operations in one transaction than allowed.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// A lease that lives longer than etcd allows (9,000,000,000 s).
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// The caller may not do this, or what it wants of users and roles is not possible.
    #[error(transparent)]
    Auth(#[from] AuthError),
}
