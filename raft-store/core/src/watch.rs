//! Watch: what changed, who wants to know, and from where they read it.
//!
//! In: the changes that were born in [`crate::apply`] (and nowhere else), and the change log that the same
//! batches wrote. Out: for each watcher every change that matches its [`Interest`], once, in order, a
//! revision never split.
//!
//! [`hub`] serves the recent past from memory; [`read_changes`] serves the rest from the store, with the same
//! result. Deliberately absent: channels, tasks and buffers per watcher. Watchers pull, so a slow one
//! delays nobody and loses nothing.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{
    command::{KeyRange, KeyValue},
    engine::{EngineError, Read},
    id::{ChangeId, Revision},
    mutant::{self, Mutant},
    mvcc,
};

mod catch_up;
pub mod hub;
mod recent;
mod spans;

pub use crate::schema::ChangeKind;
pub use catch_up::{CatchUp, Reader, read_changes};

/// What memory a change takes besides its key and value, roughly.
const CHANGE_OVERHEAD: usize = 128;

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub kind: ChangeKind,
    /// What the key became. After a delete only `key` and `mod_revision` are set.
    pub kv: KeyValue,
    /// The version that existed before, where one did; see [`previous_kv`].
    pub previous: Option<ChangeId>,
}

impl Change {
    /// Roughly how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        CHANGE_OVERHEAD + self.kv.key.len() + self.kv.value.len()
    }
}

/// Changes of one revision. Most revisions change one key, and what they changed is kept for watchers: one change needs no
/// memory of its own.
pub type Changes = SmallVec<[Change; 1]>;

/// Everything that one revision changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionChanges {
    /// The revision.
    pub revision: Revision,
    /// In the order in which the transaction made them; not empty, no key twice.
    pub changes: Changes,
}

impl RevisionChanges {
    /// Roughly how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        self.changes.iter().map(Change::size).sum()
    }
}

/// What a watcher wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Changes of these keys,
    pub range: KeyRange,
    /// but no puts,
    pub no_put: bool,
    /// but no deletes.
    pub no_delete: bool,
}

impl Interest {
    /// Every change of the keys in a range.
    pub const fn all_of(range: KeyRange) -> Self {
        Self { range, no_put: false, no_delete: false }
    }

    /// Every change.
    pub const fn everything() -> Self {
        Self::all_of(KeyRange::From(Bytes::new()))
    }

    /// True when the watcher wants to see the change.
    pub fn matches(&self, change: &Change) -> bool {
        self.wants(change.kind) && self.range.contains(&change.kv.key)
    }

    /// True when the watcher wants to see changes of this kind.
    pub const fn wants(&self, kind: ChangeKind) -> bool {
        match kind {
            ChangeKind::Put => !self.no_put,
            ChangeKind::Delete => !self.no_delete,
        }
    }
}

/// The version that a change replaced or removed.
///
/// `None` when there was none, and also when it has been swept away: that happens only at revisions up to
/// the compacted one, as in etcd.
pub fn previous_kv(read: &dyn Read, change: &Change) -> Result<Option<KeyValue>, EngineError> {
    if mutant::is(Mutant::PreviousOfNow) {
        return mvcc::newest(read, &change.kv.key, |now| now.to_key_value())?.transpose();
    }
    match change.previous {
        Some(previous) => mvcc::version(read, &change.kv.key, previous),
        None => Ok(None),
    }
}
