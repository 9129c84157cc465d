//! A disk that exists in memory only, for the deterministic simulation and for tests.
//!
//! In: the calls of [`Disk`] and [`Engine`](super::Engine), and the faults that a scenario wants. Out: exactly
//! what the contract allows and a kind disk rarely shows: unsynced batches lost from the end
//! ([`MemDisk::crash`]), torn files, errors that leave open whether anything happened, a full disk, damaged
//! records.
//!
//! Deliberately absent: randomness and time. Whoever drives the simulation decides every outcome, so a run
//! repeats itself from its seed.
//!
//! Where the contract is silent it behaves as a store that locks its folder: a name can be opened again only
//! when the last handle *and view* of its store is gone, and reads of a removed store keep working.

mod contents;
mod file;
mod handle;
mod image_file;
mod store;
mod tree;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Disk, Engine, EngineError, Family, Role, Space};
use contents::Contents;
use handle::MemEngine;

/// A disk in memory. Clones share it: one goes to the replica, another stays with whoever makes faults.
#[derive(Clone, Debug, Default)]
pub struct MemDisk {
    contents: Arc<Mutex<Contents>>,
}

/// Faults that are on until they are switched off again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every read fails, of stores and of files.
    pub read_error: bool,
    /// Every write fails, of batches and of files.
    pub write_error: Option<Fate>,
    /// Every sync fails, of stores and of folders.
    pub sync_error: Option<Fate>,
    /// What fits on the disk, counting the keys and values of stores and the bytes of files. Writes that would
    /// go past it fail and change nothing.
    pub capacity_bytes: Option<u64>,
}

/// What became of an operation that reported an error: the caller cannot know (E7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It did not happen.
    Lost,
    /// It happened all the same.
    Kept,
}

/// Something that a crash may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtRisk<'a> {
    /// Batches of a store that were not synced.
    Batches {
        /// The store.
        store: &'a str,
        /// How many there are, at least 1. The first so many survive as the caller says.
        count: usize,
    },
    /// Bytes of a file in a folder that was not synced.
    Bytes {
        /// The folder.
        folder: &'a str,
        /// The file.
        file: &'a str,
        /// The file's length, at least 1. The first so many bytes are as written; behind them is what was
        /// durable before.
        count: usize,
    },
}

impl AtRisk<'_> {
    /// How many pieces may be lost.
    pub const fn count(self) -> usize {
        match self {
            Self::Batches { count, .. } | Self::Bytes { count, .. } => count,
        }
    }
}

impl MemDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// All fault switches.
    pub fn faults(&self) -> Faults {
        lock(&self.contents).faults
    }

    /// Replaces all fault switches.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.contents).faults = faults;
    }

    /// Another disk with the same contents, as one would get by copying all blocks of a disk that stands still.
    pub fn copy(&self) -> Self {
        Self { contents: Arc::new(Mutex::new(lock(&self.contents).copy())) }
    }

    /// Another disk with what would be left of this one if its machine lost power now, and with it everything that was
    /// not synced.
    pub fn lasting(&self) -> Self {
        Self { contents: Arc::new(Mutex::new(lock(&self.contents).lasting())) }
    }

    /// Takes the machine down and up again.
    ///
    /// For everything that was not synced `survivors` says how many pieces are left, counted from the oldest;
    /// more than there are means all. It is called in a fixed order. Handles and views from before answer every
    /// call with an error from now on; fault switches stay as they are.
    pub fn crash(&self, survivors: &mut dyn FnMut(AtRisk<'_>) -> usize) {
        lock(&self.contents).crash(survivors);
    }

    /// Damages one record, durable or not: reading it gives [`EngineError::Corrupt`] until it is overwritten.
    /// Views taken before do not notice. False when the store has no such record.
    pub fn damage_record(&self, store: &str, family: Family, key: &[u8]) -> bool {
        lock(&self.contents).damage_record(store, family, key)
    }

    /// Damages a store so that every later [`Disk::open`] gives [`EngineError::Corrupt`]; handles that are open
    /// do not notice. False when there is no such store.
    pub fn damage_store(&self, store: &str) -> bool {
        lock(&self.contents).damage_store(store)
    }

    /// Flips one bit of the byte at `offset` of a file. False when there is no such byte.
    pub fn damage_file(&self, folder: &str, file: &str, offset: usize) -> bool {
        lock(&self.contents).damage_file(folder, file, offset)
    }
}

impl Disk for MemDisk {
    fn open(&self, name: &str, role: Role) -> Result<Arc<dyn Engine>, EngineError> {
        let session = lock(&self.contents).open(name, role)?;
        Ok(Arc::new(MemEngine { session, disk: Arc::clone(&self.contents) }))
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        Ok(lock(&self.contents).list())
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        lock(&self.contents).remove(name)
    }

    fn files(&self, name: &str) -> Result<Vec<(String, u64)>, EngineError> {
        lock(&self.contents).files(name)
    }

    fn read_file(&self, name: &str, file: &str, offset: u64, len: usize) -> Result<Bytes, EngineError> {
        lock(&self.contents).read_file(name, file, offset, len)
    }

    fn write_file(&self, name: &str, file: &str, offset: u64, data: &[u8]) -> Result<(), EngineError> {
        lock(&self.contents).write_file(name, file, offset, data)
    }

    fn sync_folder(&self, name: &str) -> Result<(), EngineError> {
        lock(&self.contents).sync_folder(name)
    }

    fn space(&self) -> Option<Space> {
        lock(&self.contents).space()
    }
}

/// Takes a lock. Always in this order: the disk, then a store, then a session's health.
///
/// One that a panic has poisoned is taken all the same: the panic fails the test that it belongs to, and
/// whatever else looks at the disk then should still see it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
