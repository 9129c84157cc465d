//! Keelson's store: an MVCC key-value store with etcd's semantics, replicated by Raft.
//!
//! In: proposals, reads, watches and lease calls, through [`Store`]. Out: answers that say whether a write
//! was *rejected* or is *unknown*, views that are linearizable on every replica, and watch events that were
//! born in the write that they describe.
//!
//! The corridor of one write, module by module:
//! [`grpc`] (or whoever links [`Store`]) → [`propose`] → [`log`] (append, fsync) → [`peer`] (replicate) →
//! [`state`] (apply) → [`watch`].
//! Reads take another: [`read`] (read index, wait for apply) → a view of [`state`].
//!
//! Deliberately absent: RocksDB (an [`Engine`](keelson_store_core::engine::Engine) comes in from outside),
//! Kubernetes, and any decision about what a key means.

pub mod compactor;

mod damage;

pub mod error;

pub mod export;

pub mod grpc;

pub mod lease;

pub mod log;

pub mod membership;

mod meters;

pub mod options;

pub mod peer;

mod pem;

pub mod propose;

pub mod read;

pub mod record;

pub mod reconfigure;

pub mod runtime;

pub mod state;

pub mod status;

pub mod store;

pub mod types;

pub mod wall;

pub mod watch;

pub use error::{OpenError, ReadError, WriteError};
pub use options::{Beginning, Calling, Member, StoreOptions};
pub use store::Store;
