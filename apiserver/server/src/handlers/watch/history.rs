//! Changes that the cache has forgotten, from the store.

use std::sync::Arc;

use keelson_api_registry::{resources::ResourceInfo, status::ApiError};
use keelson_store::{
    Store,
    watch::{WatchError, Watched, Watcher},
};
use keelson_store_core::{
    command::{KeyRange, KeyValue},
    id::Revision,
    watch::{Change, ChangeKind, Interest},
};

use crate::{
    answer::store_read_error,
    cache::{CacheEvent, CachedObject},
};

/// Reads the changes after a revision.
pub(super) struct History {
    resource: &'static ResourceInfo,
    watcher: Watcher,
    /// Everything up to here has been handed out.
    through: Revision,
}

impl History {
    /// The changes of a range after `cursor`, of objects that are stored under the entry `resource`.
    ///
    /// # Errors
    /// 503 and 500 from the store.
    pub(super) async fn after(
        store: &Store,
        resource: &'static ResourceInfo,
        range: &KeyRange,
        cursor: Revision,
    ) -> Result<Self, ApiError> {
        let interest = Interest::all_of(range.clone());
        let watcher = store.watch(interest, cursor.next()).await.map_err(store_read_error)?;
        Ok(Self { resource, watcher, through: cursor })
    }

    /// The next changes, and up to which revision nothing is left to see.
    ///
    /// # Errors
    /// 410 for what has been compacted away.
    pub(super) fn next(&mut self) -> Result<(Vec<Arc<CacheEvent>>, Revision), ApiError> {
        let changes = match self.watcher.poll().map_err(|end| self.ended(end))? {
            Watched::Changes(changes) => changes,
            Watched::Idle { progress } => {
                self.through = progress.unwrap_or(self.through);
                return Ok((Vec::new(), self.through));
            }
        };
        let mut events = Vec::new();
        for (revision, changes) in changes.revisions() {
            for change in changes {
                events.extend(self.event(revision, change)?);
            }
            self.through = revision;
        }
        Ok((events, self.through))
    }

    fn event(&self, revision: Revision, change: &Change) -> Result<Option<Arc<CacheEvent>>, ApiError> {
        let previous = match change.previous {
            None => None,
            Some(_) => {
                let found = self.watcher.previous(change).map_err(ApiError::internal)?;
                // It existed, so it has been swept away: what a selector would say of it cannot be known.
                Some(self.read(&found.ok_or_else(|| too_old(self.through, revision))?)?)
            }
        };
        let event = match (change.kind, previous) {
            (ChangeKind::Put, previous) => CacheEvent::put(self.read(&change.kv)?, previous),
            (ChangeKind::Delete, Some(previous)) => CacheEvent::delete(revision, previous),
            (ChangeKind::Delete, None) => return Ok(None),
        };
        Ok(Some(Arc::new(event)))
    }

    fn read(&self, kv: &KeyValue) -> Result<Arc<CachedObject>, ApiError> {
        CachedObject::read(self.resource, kv).map(Arc::new).map_err(ApiError::internal)
    }

    fn ended(&self, end: WatchError) -> ApiError {
        match end {
            WatchError::Compacted { compacted } => too_old(self.through, compacted),
            WatchError::Broken(error) => ApiError::internal(error),
        }
    }
}

/// 410: the changes after `revision` are gone up to `oldest`.
fn too_old(revision: Revision, oldest: Revision) -> ApiError {
    ApiError::expired(format!("too old resource version: {revision} ({oldest})"))
}
