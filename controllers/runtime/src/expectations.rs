//! What a controller has done that its cache may not show yet.
//!
//! In: how many objects a controller creates and which it deletes, and what its informer sees of that. Out: whether
//! the cache is recent enough to decide again, and when it counts as such at the latest. An expectation that nobody
//! fulfils lapses after five minutes: an object that came and went while the informer listed anew is never seen, and
//! must not stop a controller that looks again by then.

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

    /// How long to wait at most for what is expected for `key`. `None`: all of it has been seen, or was waited for in
    /// vain. Nobody else tells that the time is over.
    pub fn wait(&self, key: &ObjectKey) -> Option<Duration> {
        let mut all = self.pending();
        let rest = TIMEOUT.saturating_sub(all.get(key)?.since.elapsed());
        if rest.is_zero() {
            tracing::warn!(%key, "expected changes have not been seen for five minutes; deciding without them");
            all.remove(key);
        }
        Some(rest).filter(|rest| !rest.is_zero())
    }

    /// Expects nothing for `key` any more: what it names is gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.pending().remove(key);
    }

    fn expect(&self, key: &ObjectKey, add: impl FnOnce(&mut Pending)) {
        let mut all = self.pending();
        let now = Instant::now();
        let fresh = || Pending { creations: 0, deletions: HashSet::new(), since: now };
        let pending = all.entry(key.clone()).or_insert_with(fresh);
        pending.since = now;
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
