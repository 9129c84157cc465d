//! What one store holds: its durable image, and one image for every batch written since the last sync.
//!
//! In: batches, syncs, and how many unsynced batches a crash lets live. Out: images. An [`Image`] is seven
//! tree roots, so keeping one per batch is cheap, and a crash just picks one of them.

use std::collections::VecDeque;

use bytes::Bytes;

use super::tree::{Record, Tree};
use crate::engine::{Batch, EngineError, Family, Role, Write};

/// How many unsynced batches are kept apart. Past that the oldest becomes durable by itself, as in an engine
/// that writes out a full buffer without being asked; E4 allows it, and a long simulation stays small.
const MAX_UNSYNCED_BATCHES: usize = 4096;

/// All families of a store at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    /// Indexed by [`Family`] in the order of its declaration.
    trees: [Tree; Family::ALL.len()],
}

impl Image {
    /// The entries of one family.
    pub(super) fn tree(&self, family: Family) -> &Tree {
        &self.trees[family as usize]
    }

    /// Bytes of all keys and values.
    pub(super) fn bytes(&self) -> u64 {
        self.trees.iter().map(Tree::bytes).sum()
    }

    /// Sets one record, whatever its family.
    pub(super) fn put(&mut self, family: Family, key: Bytes, record: Record) {
        let tree = &mut self.trees[family as usize];
        *tree = tree.put(key, record);
    }

    /// This image after `batch`.
    pub(super) fn after(&self, batch: &Batch) -> Self {
        let mut next = self.clone();
        for write in &batch.writes {
            match write {
                Write::Put { family, key, value } => {
                    next.put(*family, key.clone(), Record::Intact(value.clone()));
                }
                Write::Delete { family, key } => {
                    let tree = &mut next.trees[*family as usize];
                    *tree = tree.remove(key);
                }
                Write::DeleteRange { family, start, end } => {
                    let tree = &mut next.trees[*family as usize];
                    *tree = tree.remove_range(start, end);
                }
            }
        }
        next
    }
}

/// One store on the disk, open or not.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) role: Role,
    durable: Image,
    /// The image after each batch since, oldest first.
    unsynced: VecDeque<Image>,
    /// True when it was opened from files that nobody had synced: a crash then leaves wreckage.
    pub(super) on_unsynced_files: bool,
    /// True when opening it finds damage.
    pub(super) damaged: bool,
}

impl Store {
    /// A store that holds `image` durably.
    pub(super) fn new(role: Role, image: Image) -> Self {
        Self { role, durable: image, unsynced: VecDeque::new(), on_unsynced_files: false, damaged: false }
    }

    /// A store of its own that holds, durably, what readers see of this one.
    pub(super) fn copy(&self) -> Self {
        Self { damaged: self.damaged, ..Self::new(self.role, self.current().clone()) }
    }

    /// What readers see.
    pub(super) fn current(&self) -> &Image {
        self.unsynced.back().unwrap_or(&self.durable)
    }

    /// Takes the state after another batch.
    pub(super) fn push(&mut self, image: Image) {
        self.unsynced.push_back(image);
        if self.unsynced.len() > MAX_UNSYNCED_BATCHES
            && let Some(oldest) = self.unsynced.pop_front()
        {
            self.durable = oldest;
        }
    }

    /// Makes what readers see durable.
    pub(super) fn sync(&mut self) {
        if let Some(newest) = self.unsynced.pop_back() {
            self.durable = newest;
            self.unsynced.clear();
        }
    }

    /// Batches that a crash may lose.
    pub(super) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// Loses all unsynced batches but the first `survivors`.
    pub(super) fn crash(&mut self, survivors: usize) {
        self.unsynced.truncate(survivors);
        self.sync();
        self.damaged |= self.on_unsynced_files;
    }

    /// Spoils one record in every image that has it. True when there was one.
    pub(super) fn damage(&mut self, family: Family, key: &[u8]) -> bool {
        let mut found = false;
        for image in std::iter::once(&mut self.durable).chain(&mut self.unsynced) {
            if image.tree(family).get(key).is_some() {
                image.put(family, Bytes::copy_from_slice(key), Record::Damaged);
                found = true;
            }
        }
        found
    }
}

/// Refuses a family that a store of this role does not have.
pub(super) fn check_family(role: Role, family: Family) -> Result<(), EngineError> {
    if family.role() == role {
        return Ok(());
    }
    let what = format!("access to family {}", family.name());
    Err(EngineError::Io { what, cause: format!("a {role:?} store has no such family") })
}
