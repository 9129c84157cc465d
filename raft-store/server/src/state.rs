//! The replicated state: what applying the log has made of it, and the snapshots of it.
//!
//! In: committed entries, in order. Out: their outcomes; changes to [`crate::watch`]; lease changes to
//! [`crate::lease`]; views to readers; checkpoints to followers that are too far behind for the log.
//!
//! The state store is never fsynced on the way of a write: it can be rebuilt from the log above the newest
//! snapshot, and a snapshot is named only when it is durable.

mod adapter;
mod hashes;
mod shared;
mod snapshot;
#[cfg(test)]
mod tests;

pub use adapter::StateAdapter;
pub(crate) use adapter::{INCOMING_PREFIX, apply_entry, check_snapshot, is_state, live_store};
pub use shared::{Applied, SharedState, StateView};
pub use snapshot::{SnapshotBuilder, SnapshotFolder};
pub(crate) use snapshot::{build_first as build_first_snapshot, lock_when_free, put_in_place, rebuild};
