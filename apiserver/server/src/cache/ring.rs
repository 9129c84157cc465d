//! The recent changes of one resource.

use std::{collections::VecDeque, sync::Arc};

use keelson_store_core::id::Revision;

use super::CacheEvent;

/// The newest changes, bounded in number and bytes. Revisions are forgotten whole.
#[derive(Debug)]
pub(super) struct Ring {
    /// Every change after this revision is here.
    base: Revision,
    events: VecDeque<Remembered>,
    /// The sum of what the events counted for.
    bytes: usize,
    limits: Limits,
}

/// A change in the ring.
#[derive(Debug)]
struct Remembered {
    event: Arc<CacheEvent>,
    /// How large it was when it was taken in. Objects grow when somebody asks for their messages; what is given back must be
    /// what was counted.
    size: usize,
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
        let newest = self.events.back().map_or(self.base, Remembered::revision);
        debug_assert!(events.iter().all(|event| event.revision > newest), "revisions come in order");
        for event in events {
            let size = event.size();
            self.bytes += size;
            self.events.push_back(Remembered { event, size });
        }
        while self.events.len() > self.limits.events || self.bytes > self.limits.bytes {
            self.forget_oldest();
        }
    }

    /// The changes after `cursor`, oldest first. `None` when some of them have been forgotten.
    pub(super) fn after(&self, cursor: Revision) -> Option<impl Iterator<Item = &Arc<CacheEvent>>> {
        let start = self.events.partition_point(|remembered| remembered.revision() <= cursor);
        (cursor >= self.base).then(|| self.events.range(start..).map(|remembered| &remembered.event))
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.events.front().map(Remembered::revision) else { return };
        while self.events.front().is_some_and(|remembered| remembered.revision() == oldest) {
            self.bytes -= self.events.pop_front().map_or(0, |remembered| remembered.size);
        }
        self.base = oldest;
    }
}

impl Remembered {
    fn revision(&self) -> Revision {
        self.event.revision
    }
}
