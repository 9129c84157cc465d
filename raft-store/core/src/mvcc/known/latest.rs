//! The newest versions of the keys that were changed lately, in memory.
//!
//! In: the changes of every revision. Out: of a key what a put or a compare has to know of it, without a
//! search in the engine, which costs more than all the rest of a put's work on the state. A key that is not remembered is
//! looked up there.
//!
//! Deliberately absent: values, which reads take from the engine; keys that were only read; any say in what is true. What
//! is remembered is what the engine would answer, so nothing depends on what was forgotten (A3).

mod generation;

use std::hash::{BuildHasher as _, RandomState};

use crate::{
    id::{ChangeId, LeaseId, Revision},
    schema::ChangeKind,
    watch::{Change, RevisionChanges},
};

use crate::mvcc::Visible;
use generation::{Generation, Salt};

/// What all remembered keys together may take, bytes: some 500,000 keys of the usual length.
const CAPACITY: usize = 32 << 20;

/// A version of a key, without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The change that made it.
    pub(crate) id: ChangeId,
    /// The revision that created the key.
    pub(crate) create_revision: Revision,
    /// How often the key was written since then.
    pub(crate) version: u64,
    /// The lease it hangs on.
    pub(crate) lease: LeaseId,
}

impl From<&Visible<'_>> for Head {
    fn from(visible: &Visible<'_>) -> Self {
        let Visible { id, create_revision, version, lease, .. } = *visible;
        Self { id, create_revision, version, lease }
    }
}

/// Two generations: when the young one has its share, the one before it is forgotten.
pub(crate) struct Latest {
    salt: Salt,
    capacity: usize,
    young: Generation,
    old: Generation,
}

impl Default for Latest {
    fn default() -> Self {
        Self::of(CAPACITY)
    }
}

impl Latest {
    fn of(capacity: usize) -> Self {
        let salt = Salt(RandomState::new().hash_one(capacity));
        Self { salt, capacity, young: Generation::default(), old: Generation::default() }
    }

    /// The newest version of a key, if it is remembered; inside, `None` where the key does not exist.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Head>> {
        let hash = self.salt.hash(key);
        self.young.get(hash, key).or_else(|| self.old.get(hash, key))
    }

    /// Remembers what a revision has changed. All revisions come by, in order.
    pub(crate) fn take_in(&mut self, made: &RevisionChanges) {
        for (change, sub) in made.changes.iter().zip(0..) {
            let key = &change.kv.key;
            if self.young.bytes() + Generation::bytes_of(key.len()) > self.capacity / 2 {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.set(self.salt, key, head(ChangeId { revision: made.revision, sub }, change));
        }
    }
}

fn head(id: ChangeId, change: &Change) -> Option<Head> {
    let kv = &change.kv;
    match change.kind {
        ChangeKind::Put => {
            Some(Head { id, create_revision: kv.create_revision, version: kv.version, lease: kv.lease })
        }
        ChangeKind::Delete => None,
    }
}

#[cfg(test)]
mod tests;
