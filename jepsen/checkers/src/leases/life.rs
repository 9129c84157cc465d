//! The life of each lease: what is certain of it, and what is possible.
//!
//! In: grants, renewals, revocations. Out: until when a lease certainly lives, and from when on it certainly should be
//! gone. Deliberately absent: keys.

use rustc_hash::FxHashMap;

use super::Seen;
use crate::history::{Call, End, History, LeaseId, Nanos, Operation, Returned};

/// From an invocation to its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Nanos,
    pub(super) to: Nanos,
}

pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) struct Lives(FxHashMap<LeaseId, Life>);

#[derive(Default)]
pub(super) struct Life {
    /// Acknowledged grants and renewals, by their end; `until` is the furthest so far.
    renewals: Vec<Renewal>,
    /// When the first grant or renewal of unknown outcome began.
    maybe_renewed: Option<Nanos>,
    /// Revocations: when they began, when they were acknowledged, and the operation.
    revoked: Vec<(Nanos, Option<Nanos>, u32)>,
    granted: Option<(u32, u32)>,
    /// When the first grant that was acknowledged ended.
    granted_at: Option<Nanos>,
    /// When the first grant that may have happened began.
    begun: Option<Nanos>,
    /// Answers that there is no such lease: when they were asked for, when they came, and the operation.
    gone: Vec<Absence>,
    /// The first of them to come that was asked for after the grant.
    first_gone: Option<Absence>,
}

#[derive(Clone, Copy)]
struct Absence {
    asked: Nanos,
    ended: Nanos,
    op: u32,
}

#[derive(Clone, Copy)]
struct Renewal {
    op: u32,
    span: Span,
    ttl: u64,
    /// The invocation from which time counts furthest, among those up to this one, and its operation and time to live.
    furthest: (Nanos, u64, u32),
}

/// When a lease ends at the latest.
pub(super) struct LatestEnd {
    pub(super) latest: Nanos,
    /// The time that a new leader may give it again, in nanoseconds.
    pub(super) ttl: u64,
    pub(super) by: u32,
}

impl Lives {
    pub(super) fn of(history: &History) -> Self {
        let mut lives: FxHashMap<LeaseId, Life> = FxHashMap::default();
        for (op, operation) in (0..).zip(&history.operations) {
            match &operation.call {
                Call::LeaseGrant { id, .. } => {
                    let life = lives.entry(*id).or_default();
                    life.begun(operation);
                    life.renewed(op, operation);
                }
                Call::LeaseKeepAlive { id } => lives.entry(*id).or_default().renewed(op, operation),
                Call::LeaseRevoke { id } => lives.entry(*id).or_default().revoked(op, operation),
                _ => {}
            }
            if let Some((id, absence)) = absence(op, operation) {
                lives.entry(id).or_default().gone.push(absence);
            }
        }
        lives.values_mut().for_each(Life::order);
        Self(lives)
    }

    pub(super) fn get(&self, id: LeaseId) -> Option<&Life> {
        self.0.get(&id)
    }
}

/// The lease that an answer says is not there.
fn absence(op: u32, operation: &Operation) -> Option<(LeaseId, Absence)> {
    let (ended, returned) = operation.answer()?;
    let id = match (&operation.call, returned) {
        (Call::LeaseKeepAlive { id }, Returned::LeaseKeepAlive { ttl_seconds: 0, .. })
        | (Call::LeaseTimeToLive { id }, Returned::LeaseTimeToLive { remaining_seconds: None, .. })
        | (Call::LeaseRevoke { id }, Returned::LeaseRevoke { revoked: false, .. }) => *id,
        _ => return None,
    };
    Some((id, Absence { asked: operation.invoked, ended, op }))
}

impl Life {
    fn begun(&mut self, operation: &Operation) {
        match &operation.end {
            End::Ok { at, .. } => {
                self.granted_at = Some(self.granted_at.map_or(*at, |first| first.min(*at)));
            }
            End::Unknown { .. } => {}
            End::Failed { .. } => return,
        }
        let began = operation.invoked;
        self.begun = Some(self.begun.map_or(began, |first| first.min(began)));
    }

    fn renewed(&mut self, op: u32, operation: &Operation) {
        let (to, seconds) = match &operation.end {
            End::Ok { at, returned: Returned::LeaseGrant { ttl_seconds, .. } } => {
                self.granted = Some((*ttl_seconds, op));
                (*at, *ttl_seconds)
            }
            End::Ok { at, returned: Returned::LeaseKeepAlive { ttl_seconds, .. } } => (*at, *ttl_seconds),
            End::Ok { .. } | End::Failed { .. } => return,
            End::Unknown { .. } => {
                let first =
                    self.maybe_renewed.map_or(operation.invoked, |first| first.min(operation.invoked));
                self.maybe_renewed = Some(first);
                return;
            }
        };
        if seconds == 0 {
            return;
        }
        let (span, ttl) = (Span { from: operation.invoked, to }, u64::from(seconds) * SECOND);
        self.renewals.push(Renewal { op, span, ttl, furthest: (span.from, ttl, op) });
    }

    fn revoked(&mut self, op: u32, operation: &Operation) {
        match &operation.end {
            End::Ok { at, returned } => {
                let there = matches!(returned, Returned::LeaseRevoke { revoked: true, .. });
                self.revoked.push((operation.invoked, there.then_some(*at), op));
            }
            End::Unknown { .. } => self.revoked.push((operation.invoked, None, op)),
            End::Failed { .. } => {}
        }
    }

    fn order(&mut self) {
        let granted_at = self.granted_at;
        let after_grant = |absence: &&Absence| granted_at.is_some_and(|granted| granted < absence.asked);
        self.first_gone = self.gone.iter().filter(after_grant).min_by_key(|absence| absence.ended).copied();
        self.renewals.sort_by_key(|renewal| renewal.span.to);
        for place in 1..self.renewals.len() {
            let before = self.renewals[place - 1].furthest;
            let own = &mut self.renewals[place].furthest;
            if before.0.0.saturating_add(before.1) > own.0.0.saturating_add(own.1) {
                *own = before;
            }
        }
    }

    /// What was granted, and by which operation.
    pub(super) fn granted(&self) -> Option<(u32, u32)> {
        self.granted
    }

    /// Whether the lease lives throughout the span: the renewal that says so. Clocks may be too fast by `drift` parts
    /// per million.
    pub(super) fn certain(&self, span: Span, drift: u32) -> Option<u32> {
        let acknowledged = self.renewals.partition_point(|renewal| renewal.span.to < span.from);
        let (from, ttl, op) = self.renewals[..acknowledged].last()?.furthest;
        let lost = u128::from(ttl) * u128::from(drift) / 1_000_000;
        let ttl = ttl.saturating_sub(u64::try_from(lost).unwrap_or(u64::MAX));
        let lives = span.to.0 < from.0.saturating_add(ttl);
        let maybe_revoked = self.revoked.iter().any(|(began, ..)| *began <= span.to);
        (lives && !maybe_revoked).then_some(op)
    }

    /// The revocation that was acknowledged before this moment.
    pub(super) fn revoked_before(&self, moment: Nanos) -> Option<u32> {
        let before = self.revoked.iter().find(|(_, ended, _)| ended.is_some_and(|ended| ended < moment));
        before.map(|(.., op)| *op)
    }

    /// The first operation that was told that it revoked the lease.
    pub(super) fn revoked_by(&self) -> Option<u32> {
        let told = self.revoked.iter().filter(|(_, ended, _)| ended.is_some());
        told.map(|(.., op)| *op).min()
    }

    /// The operation that was told, before this moment, that the lease is gone.
    pub(super) fn gone_before(&self, moment: Nanos) -> Option<u32> {
        self.first_gone.filter(|gone| gone.ended < moment).map(|gone| gone.op)
    }

    /// Whether somebody may have been granted it by then.
    pub(super) fn may_have_begun(&self, by: Nanos) -> bool {
        self.begun.is_some_and(|begun| begun <= by)
    }

    /// When the lease ends at the latest, if only the renewals that began before the end of the span count, without the
    /// operation itself; `None`: that is not known.
    pub(super) fn latest_end(&self, seen: Seen) -> Option<LatestEnd> {
        if self.maybe_renewed.is_some_and(|began| began <= seen.span.to) {
            return None;
        }
        let count = |renewal: &&Renewal| renewal.op != seen.op && renewal.span.from <= seen.span.to;
        let latest = self
            .renewals
            .iter()
            .filter(count)
            .max_by_key(|renewal| renewal.span.to.0.saturating_add(renewal.ttl))?;
        Some(LatestEnd {
            latest: Nanos(latest.span.to.0.saturating_add(latest.ttl)),
            ttl: latest.ttl,
            by: latest.op,
        })
    }
}
