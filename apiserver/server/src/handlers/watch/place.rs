//! A watch's place in history.
//!
//! In: pulls. Out: the next changes that the watch sees, from the cache while it remembers them, else from the store.

use std::sync::Arc;

use keelson_api_registry::status::ApiError;
use keelson_store::Store;
use keelson_store_core::{command::KeyRange, id::Revision};
use tokio::sync::watch;

use super::history::History;
use crate::{
    cache::{CacheEvent, CachedObject, EventType, Pulled, Shard},
    selection::Selection,
};

/// Where a watch stands.
pub(super) struct Place {
    store: Store,
    shard: Arc<Shard>,
    range: KeyRange,
    selection: Selection,
    /// Everything up to here has been seen.
    cursor: Revision,
    /// In use while the watch is behind the cache's memory.
    history: Option<History>,
}

/// What a watch sees next.
pub(super) struct Seen {
    /// In the order of revisions, each revision whole.
    pub(super) events: Vec<(EventType, Arc<CacheEvent>)>,
    /// Whether there may be more at once.
    pub(super) more: bool,
}

impl Place {
    pub(super) fn new(store: Store, shard: Arc<Shard>, range: KeyRange, selection: Selection) -> Self {
        Self { store, shard, range, selection, cursor: Revision::ZERO, history: None }
    }

    /// Up to where everything has been seen.
    pub(super) fn cursor(&self) -> Revision {
        self.cursor
    }

    /// Stands after `revision`.
    pub(super) fn move_to(&mut self, revision: Revision) {
        self.cursor = revision;
    }

    /// Stands where the shard is now.
    pub(super) fn move_to_now(&mut self) {
        self.cursor = self.shard.revision();
    }

    /// Everything there is, and stands after it.
    ///
    /// # Errors
    /// 500 when an object cannot be read.
    pub(super) fn take_all(&mut self) -> Result<Vec<Arc<CachedObject>>, ApiError> {
        let snapshot = self.shard.snapshot(&self.range)?;
        self.cursor = snapshot.revision;
        Ok(snapshot.objects.into_iter().filter(|object| self.selection.matches(object)).collect())
    }

    /// Follows the revision of the shard's last change.
    pub(super) fn changes(&self) -> watch::Receiver<Revision> {
        self.shard.changes()
    }

    /// What comes next, and stands after it.
    ///
    /// # Errors
    /// 410 when it has been forgotten everywhere; 503 and 500 from the store.
    pub(super) async fn pull(&mut self) -> Result<Seen, ApiError> {
        let before = self.cursor;
        let (events, through) = match self.shard.pull(before, &self.range) {
            Pulled::Events { events, through } => {
                self.history = None;
                (events, through)
            }
            Pulled::Forgotten => self.history().await?.next()?,
        };
        self.cursor = through;
        let seen = |event: Arc<CacheEvent>| Some((event.seen_through(&self.selection)?, event));
        let events: Vec<_> = events.into_iter().filter_map(seen).collect();
        Ok(Seen { events, more: through < self.shard.revision() })
    }

    async fn history(&mut self) -> Result<&mut History, ApiError> {
        if self.history.is_none() {
            let resource = self.shard.resource();
            let history = History::after(&self.store, resource, &self.range, self.cursor).await?;
            self.history = Some(history);
        }
        Ok(self.history.as_mut().expect("it was just put there"))
    }
}
