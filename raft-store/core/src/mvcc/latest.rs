//! The newest versions of the keys that were changed lately, in memory.
//!
//! In: the changes of every batch that was committed. Out: of a key what a put or a compare has to know of it, without a
//! search in the engine; that search was a fifth of what a put cost. A key that is not remembered is looked up there.
//!
//! Deliberately absent: values, which reads take from the engine; keys that were only read; any say in what is true. What
//! is remembered is what the engine would answer, so nothing depends on what was forgotten (A3).

use std::collections::HashMap;

use super::scan::Visible;
use crate::{
    id::{ChangeId, LeaseId, Revision},
    schema::ChangeKind,
    watch::{Change, RevisionChanges},
};

/// What all remembered keys together may take, bytes.
const CAPACITY: usize = 8 << 20;

/// About what a remembered key takes beside its own bytes.
const OVERHEAD: usize = size_of::<(Box<[u8]>, Option<Head>)>() + 16;

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

/// By key; `None` where it was deleted.
type Heads = HashMap<Box<[u8]>, Option<Head>>;

/// Two generations: when the young one has its share, the one before it is forgotten.
pub(crate) struct Latest {
    capacity: usize,
    young: Heads,
    /// About what `young` takes, bytes.
    young_bytes: usize,
    old: Heads,
}

impl Default for Latest {
    fn default() -> Self {
        Self::of(CAPACITY)
    }
}

impl Latest {
    fn of(capacity: usize) -> Self {
        Self { capacity, young: Heads::new(), young_bytes: 0, old: Heads::new() }
    }

    /// The newest version of a key, if it is remembered; inside, `None` where the key does not exist.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Head>> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    /// Remembers what a revision has changed. All revisions come by, in order.
    pub(crate) fn take_in(&mut self, made: &RevisionChanges) {
        for (change, sub) in made.changes.iter().zip(0..) {
            self.set(&change.kv.key, head(ChangeId { revision: made.revision, sub }, change));
        }
    }

    fn set(&mut self, key: &[u8], head: Option<Head>) {
        if let Some(known) = self.young.get_mut(key) {
            *known = head;
            return;
        }
        self.young_bytes += key.len() + OVERHEAD;
        if self.young_bytes > self.capacity / 2 {
            self.young_bytes = key.len() + OVERHEAD;
            self.old = std::mem::take(&mut self.young);
        }
        // The key is a part of a whole entry of the log, which must not stay for its sake.
        self.young.insert(key.into(), head);
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
