//! Objects that several informers of one process keep, kept once.
//!
//! In: an object as an informer has read it. Out: the same object, or the one that another informer keeps already and
//! that says the same in everything. Whether they are the same is looked at, not concluded from versions, so nobody has
//! to trust anybody; who keeps none of them is not kept waiting. Deliberately absent: objects without a uid.

use std::collections::HashMap;
use std::fmt::{Debug, Formatter};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use kube::Resource;

/// Clones are the same pool.
pub struct Pool<K> {
    known: Arc<Mutex<Known<K>>>,
    hasher: RandomState,
    same: fn(&K, &K) -> bool,
}

/// The newest of each object, by the hash of its uid. Two that have the same hash are in turn not shared, no more.
type Known<K> = HashMap<u64, Weak<K>>;

impl<K: PartialEq> Default for Pool<K> {
    fn default() -> Self {
        Self { known: Arc::default(), hasher: RandomState::new(), same: K::eq }
    }
}

impl<K: Resource> Pool<K> {
    pub(super) fn share(&self, object: K) -> Arc<K> {
        let Some(place) = self.place(&object) else { return Arc::new(object) };
        let known = self.known().get(&place).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| (self.same)(known, &object)) {
            return known;
        }
        let object = Arc::new(object);
        self.known().insert(place, Arc::downgrade(&object));
        object
    }

    /// One of the informers keeps it no more, and the others soon.
    pub(super) fn forget(&self, object: &K) {
        if let Some(place) = self.place(object) {
            self.known().remove(&place);
        }
    }

    fn place(&self, object: &K) -> Option<u64> {
        object.meta().uid.as_deref().map(|uid| self.hasher.hash_one(uid))
    }
}

impl<K> Pool<K> {
    /// Forgets what nobody keeps. What is only forgotten when it is seen again would hold its room until then.
    pub(super) fn sweep(&self) {
        let mut known = self.known();
        known.retain(|_, object| object.strong_count() > 0);
        known.shrink_to_fit();
    }

    fn known(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Clone for Pool<K> {
    fn clone(&self) -> Self {
        Self { known: Arc::clone(&self.known), hasher: self.hasher.clone(), same: self.same }
    }
}

impl<K> Debug for Pool<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("known", &self.known().len()).finish_non_exhaustive()
    }
}
