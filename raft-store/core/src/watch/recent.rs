//! The window of recent changes: consecutive revisions up to the newest, bounded in bytes.

use std::{collections::VecDeque, sync::Arc};

use super::RevisionChanges;
use crate::id::Revision;

/// The window.
#[derive(Debug)]
pub(super) struct Recent {
    revisions: VecDeque<Arc<RevisionChanges>>,
    bytes: usize,
    max_bytes: usize,
}

impl Recent {
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self { revisions: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// The oldest revision in the window.
    pub(super) fn first(&self) -> Option<Revision> {
        self.revisions.front().map(|first| first.revision)
    }

    /// The revisions from `from` on, which is in the window or right after it.
    pub(super) fn since(&self, from: Revision) -> impl Iterator<Item = &Arc<RevisionChanges>> {
        // Revisions follow each other without a gap, so that a place can be reckoned.
        let first = self.first().unwrap_or(from);
        let skip = usize::try_from(from.get() - first.get()).unwrap_or(usize::MAX);
        self.revisions.iter().skip(skip)
    }

    /// Adds the revision after the last one, and drops the oldest ones when they take too much.
    pub(super) fn push(&mut self, revision: Arc<RevisionChanges>) {
        self.bytes += revision.size();
        self.revisions.push_back(revision);
        while self.bytes > self.max_bytes {
            self.drop_first();
        }
    }

    /// Drops what nobody may ask for any more.
    pub(super) fn forget_below(&mut self, compacted: Revision) {
        while self.first().is_some_and(|first| first < compacted) {
            self.drop_first();
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.revisions.clear();
        self.bytes = 0;
    }

    fn drop_first(&mut self) {
        if let Some(dropped) = self.revisions.pop_front() {
            self.bytes -= dropped.size();
        }
    }
}
