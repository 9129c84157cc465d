//! One change of one object, as watches tell it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use keelson_store_core::id::Revision;

use super::CachedObject;
use crate::selection::Selection;

/// What a watch says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// It is there, or it now matches.
    Added,
    /// It has changed, and matched before.
    Modified,
    /// It is gone, or no longer matches.
    Deleted,
}

/// One change of one object.
#[derive(Debug)]
pub struct CacheEvent {
    /// The revision that made it.
    pub revision: Revision,
    change: Change,
    /// The whole line for each way in which the change is told, made at first use and shared by all watches.
    lines: [OnceLock<Bytes>; 3],
}

#[derive(Debug)]
enum Change {
    Put { object: Arc<CachedObject>, previous: Option<Arc<CachedObject>> },
    Delete { previous: Arc<CachedObject> },
}

impl CacheEvent {
    /// An object was written.
    pub(crate) fn put(object: Arc<CachedObject>, previous: Option<Arc<CachedObject>>) -> Self {
        let revision = object.revision;
        Self { revision, change: Change::Put { object, previous }, lines: Default::default() }
    }

    /// An object was deleted; it had been `previous`.
    pub(crate) fn delete(revision: Revision, previous: Arc<CachedObject>) -> Self {
        Self { revision, change: Change::Delete { previous }, lines: Default::default() }
    }

    /// The key of the object.
    pub fn key(&self) -> &Bytes {
        match &self.change {
            Change::Put { object, .. } => &object.key,
            Change::Delete { previous } => &previous.key,
        }
    }

    /// The object as it is now; `None` when it is gone.
    pub(crate) const fn current(&self) -> Option<&Arc<CachedObject>> {
        match &self.change {
            Change::Put { object, .. } => Some(object),
            Change::Delete { .. } => None,
        }
    }

    /// What a watch with this selection says of it: an object that comes to match is added, one that no longer
    /// matches is deleted.
    pub fn seen_through(&self, selection: &Selection) -> Option<EventType> {
        let matches = |object: &Arc<CachedObject>| selection.matches(object);
        let (before, after) = match &self.change {
            Change::Put { object, previous } => (previous.as_ref().is_some_and(matches), matches(object)),
            Change::Delete { previous } => (matches(previous), false),
        };
        match (before, after) {
            (false, false) => None,
            (false, true) => Some(EventType::Added),
            (true, true) => Some(EventType::Modified),
            (true, false) => Some(EventType::Deleted),
        }
    }

    /// The object that the watch shows: what it is now, or the last that a watch with this selection knew of it,
    /// with the revision at which it went.
    pub fn shown(&self, kind: EventType) -> Arc<CachedObject> {
        match (kind, &self.change) {
            (EventType::Added | EventType::Modified, Change::Put { object, .. }) => object.clone(),
            (EventType::Deleted, Change::Put { object, previous }) => {
                Arc::new(previous.as_ref().unwrap_or(object).deleted_at(self.revision))
            }
            (_, Change::Delete { previous }) => Arc::new(previous.deleted_at(self.revision)),
        }
    }

    /// The line of a JSON watch in the storage version.
    pub fn line(&self, kind: EventType) -> Bytes {
        let slot = match kind {
            EventType::Added => &self.lines[0],
            EventType::Modified => &self.lines[1],
            EventType::Deleted => &self.lines[2],
        };
        slot.get_or_init(|| kind.line(self.shown(kind).json())).clone()
    }

    /// Roughly how many bytes it keeps in memory.
    pub(crate) fn size(&self) -> usize {
        let previous_size = |previous: &Arc<CachedObject>| previous.size();
        size_of::<Self>()
            + match &self.change {
                Change::Put { object, previous } => {
                    object.size() + previous.as_ref().map_or(0, previous_size)
                }
                Change::Delete { previous } => previous_size(previous),
            }
    }
}

impl EventType {
    /// The wire's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }

    /// The line of a watch that shows this JSON.
    pub fn line(self, json: &[u8]) -> Bytes {
        line(self.name(), json)
    }
}

/// One line of a watch: an object with `type` and `object`.
pub(crate) fn line(kind: &str, json: &[u8]) -> Bytes {
    [b"{\"type\":\"", kind.as_bytes(), b"\",\"object\":", json, b"}\n"].concat().into()
}
