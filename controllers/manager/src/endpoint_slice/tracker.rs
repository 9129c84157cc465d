//! Whether the cache has caught up with what was written.
//!
//! In: what the server answered to each write, and every change of the cache. Out: whether the cached slices of an
//! owner are older than these writes. Slices are named by the server, so whoever plans on a cache that does not show
//! his last creations creates them again. Deliberately absent: certainty. A slice that was deleted by somebody else
//! before its creation was answered is never seen, so after [`PATIENCE`] a write counts as seen; what is then done
//! twice is undone by the next plan.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use keelson_controller_runtime::{Change, ObjectKey};
use tokio::time::Instant;

/// How long a write is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was written and has not been seen.
#[derive(Default)]
pub(crate) struct Tracker {
    owners: Mutex<HashMap<ObjectKey, Unseen>>,
}

/// Of the slices of one owner.
#[derive(Default)]
struct Unseen {
    by_uid: HashMap<String, (Write, Instant)>,
    /// Somebody wants to plan as soon as everything has been seen.
    is_awaited: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Generation(i64),
    Deletion,
}

impl Tracker {
    /// The server has accepted this slice, as it answered.
    pub(crate) fn wrote(&self, owner: &ObjectKey, slice: &EndpointSlice, now: Instant) {
        self.note(owner, slice, Write::Generation(generation(slice)), now);
    }

    /// The server has deleted this slice.
    pub(crate) fn deleted(&self, owner: &ObjectKey, slice: &EndpointSlice, now: Instant) {
        self.note(owner, slice, Write::Deletion, now);
    }

    fn note(&self, owner: &ObjectKey, slice: &EndpointSlice, write: Write, now: Instant) {
        self.owners().entry(owner.clone()).or_default().by_uid.insert(uid(slice), (write, now));
    }

    /// Whether these cached slices of an owner show all that was written. If not, [`seen`](Self::seen) will say when
    /// to try again.
    pub(crate) fn is_current(&self, owner: &ObjectKey, cached: &[Arc<EndpointSlice>], now: Instant) -> bool {
        let mut owners = self.owners();
        let Some(unseen) = owners.get_mut(owner) else { return true };
        let cached: HashMap<String, i64> =
            cached.iter().map(|slice| (uid(slice), generation(slice))).collect();
        unseen.by_uid.retain(|uid, (write, at)| {
            let is_seen = match *write {
                Write::Generation(written) => cached.get(uid).is_some_and(|cached| *cached >= written),
                Write::Deletion => !cached.contains_key(uid),
            };
            !is_seen && now < *at + PATIENCE
        });
        unseen.is_awaited = !unseen.by_uid.is_empty();
        !unseen.is_awaited
    }

    /// Takes note of a change in the cache; whether the slices have to be planned anew, because somebody else made the
    /// change, or because it was the last that somebody waited for.
    pub(crate) fn seen(&self, owner: &ObjectKey, change: &Change<EndpointSlice>) -> bool {
        let mut owners = self.owners();
        let Some(unseen) = owners.get_mut(owner) else { return true };
        let is_ours = unseen.see(change);
        if !unseen.by_uid.is_empty() {
            return !is_ours;
        }
        let is_awaited = unseen.is_awaited;
        owners.remove(owner);
        !is_ours || is_awaited
    }

    /// Forgets an owner that is gone.
    pub(crate) fn forget(&self, owner: &ObjectKey) {
        self.owners().remove(owner);
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<ObjectKey, Unseen>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unseen {
    /// Whether the change is, or came before, one of ours.
    fn see(&mut self, change: &Change<EndpointSlice>) -> bool {
        let (slice, is_deletion) = match change {
            Change::Added(slice) | Change::Updated { new: slice, .. } => (slice, false),
            Change::Deleted(slice) => (slice, true),
        };
        let write = self.by_uid.get(&uid(slice)).map(|(write, _)| *write);
        match write {
            None => false,
            Some(Write::Deletion) if !is_deletion => true,
            Some(Write::Generation(written)) if !is_deletion && generation(slice) < written => true,
            Some(write) => {
                self.by_uid.remove(&uid(slice));
                match write {
                    Write::Deletion => true,
                    Write::Generation(written) => !is_deletion && generation(slice) == written,
                }
            }
        }
    }
}

fn uid(slice: &EndpointSlice) -> String {
    slice.metadata.uid.clone().unwrap_or_default()
}

fn generation(slice: &EndpointSlice) -> i64 {
    slice.metadata.generation.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(uid: &str, generation: i64) -> Arc<EndpointSlice> {
        let mut slice = EndpointSlice::default();
        slice.metadata.uid = Some(uid.into());
        slice.metadata.generation = Some(generation);
        Arc::new(slice)
    }

    fn updated(new: &Arc<EndpointSlice>) -> Change<EndpointSlice> {
        Change::Updated { old: slice("a", 0), new: Arc::clone(new) }
    }

    fn owner() -> ObjectKey {
        ObjectKey::new("shop", "web")
    }

    #[test]
    fn a_creation_is_waited_for() {
        let (tracker, now) = (Tracker::default(), Instant::now());
        assert!(tracker.is_current(&owner(), &[], now));
        tracker.wrote(&owner(), &slice("a", 1), now);
        assert!(!tracker.is_current(&owner(), &[], now));
        assert!(tracker.seen(&owner(), &Change::Added(slice("a", 1))), "somebody waits for it");
        assert!(tracker.is_current(&owner(), &[slice("a", 1)], now));
    }

    #[test]
    fn ones_own_writes_are_no_reason_to_plan_anew() {
        let (tracker, now) = (Tracker::default(), Instant::now());
        tracker.wrote(&owner(), &slice("a", 1), now);
        tracker.wrote(&owner(), &slice("a", 2), now);
        assert!(!tracker.seen(&owner(), &Change::Added(slice("a", 1))));
        assert!(!tracker.seen(&owner(), &updated(&slice("a", 2))));
        tracker.deleted(&owner(), &slice("a", 2), now);
        assert!(!tracker.is_current(&owner(), &[slice("a", 2)], now));
        assert!(tracker.seen(&owner(), &Change::Deleted(slice("a", 2))), "somebody waits for it");
        assert!(tracker.is_current(&owner(), &[], now));
    }

    #[test]
    fn what_others_write_is_a_reason() {
        let (tracker, now) = (Tracker::default(), Instant::now());
        assert!(tracker.seen(&owner(), &updated(&slice("a", 7))));
        tracker.wrote(&owner(), &slice("a", 8), now);
        assert!(tracker.seen(&owner(), &updated(&slice("a", 9))), "it covers what was written");
        tracker.wrote(&owner(), &slice("a", 10), now);
        assert!(tracker.seen(&owner(), &Change::Deleted(slice("a", 10))));
        assert!(tracker.is_current(&owner(), &[], now));
    }

    #[test]
    fn what_never_shows_does_not_hold_things_up_for_ever() {
        let (tracker, now) = (Tracker::default(), Instant::now());
        tracker.wrote(&owner(), &slice("a", 1), now);
        assert!(!tracker.is_current(&owner(), &[], now + PATIENCE / 2));
        assert!(tracker.is_current(&owner(), &[], now + PATIENCE));
    }
}
