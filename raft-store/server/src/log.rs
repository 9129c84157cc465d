//! The Raft log: entries, the vote, and what identifies this disk.
//!
//! In: entries and votes from openraft, in the order in which they must become durable. Out: the same entries
//! to replication and apply (from memory while they are recent), and a callback per append once it is
//! fsynced.
//!
//! One engine holds all of it and every write goes through that engine in call order, so that durability is
//! always a prefix (contract E4): an append can never survive the vote or the truncation before it.

mod meta;
mod storage;
mod survey;
mod syncer;
mod tail;

pub use meta::LogMeta;
pub use storage::{LogAdapter, LogReader};
pub(crate) use survey::Survey;
