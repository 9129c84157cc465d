//! The production engine of the log: the contract of [`keelson_store_core::engine`] for [`Role::Log`], kept on files of
//! our own.
//!
//! In: batches, in the order in which they must become durable. Out: a folder of *segments*, files of a fixed length in
//! which each batch is one checksummed record behind the one before it; and reads of what they hold.
//!
//! A log is written once, read back from memory, and soon dropped. Here that costs one copy into the page cache and one
//! `fdatasync` that changes no length, for a segment has its full length and its room from the beginning.
//!
//! # What a crash leaves, and what is damage
//!
//! * **L1** Room that was never written reads as zeros, and nothing that is written has 16 aligned bytes of zeros
//!   ([`pattern`]): a record with such a hole was not written out whole, one without has changed since.
//! * **L2** A record says how many before it were not known to be durable. What is behind that line must be whole; what is
//!   not was lost in a crash only if nothing after it proves that it had been synced.
//! * **L3** A segment gets its name when it is complete, opening record and length included, and when all before it is
//!   durable. So only the last one can end in a torn record.
//! * **L4** A value whose checksum does not fit takes nothing else along: its key is known, and reading it says what is
//!   damaged. A damaged head or header is where a log ends that nobody can use.
//! * **L5** The records beside the entries stand anew at the beginning of each segment, so segments go, oldest first, when
//!   the deletion of their last entry is durable, and a record that says which one is the oldest that counts. Every one from
//!   there on has to be there.
//! * **L6** What is read when a log is opened is durable before anybody is answered: what may have been left to the system
//!   only, by a process that was killed, is written once more.
//!
//! Deliberately absent: what the bytes mean; the folder's name; threads; what one replica alone cannot know, a log that
//! lost its end exactly between two records.
//!
//! [`Role::Log`]: keelson_store_core::engine::Role::Log

mod cursor;
mod error;
mod index;
pub mod pattern;
pub mod record;
pub mod scan;
mod segment;
mod store;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use keelson_store_core::engine::{Engine, EngineError};

/// How a log lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Length of a segment. One that begins with a larger record is longer. Bytes.
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20 }
    }
}

/// Makes an empty log in an empty folder, durably but for the folder's own name.
///
/// # Errors
/// [`EngineError::Io`] naming the file when the system refuses.
pub fn create(dir: &Path, options: LogOptions) -> Result<(), EngineError> {
    store::create(dir, options)
}

/// Whom a log's folder belongs to. It lives as long as anything that reads from the log.
pub trait Home: Send + Sync {
    /// Has a copy made in a new folder, and gives that its name when it is complete.
    ///
    /// # Errors
    /// That of making it, or the name is taken, or the system refuses.
    fn add_checkpoint(
        &self,
        name: &str,
        make: &mut dyn FnMut(&Path) -> Result<(), EngineError>,
    ) -> Result<(), EngineError>;
}

/// Opens a log that is there.
///
/// # Errors
/// [`EngineError::Corrupt`] naming the file when it is not as it was left, [`EngineError::Io`] when it cannot be read.
pub fn open(dir: &Path, options: LogOptions, home: Arc<dyn Home>) -> Result<Arc<dyn Engine>, EngineError> {
    store::open(dir, options, home)
}
