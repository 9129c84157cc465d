//! The seam between the store and whatever keeps its bytes.
//!
//! What stands behind it: log files and RocksDB in production, and [`mem`] in the simulation, which loses, tears and
//! corrupts whatever this contract allows. [`conformance`] is the suite that all must pass.
//!
//! # The contract
//!
//! * **E1** A [`Batch`] is atomic: readers see all of it or nothing, and so does a restart after a crash.
//! * **E2** When [`Engine::write`] returns, every later read sees the batch.
//! * **E3** When [`Engine::sync`] returns `Ok`, everything written before the call survives a crash.
//! * **E4** A crash may lose writes that were not synced, but only from the end: if one batch survived, so did
//!   every batch written before it. Nothing that was not written appears.
//! * **E5** A [`Read`] from [`Engine::view`] never changes, whatever is written or deleted afterwards.
//! * **E6** What comes back is what was written, or an [`EngineError::Corrupt`]: never other bytes.
//! * **E7** After an error from `write` or `sync` the engine's durable state is unknown. The replica must stop
//!   and open it anew; it must not retry on the same handle.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;

pub mod conformance;
pub mod mem;

/// The two stores of one replica.
///
/// They are apart because they differ in durability: the log is synced before anybody is answered, the state
/// is rebuilt from the log and synced only when a snapshot names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The Raft log, the vote and what identifies this disk.
    Log,
    /// The state machine.
    State,
}

/// Every family of keys. The byte layouts are in [`crate::schema`] (state) and in the Raft adapter (log).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Log: identity, vote, committed and purged positions.
    LogMeta,
    /// Log: entries by index.
    LogEntries,
    /// State: the header (applied position, revision, compacted revision, hash), the membership, users and roles.
    Meta,
    /// State: versions of keys, by key and then newest first.
    Keys,
    /// State: what changed, by revision.
    Changes,
    /// State: leases by id.
    Leases,
    /// State: which keys hang on which lease.
    LeaseKeys,
}

impl Family {
    /// Every family, in the order in which engines create them.
    pub const ALL: [Self; 7] = [
        Self::LogMeta,
        Self::LogEntries,
        Self::Meta,
        Self::Keys,
        Self::Changes,
        Self::Leases,
        Self::LeaseKeys,
    ];

    /// Which of the two stores the family belongs to.
    pub const fn role(self) -> Role {
        match self {
            Self::LogMeta | Self::LogEntries => Role::Log,
            Self::Meta | Self::Keys | Self::Changes | Self::Leases | Self::LeaseKeys => Role::State,
        }
    }

    /// The name on disk; fixed for ever.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogMeta => "log-meta",
            Self::LogEntries => "log-entries",
            Self::Meta => "meta",
            Self::Keys => "keys",
            Self::Changes => "changes",
            Self::Leases => "leases",
            Self::LeaseKeys => "lease-keys",
        }
    }

    /// The families of one store.
    pub fn of(role: Role) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |family| family.role() == role)
    }
}

/// Why an engine could not do what it was asked.
///
/// None of these is deterministic across replicas, so none may ever become a command's outcome: the replica
/// that meets one stops.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The operating system refused: disk full, I/O error, permissions.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done, with the path where there is one.
        what: String,
        /// The system's words.
        cause: String,
    },
    /// What was read is not what was written.
    #[error("{what} is damaged: {detail}")]
    Corrupt {
        /// The file or family.
        what: String,
        /// What did not fit.
        detail: String,
    },
    /// The data carries a format number that this program does not know.
    #[error(
        "{what} has format {found}, and this program knows formats up to {known}: it was written by a newer version; \
         run that version or a newer one"
    )]
    TooNew {
        /// The file or record.
        what: String,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The data carries a format number that this program no longer knows.
    #[error(
        "{what} has format {found}, and this program knows formats from {oldest} on: run the version that wrote it, or \
         let this member begin anew on an empty folder"
    )]
    TooOld {
        /// The file or record.
        what: String,
        /// The format found.
        found: u32,
        /// The oldest format known here.
        oldest: u32,
    },
}

impl EngineError {
    /// An error of the operating system, met while doing `action` to `path`.
    pub fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        Self::Io { what: format!("{action} {}", path.display()), cause: error.to_string() }
    }

    /// Damage in `path`.
    pub fn corrupt(path: &Path, detail: impl Into<String>) -> Self {
        Self::Corrupt { what: path.display().to_string(), detail: detail.into() }
    }
}

/// Reads at one moment.
pub trait Read: Send + Sync {
    /// The value under `key`.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// A cursor over one family, positioned nowhere.
    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_>;

    /// A cursor for what begins like the key that it was last sought at ([`schema::shared_prefix`]): of everything else it
    /// may show a part only. It is never sent back. Where nothing begins so, it is much cheaper.
    ///
    /// [`schema::shared_prefix`]: crate::schema::shared_prefix
    fn prefix_cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        self.cursor(family)
    }
}

/// A position in one family. Keys are ordered as bytes.
pub trait Cursor: Send {
    /// Moves to the first entry at or after `key`.
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError>;

    /// Moves to the last entry at or before `key`.
    fn seek_back(&mut self, key: &[u8]) -> Result<(), EngineError>;

    /// Moves to the entry after the current one. A no-op when there is none.
    fn next(&mut self) -> Result<(), EngineError>;

    /// The current entry: key and value, or nothing past the ends.
    fn entry(&self) -> Option<(&[u8], &[u8])>;
}

/// One store of a replica.
pub trait Engine: Read {
    /// A reader that stands still while the engine goes on (E5).
    fn view(&self) -> Arc<dyn Read>;

    /// Applies a batch atomically (E1, E2). Durable only after [`Self::sync`] (E3).
    fn write(&self, batch: Batch) -> Result<(), EngineError>;

    /// Makes everything written before durable (E3).
    fn sync(&self) -> Result<(), EngineError>;

    /// Takes this moment's contents, for a copy of the name `name` on the same disk. Whoever needs to know which moment that
    /// is keeps writers away meanwhile, but need not until the copy is kept.
    fn capture(&self, name: &str) -> Result<Box<dyn Capture>, EngineError>;

    /// Makes a durable copy of this moment's contents, under `name` on the same disk, without stopping writers.
    fn checkpoint(&self, name: &str) -> Result<(), EngineError> {
        self.capture(name)?.keep()
    }

    /// Bytes on disk, roughly.
    fn size(&self) -> u64;

    /// Bytes of it that are only in memory, roughly: what [`Self::sync`] takes of the disk.
    fn unwritten(&self) -> u64 {
        0
    }

    /// Gives back the room of what was deleted. It may take long, and writers go on meanwhile. A no-op where that happens
    /// at once by itself.
    fn reclaim(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Contents of one moment. They are a copy only when they were kept.
pub trait Capture: Send {
    /// Makes the copy durable, and gives it its name.
    fn keep(self: Box<Self>) -> Result<(), EngineError>;
}

/// Where the stores of one replica live: named stores, and named folders of files (checkpoints in transit).
pub trait Disk: Send + Sync {
    /// Opens a store, making an empty one where none is.
    fn open(&self, name: &str, role: Role) -> Result<Arc<dyn Engine>, EngineError>;

    /// Names of all stores and folders, sorted.
    fn list(&self) -> Result<Vec<String>, EngineError>;

    /// Deletes a store or folder and all that is in it. A no-op where none is.
    ///
    /// Open handles and views keep working until they are dropped.
    fn remove(&self, name: &str) -> Result<(), EngineError>;

    /// The files of a folder with their lengths in bytes, sorted by name.
    fn files(&self, name: &str) -> Result<Vec<(String, u64)>, EngineError>;

    /// Reads up to `len` bytes of a file from `offset`; shorter only at its end.
    fn read_file(&self, name: &str, file: &str, offset: u64, len: usize) -> Result<Bytes, EngineError>;

    /// Writes `data` at `offset`, making folder and file as needed. Durable only after [`Self::sync_folder`].
    fn write_file(&self, name: &str, file: &str, offset: u64, data: &[u8]) -> Result<(), EngineError>;

    /// Makes a folder and all its files durable.
    fn sync_folder(&self, name: &str) -> Result<(), EngineError>;

    /// How much room there is; `None` where nobody can say.
    fn space(&self) -> Option<Space> {
        None
    }
}

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What can still be written.
    pub free: u64,
    /// All there is, used or not.
    pub total: u64,
    /// What must stay free for engines to write out what is in their memory, and to merge what is in the way.
    pub reserve: u64,
    /// A disk with less in all is too small for engines to work on.
    pub least: u64,
}

/// Changes that take effect together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes, in order; a later one to the same key wins.
    pub writes: Vec<Write>,
}

/// One change of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key.
    Put {
        /// Where.
        family: Family,
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// Removes a key; a no-op where there is none.
    Delete {
        /// Where.
        family: Family,
        /// The key.
        key: Bytes,
    },
    /// Removes every key in `start..end`.
    DeleteRange {
        /// Where.
        family: Family,
        /// First key to go.
        start: Bytes,
        /// First key to stay.
        end: Bytes,
    },
}

impl Batch {
    /// Adds a [`Write::Put`].
    pub fn put(&mut self, family: Family, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.writes.push(Write::Put { family, key: key.into(), value: value.into() });
    }

    /// Adds a [`Write::Delete`].
    pub fn delete(&mut self, family: Family, key: impl Into<Bytes>) {
        self.writes.push(Write::Delete { family, key: key.into() });
    }

    /// Adds a [`Write::DeleteRange`].
    pub fn delete_range(&mut self, family: Family, start: impl Into<Bytes>, end: impl Into<Bytes>) {
        self.writes.push(Write::DeleteRange { family, start: start.into(), end: end.into() });
    }

    /// True when nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}
