//! Promise: leases live as long as they were granted, and no longer.
//!
//! > A lease, and every key that lives by it, is there until its time to live has passed since the last renewal that
//! > was acknowledged; also across changes of the leader. It is gone a bounded time after the last renewal that is
//! > possible, where no fault is active; after a revocation at once, and then for good. It never has more time than was
//! > granted, and nothing lives by a lease that nobody granted. A key has one holder at a time.
//!
//! Source: etcd's lease API; Jepsen's analysis of etcd 3.4.3 (issue 11408); etcd 3.6.5 (a renewal succeeds after the
//! revocation).
//!
//! In: grants, renewals, revocations and what was seen of leases and their keys, with the run's own clock. A renewal
//! counts from its invocation at the earliest and from its end at the latest. A new leader gives every lease its whole
//! time again, so lateness counts from the last disturbance, too. Deliberately absent: keys that are also deleted
//! otherwise.

mod disturbance;
mod life;

use std::collections::BTreeMap;

use crate::edn;
use crate::history::{Call, History, Key, LeaseId, Nanos, Returned, Revision};
use crate::promise::{Findings, Promise, Verdict, Violation};

use disturbance::Disturbances;
use life::{Life, Lives, Span};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "leases",
    words: "A lease and its keys live until its time has passed since the last acknowledged renewal, and not for long \
            after; what is gone stays gone; a key has one holder at a time.",
    source: "etcd: lease API, 3.6.5; Jepsen: etcd 3.4.3, etcd issue 11408",
    check,
};

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let lives = Lives::of(history);
    let checker = Checker {
        history,
        lives: &lives,
        holders: holders(history),
        disturbances: Disturbances::of(&history.faults),
    };
    for (op, operation) in (0..).zip(&history.operations) {
        let Some((ended, returned)) = operation.answer() else { continue };
        let seen = Seen { op, span: Span { from: operation.invoked, to: ended } };
        let looked = checker.look(&operation.call, returned, seen, &mut findings);
        findings.checked += u64::from(looked);
    }
    findings.verdict()
}

/// An answer about a lease: true of some moment within the span.
#[derive(Clone, Copy)]
struct Seen {
    op: u32,
    span: Span,
}

struct Checker<'a> {
    history: &'a History,
    lives: &'a Lives,
    holders: BTreeMap<&'a Key, Vec<Holder>>,
    disturbances: Disturbances,
}

/// A key that was made to live by a lease.
#[derive(Clone, Copy)]
struct Holder {
    ended: Nanos,
    revision: Revision,
    lease: LeaseId,
    op: u32,
}

/// For each key who held it, in the order of the acknowledgements.
fn holders(history: &History) -> BTreeMap<&Key, Vec<Holder>> {
    let mut holders: BTreeMap<&Key, Vec<Holder>> = BTreeMap::new();
    for (op, operation) in (0..).zip(&history.operations) {
        if let Call::LeaseAttach { id, key, .. } = &operation.call
            && let Some((ended, Returned::LeaseAttach { revision, attached: true })) = operation.answer()
        {
            holders.entry(key).or_default().push(Holder { ended, revision: *revision, lease: *id, op });
        }
    }
    for held in holders.values_mut() {
        held.sort_by_key(|holder| holder.ended);
        // From here on each entry is the newest holder up to its time.
        for place in 1..held.len() {
            if held[place].revision < held[place - 1].revision {
                held[place] = Holder { ended: held[place].ended, ..held[place - 1] };
            }
        }
    }
    holders
}

impl Checker<'_> {
    /// Judges one answer; false when it says nothing of leases.
    fn look(&self, call: &Call, returned: &Returned, seen: Seen, findings: &mut Findings) -> bool {
        match (call, returned) {
            (Call::LeaseKeepAlive { id }, Returned::LeaseKeepAlive { ttl_seconds, .. }) => {
                self.there_or_gone(*id, *ttl_seconds > 0, seen, findings);
                self.renewed(*id, *ttl_seconds, seen, findings);
            }
            (Call::LeaseTimeToLive { id }, Returned::LeaseTimeToLive { remaining_seconds, .. }) => {
                self.there_or_gone(*id, remaining_seconds.is_some(), seen, findings);
                self.remaining(*id, remaining_seconds.unwrap_or_default(), seen, findings);
            }
            (Call::LeaseRevoke { id }, Returned::LeaseRevoke { revoked, .. }) => {
                self.there_or_gone(*id, *revoked, seen, findings);
                self.revoked_twice(*id, *revoked, seen, findings);
            }
            (Call::LeaseKeyRead { key }, Returned::LeaseKeyRead { holder, .. }) => {
                self.holder(key, *holder, "key is gone early", seen, findings);
                if let Some(id) = holder.filter(|id| !id.is_none()) {
                    self.there(id, seen, findings);
                }
            }
            (Call::LeaseAttach { id, key, .. }, Returned::LeaseAttach { attached: true, .. }) => {
                self.holder(key, Some(*id), "two holders", seen, findings);
                self.there(*id, seen, findings);
            }
            (Call::LeaseGrant { .. } | Call::LeaseAttach { .. }, _) => {}
            _ => return false,
        }
        true
    }

    fn there_or_gone(&self, id: LeaseId, there: bool, seen: Seen, findings: &mut Findings) {
        if there {
            self.there(id, seen, findings);
        } else {
            self.gone(id, seen, findings);
        }
    }

    /// The lease does not exist at some moment of the span.
    fn gone(&self, id: LeaseId, seen: Seen, findings: &mut Findings) {
        if let Some(alive_by) = self.certainly_alive(id, seen) {
            findings.add(self.violation("lease ended early", seen, &[alive_by]));
        }
    }

    /// The operation that says that a lease lives throughout the span.
    fn certainly_alive(&self, id: LeaseId, seen: Seen) -> Option<u32> {
        let life = self.lives.get(id)?;
        life.certain(seen.span, self.history.meta.bounds.clock_drift_ppm)
    }

    /// A key is held by this lease, or by none, at some moment of the span.
    fn holder(
        &self,
        key: &Key,
        is: Option<LeaseId>,
        class: &'static str,
        seen: Seen,
        findings: &mut Findings,
    ) {
        let Some(held) = self.holders.get(key) else { return };
        let before = held.partition_point(|holder| holder.ended < seen.span.from);
        let Some(holder) = before.checked_sub(1).map(|last| held[last]) else { return };
        if is != Some(holder.lease)
            && holder.op != seen.op
            && let Some(alive_by) = self.certainly_alive(holder.lease, seen)
        {
            findings.add(self.violation(class, seen, &[alive_by, holder.op]));
        }
    }

    /// The lease exists at some moment of the span.
    fn there(&self, id: LeaseId, seen: Seen, findings: &mut Findings) {
        let Some(life) = self.lives.get(id).filter(|life| life.may_have_begun(seen.span.to)) else {
            if self.history.meta.whole {
                findings.add(self.violation("lease that nobody granted", seen, &[]));
            }
            return;
        };
        if let Some(revoked_by) = life.revoked_before(seen.span.from) {
            findings.add(self.violation("lease outlives its revocation", seen, &[revoked_by]));
        } else if let Some(gone_by) = life.gone_before(seen.span.from) {
            findings.add(self.violation("lease came back", seen, &[gone_by]));
        }
        self.late("lease ended late", seen.span.from, life, seen, findings);
    }

    /// The lease lives, or shall live, at a moment at which it should be gone.
    fn late(&self, class: &'static str, moment: Nanos, life: &Life, seen: Seen, findings: &mut Findings) {
        let Some(bound) = self.history.meta.bounds.lease_expiry else { return };
        let Some(quiet) = self.disturbances.quiet_since(seen.span.to) else { return };
        let Some(end) = life.latest_end(seen) else { return };
        let latest = end.latest.0.max(quiet.0.saturating_add(end.ttl));
        if latest.saturating_add(bound.0) < moment.0 {
            findings.add(self.violation(class, seen, &[end.by]));
        }
    }

    fn remaining(&self, id: LeaseId, seconds: u32, seen: Seen, findings: &mut Findings) {
        let Some(life) = self.lives.get(id) else { return };
        match life.granted() {
            Some((granted, by)) if seconds > granted => {
                findings.add(self.violation("more time than was granted", seen, &[by]));
            }
            Some(_) | None => {
                let shall_end = Nanos(seen.span.from.0.saturating_add(u64::from(seconds) * life::SECOND));
                if shall_end > seen.span.from {
                    self.late("more time than is left", shall_end, life, seen, findings);
                }
            }
        }
    }

    /// A renewal gives what was granted.
    fn renewed(&self, id: LeaseId, seconds: u32, seen: Seen, findings: &mut Findings) {
        if let Some((granted, by)) = self.lives.get(id).and_then(Life::granted)
            && seconds != 0
            && seconds != granted
        {
            findings.add(self.violation("other time than was granted", seen, &[by]));
        }
    }

    /// A lease ends once, also when two ask at the same time.
    fn revoked_twice(&self, id: LeaseId, revoked: bool, seen: Seen, findings: &mut Findings) {
        let first = self.lives.get(id).and_then(Life::revoked_by);
        if let Some(first) = first.filter(|&first| revoked && first < seen.op) {
            findings.add(self.violation("lease revoked twice", seen, &[first]));
        }
    }

    fn violation(&self, class: &'static str, seen: Seen, others: &[u32]) -> Violation {
        let words = |op: u32| edn::words(op, &self.history.operations[op as usize]);
        let because: Vec<String> = others.iter().map(|&op| words(op)).collect();
        let text = match because.as_slice() {
            [] => words(seen.op),
            because => format!("{}, against {}", words(seen.op), because.join(" and ")),
        };
        Violation::of_operations(class, text, others.iter().copied().chain([seen.op]))
    }
}

#[cfg(test)]
mod tests;
