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

const SECOND: u64 = 1_000_000_000;

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
    /// The beginning of the renewal that this counts from.
    pub(super) since: Nanos,
    pub(super) by: u32,
}

impl Lives {
    pub(super) fn of(history: &History) -> Self {
        let mut lives: FxHashMap<LeaseId, Life> = FxHashMap::default();
        for (op, operation) in (0..).zip(&history.operations) {
            match &operation.call {
                Call::LeaseGrant { id, .. } | Call::LeaseKeepAlive { id } => {
                    lives.entry(*id).or_default().renewed(op, operation);
                }
                Call::LeaseRevoke { id } => lives.entry(*id).or_default().revoked(op, operation),
                _ => {}
            }
        }
        lives.values_mut().for_each(Life::order);
        Self(lives)
    }

    pub(super) fn get(&self, id: LeaseId) -> Option<&Life> {
        self.0.get(&id)
    }
}

impl Life {
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
            since: latest.span.from,
            by: latest.op,
        })
    }
}
