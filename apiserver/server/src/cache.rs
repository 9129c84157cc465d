//! What lists and watches are answered from: every object in memory, as bytes that are ready to be sent.
//!
//! In: what this replica's store applies, through one watcher per stored resource. Out: snapshots at a revision,
//! and recent changes with what they replaced.
//!
//! * **C1** A shard's objects are exactly those of the store at its revision, and that revision never goes back.
//! * **C2** A reader that knows a revision of the store waits until the shard has it ([`Shard::wait_until`]); so a
//!   read that began with the store's read index is linearizable.
//! * **C3** Changes come in the order of revisions, each once, and those of one revision together. What is no
//!   longer remembered is read from the store.
//! * **C4** Readers pull. There are no buffers per watcher, so a slow one costs nobody anything.
//!
//! There is no lock over all resources: a shard has its own, which nobody holds across an `await`.

use std::{collections::BTreeMap, sync::Arc};

use keelson_api_registry::resources::{RESOURCES, ResourceInfo, Storage};
use keelson_store::{Store, runtime};
use keelson_store_core::id::Revision;
use tokio::task::JoinHandle;

mod event;
mod feed;
mod object;
mod ring;
mod shard;

pub(crate) use event::line;
pub use event::{CacheEvent, EventType};
pub use object::CachedObject;
pub use shard::{Pulled, Shard, Snapshot};

/// One shard for each resource that is stored.
pub(crate) struct Cache {
    shards: BTreeMap<&'static str, Arc<Shard>>,
    feeds: Vec<JoinHandle<()>>,
}

impl Cache {
    /// Starts a shard for each entry of the table. Must be called inside [`runtime::seeded`].
    pub(crate) fn start(store: &Store) -> Self {
        let stored = RESOURCES.iter().filter_map(|resource| match resource.storage {
            Storage::Stored(prefix) => Some((prefix, Arc::new(Shard::new(resource, prefix)))),
            Storage::Converted { .. } | Storage::Question => None,
        });
        let shards: BTreeMap<_, _> = stored.collect();
        let feed = |shard: &Arc<Shard>| runtime::spawn(feed::run(store.clone(), shard.clone()));
        let feeds = shards.values().map(feed).collect();
        Self { shards, feeds }
    }

    /// Where a resource's objects are; `None` for one that is not stored.
    pub(crate) fn shard(&self, resource: &ResourceInfo) -> Option<&Arc<Shard>> {
        match resource.storage {
            Storage::Stored(prefix) | Storage::Converted { prefix, .. } => self.shards.get(prefix),
            Storage::Question => None,
        }
    }

    /// The prefixes of the shards that are not filled yet.
    pub(crate) fn warming(&self) -> Vec<&'static str> {
        let cold = |(_, shard): &(&&'static str, &Arc<Shard>)| shard.revision() == Revision::ZERO;
        self.shards.iter().filter(cold).map(|(prefix, _)| *prefix).collect()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.feeds.iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests;
