//! Everything that happens in a run, as one number.
//!
//! In: events, in the order in which they happen. Out: their hash, which two runs of a seed must share, and for
//! whoever looks for the first difference the events themselves.

use std::{
    hash::Hash as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use crate::Node;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Bytes came out of a connection.
    Delivered {
        /// Who sent them.
        from: Node,
        /// Who read them.
        to: Node,
        /// Their hash.
        digest: u64,
    },
    /// A batch reached a disk's memory.
    Wrote {
        /// The replica.
        replica: Node,
        /// How many changes it has.
        changes: usize,
    },
    /// A replica has applied the log up to an entry.
    Applied {
        /// The replica.
        replica: Node,
        /// The entry's index.
        index: u64,
        /// The rolling hash after it.
        hash: u64,
    },
    /// A replica came or went, or a fault struck.
    Told(String),
}

/// The record of one run. Clones share it.
#[derive(Clone)]
pub(crate) struct Trace {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    started: Instant,
    hash: Xxh3,
    count: u64,
    kept: Option<Vec<(u64, Event)>>,
}

impl Trace {
    /// An empty record that begins now. It keeps the events themselves if `keep` says so.
    pub(crate) fn new(keep: bool) -> Self {
        let kept = keep.then(Vec::new);
        let inner = Inner { started: Instant::now(), hash: Xxh3::new(), count: 0, kept };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Notes an event.
    pub(crate) fn note(&self, event: Event) {
        let mut inner = self.lock();
        let at = inner.now();
        at.hash(&mut inner.hash);
        event.hash(&mut inner.hash);
        inner.count += 1;
        if let Some(kept) = &mut inner.kept {
            kept.push((at, event));
        }
    }

    /// True time since the run began, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.lock().now()
    }

    /// The hash of all events so far, and how many they are.
    pub(crate) fn hash(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.hash.digest(), inner.count)
    }

    /// The events, if they are kept.
    pub(crate) fn take(&self) -> Vec<(u64, Event)> {
        self.lock().kept.take().unwrap_or_default()
    }

    /// A panic elsewhere is reported by whoever notices it; the record is whole all the same.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
