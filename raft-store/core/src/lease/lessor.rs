//! When leases end, by the clock of the replica that leads.
//!
//! In: who leads, which leases exist, the time. Out: which leases are due. Time is monotonic milliseconds
//! that the caller reads and passes in.
//!
//! * **L1** A lease is never due before its time to live has passed since it was granted, renewed, or since
//!   this replica took the lead.
//! * **L2** A lease whose time has passed cannot be renewed any more, whether or not anybody has noticed yet.
//! * **L3** A due lease is handed out once; again only after [`Lessor::retry`].
//!
//! A new leader gives every lease its full time: it cannot know when the old one last renewed it, and late is
//! harmless where early is not.

use std::collections::{BTreeMap, BTreeSet};

use super::Lease;
use crate::{
    id::LeaseId,
    mutant::{self, Mutant},
};

/// A moment on a clock that only goes forward, in milliseconds since the caller chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(u64);

impl Millis {
    /// Wraps a reading of the clock.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The reading.
    pub const fn get(self) -> u64 {
        self.0
    }

    const fn plus_seconds(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds as u64 * 1000))
    }
}

/// Why a lease was not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// This replica does not lead; the one that does keeps the time.
    #[error("this replica does not lead")]
    NotLeader,
    /// There is no such lease.
    #[error("etcdserver: requested lease not found")]
    NotFound,
    /// Its time has passed; it will be revoked. Until then nobody may be told that it is gone: a new leader would give
    /// it its time again.
    #[error("the lease has expired")]
    Expired,
}

/// What is left of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How long it lives without being renewed, in seconds.
    pub granted_seconds: u32,
    /// How long it still has, in milliseconds; 0 when its time has passed.
    pub millis: u64,
}

/// Keeps the time of all leases while this replica leads.
#[derive(Debug, Default)]
pub struct Lessor {
    /// `None` while another replica leads.
    leading: Option<Timetable>,
}

#[derive(Debug, Default)]
struct Timetable {
    leases: BTreeMap<LeaseId, Timed>,
    /// The leases that have not been handed out as due, by deadline.
    queue: BTreeSet<(Millis, LeaseId)>,
}

#[derive(Clone, Copy, Debug)]
struct Timed {
    ttl_seconds: u32,
    deadline: Millis,
}

impl Lessor {
    /// A lessor of a replica that does not lead.
    pub fn new() -> Self {
        Self::default()
    }

    /// This replica leads from now on; `leases` are all that exist.
    pub fn promote(&mut self, now: Millis, leases: impl IntoIterator<Item = Lease>) {
        let renewed = if mutant::is(Mutant::LeaseCutAtTakeover) { Millis::default() } else { now };
        self.leading = Some(Timetable::of(renewed, leases));
    }

    /// This replica leads no longer.
    pub fn demote(&mut self) {
        self.leading = None;
    }

    /// Whether this replica keeps the time.
    pub const fn leads(&self) -> bool {
        self.leading.is_some()
    }

    /// A lease was granted.
    pub fn granted(&mut self, now: Millis, lease: Lease) {
        if let Some(timetable) = &mut self.leading {
            timetable.insert(now, lease);
        }
    }

    /// A lease was revoked.
    pub fn revoked(&mut self, id: LeaseId) {
        if let Some(timetable) = &mut self.leading {
            timetable.remove(id);
        }
    }

    /// Gives a lease its full time again; answers that time in seconds. One whose time has passed is the next that is
    /// due: somebody waits for its end.
    pub fn renew(&mut self, now: Millis, id: LeaseId) -> Result<u32, RenewError> {
        let timetable = self.leading.as_mut().ok_or(RenewError::NotLeader)?;
        let Timed { ttl_seconds, deadline } = *timetable.leases.get(&id).ok_or(RenewError::NotFound)?;
        if deadline <= now {
            timetable.hasten(id);
            return Err(RenewError::Expired);
        }
        timetable.insert(now, Lease { id, ttl_seconds });
        Ok(ttl_seconds)
    }

    /// What is left of a lease; `None` when there is none, or when this replica does not lead.
    pub fn remaining(&self, now: Millis, id: LeaseId) -> Option<Remaining> {
        let timed = self.leading.as_ref()?.leases.get(&id)?;
        let millis = timed.deadline.get().saturating_sub(now.get());
        Some(Remaining { granted_seconds: timed.ttl_seconds, millis })
    }

    /// Takes up to `limit` leases whose time has passed, longest ago first. The caller proposes to revoke them.
    pub fn due(&mut self, now: Millis, limit: usize) -> Vec<LeaseId> {
        let Some(timetable) = &mut self.leading else { return Vec::new() };
        let mut due = Vec::new();
        while due.len() < limit
            && let Some(&(deadline, id)) = timetable.queue.first()
            && deadline <= now
        {
            timetable.queue.pop_first();
            due.push(id);
        }
        due
    }

    /// A due lease could not be revoked: hand it out again.
    pub fn retry(&mut self, id: LeaseId) {
        if let Some(timetable) = &mut self.leading
            && let Some(timed) = timetable.leases.get(&id)
        {
            timetable.queue.insert((timed.deadline, id));
        }
    }

    /// When [`Self::due`] has something to say next.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.leading.as_ref()?.queue.first().map(|&(deadline, _)| deadline)
    }
}

impl Timetable {
    /// All leases, renewed at once. Trees are built whole: a new leader may find very many.
    fn of(now: Millis, leases: impl IntoIterator<Item = Lease>) -> Self {
        let timed = |lease: Lease| {
            let deadline = now.plus_seconds(lease.ttl_seconds);
            (lease.id, Timed { ttl_seconds: lease.ttl_seconds, deadline })
        };
        let leases: BTreeMap<_, _> = leases.into_iter().map(timed).collect();
        let queue = leases.iter().map(|(id, timed)| (timed.deadline, *id)).collect();
        Self { leases, queue }
    }

    fn insert(&mut self, now: Millis, lease: Lease) {
        self.remove(lease.id);
        let deadline = now.plus_seconds(lease.ttl_seconds);
        self.leases.insert(lease.id, Timed { ttl_seconds: lease.ttl_seconds, deadline });
        self.queue.insert((deadline, lease.id));
    }

    /// Moves a lease whose time has passed before all others.
    fn hasten(&mut self, id: LeaseId) {
        let Some(timed) = self.leases.get_mut(&id) else { return };
        let former = std::mem::take(&mut timed.deadline);
        if self.queue.remove(&(former, id)) {
            self.queue.insert((Millis::default(), id));
        }
    }

    fn remove(&mut self, id: LeaseId) {
        if let Some(timed) = self.leases.remove(&id) {
            self.queue.remove(&(timed.deadline, id));
        }
    }
}

#[cfg(test)]
mod tests;
