//! The leases of objects that go by themselves after a while: events.
//!
//! In: how long an object is to live. Out: a lease of the store on which its key may hang. Objects that are written within
//! a minute share one, so that there are few: it lives that minute longer than each of them has to.
//!
//! Deliberately absent: renewing. An object that is written again gets a lease of its own time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use keelson_store::{Store, WriteError};
use keelson_store_core::{id::LeaseId, lease::Lease};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::Instant;

/// How long a lease takes further objects; upstream's.
const SHARED: Duration = Duration::from_secs(60);

/// The lease that further objects get.
#[derive(Clone, Copy, Debug)]
struct Current {
    id: LeaseId,
    /// How long its objects have to live.
    seconds: u32,
    since: Instant,
}

/// Leases of one server.
#[derive(Debug, Default)]
pub(super) struct Leases {
    current: Mutex<Option<Current>>,
}

impl Leases {
    /// A lease on which an object lives for at least so many seconds.
    ///
    /// # Errors
    /// Those of a write.
    pub(super) async fn of(&self, store: &Store, seconds: u32) -> Result<LeaseId, WriteError> {
        let now = Instant::now();
        let known = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = |it: &Current| it.seconds == seconds && now.duration_since(it.since) < SHARED;
        if let Some(current) = known.filter(usable) {
            return Ok(current.id);
        }
        let id = draw();
        let shared = u32::try_from(SHARED.as_secs()).expect("a minute has few seconds");
        store.grant_lease(Lease { id, ttl_seconds: seconds.saturating_add(shared) }).await?;
        self.set(Some(Current { id, seconds, since: now }));
        Ok(id)
    }

    /// Takes another lease next time: that one is not there any more.
    pub(super) fn forget(&self) {
        self.set(None);
    }

    fn set(&self, current: Option<Current>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
    }
}

/// An id that nobody has.
fn draw() -> LeaseId {
    let mut bytes = [0; 8];
    // It fails only where the operating system has no randomness, and nothing can be done safely without.
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    // Ids are positive.
    LeaseId::new((i64::from_be_bytes(bytes) & i64::MAX).max(1))
}
