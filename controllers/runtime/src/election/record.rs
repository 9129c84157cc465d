//! What a Lease says, and what a replica may do about it. Pure.
//!
//! In: the Lease as it was read, the monotonic time, and the wall clock's time for people to read. Out: the next step.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

/// One replica's view of the Lease.
pub(super) struct Candidate {
    namespace: String,
    lease: String,
    identity: String,
    duration: Duration,
    seen: Option<Sighting>,
}

/// A Lease, and when it was first seen to say what it says.
struct Sighting {
    lease: Lease,
    at: Instant,
}

/// What to do with a Lease that was read.
#[derive(Debug)]
pub(super) enum Step {
    /// Somebody else has it, until then if it does not change.
    Wait(Instant),
    /// Make it: there is none.
    Create(Lease),
    /// Write it: it is free, expired or one's own.
    Replace(Lease),
}

impl Candidate {
    pub(super) fn new(namespace: &str, lease: &str, identity: &str, duration: Duration) -> Self {
        Self {
            namespace: namespace.to_owned(),
            lease: lease.to_owned(),
            identity: identity.to_owned(),
            duration,
            seen: None,
        }
    }

    pub(super) fn lease(&self) -> &str {
        &self.lease
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Takes in what the Lease says. As long as it says the same, it was seen when it was first seen.
    pub(super) fn observe(&mut self, lease: Lease, now: Instant) {
        let at = match &self.seen {
            Some(sighting) if sighting.lease.spec == lease.spec => sighting.at,
            Some(_) | None => now,
        };
        self.seen = Some(Sighting { lease, at });
    }

    /// The Lease renewed without reading it first, for a holder who has written it last.
    pub(super) fn renewed(&self, clock: Timestamp) -> Option<Lease> {
        let sighting = self.seen.as_ref()?;
        let held = holder(&sighting.lease) == self.identity;
        held.then(|| self.taken(&sighting.lease, clock))
    }

    /// The next step, after the Lease was read.
    pub(super) fn step(&mut self, found: Option<Lease>, now: Instant, clock: Timestamp) -> Step {
        let Some(lease) = found else {
            self.seen = None;
            return Step::Create(self.created(clock));
        };
        self.observe(lease, now);
        let Some(sighting) = &self.seen else { return Step::Create(self.created(clock)) };
        let until = sighting.at + duration(&sighting.lease);
        let foreign = !matches!(holder(&sighting.lease), "") && holder(&sighting.lease) != self.identity;
        if foreign && now < until {
            return Step::Wait(until);
        }
        Step::Replace(self.taken(&sighting.lease, clock))
    }

    /// The Lease given back. `None` if it is not held.
    pub(super) fn released(&self, clock: Timestamp) -> Option<Lease> {
        let sighting = self.seen.as_ref()?;
        if holder(&sighting.lease) != self.identity {
            return None;
        }
        let mut lease = sighting.lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.acquire_time = Some(MicroTime(clock));
        spec.renew_time = Some(MicroTime(clock));
        Some(lease)
    }

    /// What events are about.
    pub(super) fn reference(&self) -> Lease {
        match &self.seen {
            Some(sighting) => sighting.lease.clone(),
            None => Lease { metadata: self.metadata(), spec: None },
        }
    }

    fn created(&self, clock: Timestamp) -> Lease {
        let empty = Lease { metadata: self.metadata(), spec: None };
        let mut lease = self.taken(&empty, clock);
        lease.spec.get_or_insert_default().lease_transitions = Some(0);
        lease
    }

    /// The Lease with this replica as its holder.
    fn taken(&self, from: &Lease, clock: Timestamp) -> Lease {
        let mut lease = from.clone();
        let mine = holder(from) == self.identity;
        let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
        if !mine {
            spec.acquire_time = Some(MicroTime(clock));
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX));
        spec.renew_time = Some(MicroTime(clock));
        lease
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            namespace: Some(self.namespace.clone()),
            name: Some(self.lease.clone()),
            ..ObjectMeta::default()
        }
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// How long the Lease holds, as its holder says: he may have been started with other times.
fn duration(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests;
