//! The objects of one resource, and their recent changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use bytes::Bytes;
use keelson_api_registry::{resources::ResourceInfo, status::ApiError};
use keelson_store_core::{
    command::{KeyRange, KeyValue},
    id::Revision,
    watch::{Change, ChangeKind},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    CacheEvent, CachedObject,
    ring::{Limits, Ring},
};
use crate::storage;

/// How much history a shard keeps in memory; what is older is read from the store.
const HISTORY: Limits = Limits { events: 4096, bytes: 8 << 20 };
/// How many changes one pull looks through: a watch that is far behind takes turns with the others.
const EVENTS_PER_PULL: usize = 512;
/// How long a read waits for a cache that is being filled.
const PATIENCE: Duration = Duration::from_secs(10);

/// The objects of one resource.
pub struct Shard {
    resource: &'static ResourceInfo,
    range: KeyRange,
    state: RwLock<State>,
    /// The state's revision, for those who wait for one; 0 until the shard is filled.
    progress: watch::Sender<Revision>,
    /// The revision of the last change.
    changes: watch::Sender<Revision>,
    /// Asks the feed to look at once.
    poke: Notify,
}

#[derive(Debug)]
struct State {
    contents: Contents,
    ring: Ring,
    /// The contents are those of the store at this revision.
    revision: Revision,
    /// The last revision that changed one; after a fill the revision of that.
    changed: Revision,
}

/// What is stored, by key.
#[derive(Debug, Default)]
pub(super) struct Contents {
    objects: BTreeMap<Bytes, Arc<CachedObject>>,
    /// What cannot be read, and why.
    unreadable: BTreeMap<Bytes, String>,
}

/// The objects of a range at a revision.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision.
    pub revision: Revision,
    /// The last revision that changed any object of the resource, as far as that is remembered.
    pub changed: Revision,
    /// In the order of keys.
    pub objects: Vec<Arc<CachedObject>>,
}

/// What a watch finds when it pulls.
#[derive(Debug)]
pub enum Pulled {
    /// The next changes, oldest first, revisions whole; perhaps none.
    Events {
        /// The changes of the range.
        events: Vec<Arc<CacheEvent>>,
        /// Nothing up to here is left to see.
        through: Revision,
    },
    /// Some of the changes are no longer in memory; the store has them.
    Forgotten,
}

impl Shard {
    pub(super) fn new(resource: &'static ResourceInfo, prefix: &str) -> Self {
        Self::with_history(resource, prefix, HISTORY)
    }

    pub(super) fn with_history(resource: &'static ResourceInfo, prefix: &str, history: Limits) -> Self {
        let state = State {
            contents: Contents::default(),
            ring: Ring::new(Revision::ZERO, history),
            revision: Revision::ZERO,
            changed: Revision::ZERO,
        };
        Self {
            resource,
            range: storage::within(&storage::root(prefix)),
            state: RwLock::new(state),
            progress: watch::Sender::new(Revision::ZERO),
            changes: watch::Sender::new(Revision::ZERO),
            poke: Notify::new(),
        }
    }

    /// The entry under which its objects are stored.
    pub fn resource(&self) -> &'static ResourceInfo {
        self.resource
    }

    /// Up to which revision of the store its objects are complete; 0 until it is filled.
    pub fn revision(&self) -> Revision {
        *self.progress.borrow()
    }

    /// Follows the revision of the last change.
    pub fn changes(&self) -> watch::Receiver<Revision> {
        self.changes.subscribe()
    }

    /// Returns when the shard has everything up to `revision`.
    ///
    /// # Errors
    /// 503 when that takes too long: the cache is being filled.
    pub async fn wait_until(&self, revision: Revision) -> Result<(), ApiError> {
        let mut progress = self.progress.subscribe();
        if *progress.borrow() >= revision {
            return Ok(());
        }
        self.poke.notify_one();
        match timeout(PATIENCE, progress.wait_for(|progress| *progress >= revision)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                let why = format!("the cache of {} is being filled", self.resource.qualified());
                Err(ApiError::unavailable(why))
            }
        }
    }

    /// The objects of a range, as they are now.
    ///
    /// # Errors
    /// 500 when one of them cannot be read: a list without it would be a lie.
    pub fn snapshot(&self, range: &KeyRange) -> Result<Snapshot, ApiError> {
        let state = self.read();
        if let Some((key, why)) = state.contents.unreadable.iter().find(|(key, _)| range.contains(key)) {
            return Err(unreadable(key, why));
        }
        let (start, end) = range.span();
        let objects = match end {
            Some(end) if end <= start => Vec::new(),
            Some(end) => state.contents.objects.range(start..end).map(|(_, object)| object.clone()).collect(),
            None => state.contents.objects.range(start..).map(|(_, object)| object.clone()).collect(),
        };
        Ok(Snapshot { revision: state.revision, changed: state.changed, objects })
    }

    /// One object, and the revision of the answer.
    ///
    /// # Errors
    /// 500 when it is there and cannot be read.
    pub fn find(&self, key: &[u8]) -> Result<(Option<Arc<CachedObject>>, Revision), ApiError> {
        let state = self.read();
        match state.contents.unreadable.get_key_value(key) {
            Some((key, why)) => Err(unreadable(key, why)),
            None => Ok((state.contents.objects.get(key).cloned(), state.revision)),
        }
    }

    /// Every object that can be read.
    pub fn all(&self) -> Vec<Arc<CachedObject>> {
        self.read().contents.objects.values().cloned().collect()
    }

    /// One object, where it can be read.
    pub fn object(&self, key: &[u8]) -> Option<Arc<CachedObject>> {
        self.read().contents.objects.get(key).cloned()
    }

    /// The next changes of a range after `cursor`.
    pub fn pull(&self, cursor: Revision, range: &KeyRange) -> Pulled {
        let state = self.read();
        let Some(mut after) = state.ring.after(cursor).map(Iterator::peekable) else {
            return Pulled::Forgotten;
        };
        let mut events = Vec::new();
        let mut seen = 0;
        let mut through = cursor;
        while let Some(event) = after.peek() {
            if seen >= EVENTS_PER_PULL && event.revision > through {
                return Pulled::Events { events, through };
            }
            seen += 1;
            through = event.revision;
            if range.contains(event.key()) {
                events.push(Arc::clone(event));
            }
            after.next();
        }
        Pulled::Events { events, through: state.revision.max(cursor) }
    }

    /// All keys that it has objects of.
    pub(super) fn range(&self) -> &KeyRange {
        &self.range
    }

    /// Waits until somebody wants the feed to look.
    pub(super) async fn poked(&self) {
        self.poke.notified().await;
    }

    /// Begins anew with what the store has at `revision`. Changes up to there are not remembered.
    pub(super) fn fill(&self, contents: Contents, revision: Revision) {
        let mut state = self.write();
        debug_assert!(revision >= state.revision, "the store does not go back");
        state.contents = contents;
        state.ring = Ring::new(revision, state.ring.limits());
        (state.revision, state.changed) = (revision, revision);
        drop(state);
        self.changes.send_replace(revision);
        self.progress.send_replace(revision);
    }

    /// Takes in what the next revisions have changed, oldest first.
    pub(super) fn apply(&self, revisions: &[(Revision, Vec<&Change>)]) {
        let Some(newest) = revisions.last().map(|(revision, _)| *revision) else { return };
        let mut state = self.write();
        for (revision, changes) in revisions {
            debug_assert!(*revision > state.revision, "revisions come in order");
            let events =
                changes.iter().filter_map(|change| state.contents.change(self.resource, *revision, change));
            let events = events.map(Arc::new).collect();
            state.ring.push(events);
            (state.revision, state.changed) = (*revision, *revision);
        }
        drop(state);
        self.changes.send_replace(newest);
        self.progress.send_replace(newest);
    }

    /// Nothing that concerns this shard has happened up to `revision`.
    pub(super) fn advance(&self, revision: Revision) {
        let mut state = self.write();
        let revision = state.revision.max(revision);
        state.revision = revision;
        drop(state);
        self.progress.send_if_modified(|progress| std::mem::replace(progress, revision) != revision);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect(WHOLE)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect(WHOLE)
    }
}

/// A panic under the lock is a broken invariant of the cache: changes could be lost, so go no further.
const WHOLE: &str = "the shard is whole: nobody has panicked inside it";

impl Contents {
    /// Takes in what is stored under a key; answers what was known of it.
    ///
    /// What cannot be read is gone as far as watches can tell; lists say that they cannot be answered.
    pub(super) fn take(&mut self, resource: &'static ResourceInfo, kv: &KeyValue) -> Taken {
        match CachedObject::read(resource, kv) {
            Ok(object) => {
                let object = Arc::new(object);
                self.unreadable.remove(&kv.key);
                let previous = self.objects.insert(object.key.clone(), object.clone());
                Taken { object: Some(object), previous }
            }
            Err(error) => {
                tracing::error!(key = %String::from_utf8_lossy(&kv.key), %error, "an object cannot be read");
                self.unreadable.insert(kv.key.clone(), error.to_string());
                Taken { object: None, previous: self.objects.remove(&kv.key) }
            }
        }
    }

    fn change(
        &mut self,
        resource: &'static ResourceInfo,
        revision: Revision,
        change: &Change,
    ) -> Option<CacheEvent> {
        let taken = match change.kind {
            ChangeKind::Put => self.take(resource, &change.kv),
            ChangeKind::Delete => {
                self.unreadable.remove(&change.kv.key);
                Taken { object: None, previous: self.objects.remove(&change.kv.key) }
            }
        };
        match taken {
            Taken { object: Some(object), previous } => Some(CacheEvent::put(object, previous)),
            Taken { object: None, previous } => Some(CacheEvent::delete(revision, previous?)),
        }
    }
}

/// What a key holds now, and what it held.
pub(super) struct Taken {
    object: Option<Arc<CachedObject>>,
    previous: Option<Arc<CachedObject>>,
}

fn unreadable(key: &[u8], why: &str) -> ApiError {
    ApiError::internal(format!("{}: {why}", String::from_utf8_lossy(key)))
}
