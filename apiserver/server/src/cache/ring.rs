//! The recent changes of one resource.

use std::{collections::VecDeque, sync::Arc};

use keelson_store_core::id::Revision;

use super::CacheEvent;

/// The newest changes, bounded in number and bytes. Revisions are forgotten whole.
#[derive(Debug)]
pub(super) struct Ring {
    /// Every change after this revision is here.
    base: Revision,
    events: VecDeque<Arc<CacheEvent>>,
    bytes: usize,
    limits: Limits,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

impl Ring {
    /// Remembers nothing up to `base`.
    pub(super) const fn new(base: Revision, limits: Limits) -> Self {
        Self { base, events: VecDeque::new(), bytes: 0, limits }
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes in the changes of one revision, which is newer than all before.
    pub(super) fn push(&mut self, events: Vec<Arc<CacheEvent>>) {
        let newest = self.events.back().map_or(self.base, |event| event.revision);
        debug_assert!(events.iter().all(|event| event.revision > newest), "revisions come in order");
        self.bytes += events.iter().map(|event| event.size()).sum::<usize>();
        self.events.extend(events);
        while self.events.len() > self.limits.events || self.bytes > self.limits.bytes {
            self.forget_oldest();
        }
    }

    /// The changes after `cursor`, oldest first. `None` when some of them have been forgotten.
    pub(super) fn after(&self, cursor: Revision) -> Option<impl Iterator<Item = &Arc<CacheEvent>>> {
        let start = self.events.partition_point(|event| event.revision <= cursor);
        (cursor >= self.base).then(|| self.events.range(start..))
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.events.front().map(|event| event.revision) else { return };
        while let Some(event) = self.events.front().filter(|event| event.revision == oldest) {
            self.bytes -= event.size();
            self.events.pop_front();
        }
        self.base = oldest;
    }
}
