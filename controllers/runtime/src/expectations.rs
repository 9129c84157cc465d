//! What a controller has done that its cache may not show yet.
//!
//! In: how many objects a controller creates and which it deletes, and what its informer sees of that. Out: whether
//! the cache is recent enough to decide again. An expectation that nobody fulfils lapses after five minutes, so that
//! a lost event delays a controller but never stops it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::key::ObjectKey;

/// After this time an expectation counts as fulfilled.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The expectations of one controller, by the key of what it reconciles.
#[derive(Debug, Default)]
pub struct Expectations {
    pending: Mutex<HashMap<ObjectKey, Pending>>,
}

#[derive(Debug)]
struct Pending {
    creations: usize,
    /// The uids of what is being deleted.
    deletions: HashSet<String>,
    since: Instant,
}

impl Expectations {
    /// Expects nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many objects are about to be created for `key`. To be called before they are.
    pub fn expect_creations(&self, key: &ObjectKey, count: usize) {
        self.expect(key, |pending| pending.creations += count);
    }

    /// The objects with these uids are about to be deleted for `key`. To be called before they are.
    pub fn expect_deletions(&self, key: &ObjectKey, uids: impl IntoIterator<Item = String>) {
        self.expect(key, |pending| pending.deletions.extend(uids));
    }

    /// One of the objects has appeared, or could not be created.
    pub fn creation_observed(&self, key: &ObjectKey) {
        self.observe(key, |pending| pending.creations = pending.creations.saturating_sub(1));
    }

    /// The object with this uid has gone (or is going: it has a deletion time), or could not be deleted.
    pub fn deletion_observed(&self, key: &ObjectKey, uid: &str) {
        self.observe(key, |pending| {
            pending.deletions.remove(uid);
        });
    }

    /// Whether all that was expected for `key` has been seen, or was waited for in vain.
    pub fn satisfied(&self, key: &ObjectKey) -> bool {
        match self.pending().get(key) {
            None => true,
            Some(pending) if pending.since.elapsed() < TIMEOUT => false,
            Some(_) => {
                tracing::warn!(%key, "expected changes have not been seen for five minutes; deciding without them");
                true
            }
        }
    }

    /// Expects nothing for `key` any more: what it names is gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.pending().remove(key);
    }

    fn expect(&self, key: &ObjectKey, add: impl FnOnce(&mut Pending)) {
        let mut all = self.pending();
        let fresh = || Pending { creations: 0, deletions: HashSet::new(), since: Instant::now() };
        let pending = all.entry(key.clone()).or_insert_with(fresh);
        if pending.since.elapsed() >= TIMEOUT {
            // What lapsed must not hold up what is expected now.
            *pending = fresh();
        }
        pending.since = Instant::now();
        add(pending);
        if pending.is_fulfilled() {
            all.remove(key);
        }
    }

    fn observe(&self, key: &ObjectKey, remove: impl FnOnce(&mut Pending)) {
        let mut all = self.pending();
        let Some(pending) = all.get_mut(key) else { return };
        remove(pending);
        if pending.is_fulfilled() {
            all.remove(key);
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<ObjectKey, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn is_fulfilled(&self) -> bool {
        self.creations == 0 && self.deletions.is_empty()
    }
}

#[cfg(test)]
mod tests;
