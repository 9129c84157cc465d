//! A persistent ordered map: cloning one is free, and changing a clone leaves the others as they were.
//!
//! In: keys and records. Out: the neighbours of a key. It is a treap whose priorities are hashes of the keys,
//! so its shape depends on its contents alone and a simulation repeats itself exactly. A change copies the
//! path to the root, O(log n) expected, and shares the rest; views, unsynced states and checkpoints are then
//! all the same thing: a root.
//!
//! Deliberately absent: removal of single nodes in place, parent pointers, anything mutable.

use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The value as it was written.
    Intact(Bytes),
    /// The disk can no longer tell what was written.
    Damaged,
}

impl Record {
    fn bytes(&self) -> u64 {
        match self {
            Self::Intact(value) => value.len() as u64,
            Self::Damaged => 0,
        }
    }
}

/// One entry and what hangs below it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) key: Bytes,
    pub(super) record: Record,
    priority: u64,
    /// Keys and values of the whole subtree.
    bytes: u64,
    left: Tree,
    right: Tree,
}

/// The map; see the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree(Option<Arc<Node>>);

impl Tree {
    /// Sum of the lengths of all keys and values.
    pub(super) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |root| root.bytes)
    }

    /// The entry under `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<Node>> {
        self.first(|at| at >= key).filter(|node| node.key == key)
    }

    /// The first entry at or after `key`.
    pub(super) fn at_or_after(&self, key: &[u8]) -> Option<Arc<Node>> {
        self.first(|at| at >= key)
    }

    /// The first entry after `key`.
    pub(super) fn after(&self, key: &[u8]) -> Option<Arc<Node>> {
        self.first(|at| at > key)
    }

    /// The last entry at or before `key`.
    pub(super) fn at_or_before(&self, key: &[u8]) -> Option<Arc<Node>> {
        let mut best = None;
        let mut at = &self.0;
        while let Some(node) = at {
            if *node.key <= *key {
                best = Some(node);
                at = &node.right.0;
            } else {
                at = &node.left.0;
            }
        }
        best.cloned()
    }

    /// This map with `key` set to `record`.
    pub(super) fn put(&self, key: Bytes, record: Record) -> Self {
        let (below, above) = self.around(&key);
        let priority = xxh3_64(&key);
        let leaf = Self::node(key, record, priority, Self::default(), Self::default());
        below.join(&leaf).join(&above)
    }

    /// This map without `key`.
    pub(super) fn remove(&self, key: &[u8]) -> Self {
        let (below, above) = self.around(key);
        below.join(&above)
    }

    /// This map without the keys in `start..end`; unchanged when that range is empty or inverted.
    pub(super) fn remove_range(&self, start: &[u8], end: &[u8]) -> Self {
        if start >= end {
            return self.clone();
        }
        let (below, rest) = self.split(&|key| key < start);
        let (_, above) = rest.split(&|key| key < end);
        below.join(&above)
    }

    /// Calls `visit` for every entry, in order of keys.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&Node)) {
        if let Some(node) = &self.0 {
            node.left.visit(visit);
            visit(node);
            node.right.visit(visit);
        }
    }

    /// What lies below and above `key`, itself in neither.
    fn around(&self, key: &[u8]) -> (Self, Self) {
        let (below, rest) = self.split(&|at| at < key);
        let (_, above) = rest.split(&|at| at <= key);
        (below, above)
    }

    /// The first entry that `reached` holds for; it must hold for every key after that one too.
    fn first(&self, reached: impl Fn(&[u8]) -> bool) -> Option<Arc<Node>> {
        let mut best = None;
        let mut at = &self.0;
        while let Some(node) = at {
            if reached(&node.key) {
                best = Some(node);
                at = &node.left.0;
            } else {
                at = &node.right.0;
            }
        }
        best.cloned()
    }

    /// Parts the keys that `is_left` holds for, which must be the lowest, from the others.
    fn split(&self, is_left: &dyn Fn(&[u8]) -> bool) -> (Self, Self) {
        let Some(node) = &self.0 else { return (Self::default(), Self::default()) };
        if is_left(&node.key) {
            let (left, right) = node.right.split(is_left);
            (node.with(node.left.clone(), left), right)
        } else {
            let (left, right) = node.left.split(is_left);
            (left, node.with(right, node.right.clone()))
        }
    }

    /// Puts two maps together; every key of `self` must be below every key of `above`.
    fn join(&self, above: &Self) -> Self {
        match (&self.0, &above.0) {
            (None, _) => above.clone(),
            (_, None) => self.clone(),
            (Some(low), Some(high)) if low.priority >= high.priority => {
                low.with(low.left.clone(), low.right.join(above))
            }
            (Some(_), Some(high)) => high.with(self.join(&high.left), high.right.clone()),
        }
    }

    fn node(key: Bytes, record: Record, priority: u64, left: Self, right: Self) -> Self {
        let bytes = key.len() as u64 + record.bytes() + left.bytes() + right.bytes();
        Self(Some(Arc::new(Node { key, record, priority, bytes, left, right })))
    }
}

impl Node {
    /// This entry with other entries below it.
    fn with(&self, left: Tree, right: Tree) -> Tree {
        Tree::node(self.key.clone(), self.record.clone(), self.priority, left, right)
    }
}
