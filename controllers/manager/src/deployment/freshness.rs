//! Whether the caches show what this controller wrote itself.
//!
//! In: the revisions of its own writes, and those that the cache of ReplicaSets shows. Out: whether a plan can be made
//! of what the cache shows. A plan made of less could create a set beside one that the cache does not know yet, and
//! so have more pods than the deployment bears. Resource versions are compared as what they are, revisions of the
//! store. What does not show up in time is no longer waited for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keelson_controller_runtime::ObjectKey;
use tokio::time::Instant;

/// How long a write is waited for. A watch that breaks goes on within seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was written, by deployment, and what has been seen of all sets.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    seen: AtomicU64,
    written: Mutex<HashMap<ObjectKey, Write>>,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    revision: u64,
    at: Instant,
}

impl Freshness {
    /// The cache shows a set at this version.
    pub(super) fn saw(&self, set: &ObjectMeta) {
        self.seen.fetch_max(revision(set), Ordering::AcqRel);
    }

    /// A set of this deployment was written, and is at this version now.
    pub(super) fn wrote(&self, deployment: &ObjectKey, set: &ObjectMeta) {
        let write = Write { revision: revision(set), at: Instant::now() };
        self.written().insert(deployment.clone(), write);
    }

    /// How long to wait for the cache at most, if it does not show yet what was written last.
    pub(super) fn wait(&self, deployment: &ObjectKey) -> Option<Duration> {
        let mut written = self.written();
        let write = written.get(deployment)?;
        let rest = PATIENCE.checked_sub(write.at.elapsed());
        if write.revision > self.seen.load(Ordering::Acquire)
            && let Some(rest) = rest
        {
            return Some(rest);
        }
        written.remove(deployment);
        None
    }

    /// The deployment is gone.
    pub(super) fn forget(&self, deployment: &ObjectKey) {
        self.written().remove(deployment);
    }

    fn written(&self) -> MutexGuard<'_, HashMap<ObjectKey, Write>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Zero if it is no number: then nothing is waited for.
fn revision(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: &str) -> ObjectMeta {
        ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_waited_for_until_it_is_seen_or_time_is_up() {
        let (freshness, key) = (Freshness::default(), ObjectKey::new("shop", "web"));
        assert_eq!(freshness.wait(&key), None);
        freshness.wrote(&key, &at("10"));
        freshness.saw(&at("9"));
        assert_eq!(freshness.wait(&key), Some(PATIENCE));
        freshness.saw(&at("11"));
        freshness.saw(&at("3"));
        assert_eq!(freshness.wait(&key), None, "revisions grow: what is later shows what was before");
        freshness.wrote(&key, &at("12"));
        tokio::time::advance(PATIENCE + Duration::from_millis(1)).await;
        assert_eq!(freshness.wait(&key), None);
    }
}
