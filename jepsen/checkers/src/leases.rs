//! Promise: leases live as long as they were granted, and no longer.
//!
//! > A lease, and every key that lives by it, is there until its time to live has passed since the last renewal that
//! > was acknowledged; also across changes of the leader. In a cluster without faults it is gone a bounded time after
//! > the last renewal that is possible; after a revocation at once. A key has one holder at a time.
//!
//! Source: etcd's lease API; Jepsen's analysis of etcd 3.4.3 (issue 11408); etcd 3.6.5 (a renewal succeeds after the
//! revocation).
//!
//! In: grants, renewals, revocations and what was seen of leases and their keys, with the run's own clock. A renewal
//! counts from its invocation at the earliest and from its end at the latest. Deliberately absent: keys that are also
//! deleted otherwise.

mod life;

use std::collections::BTreeMap;

use crate::edn;
use crate::history::{Call, FaultPhase, History, Key, LeaseId, Nanos, Returned, Revision};
use crate::promise::{Findings, Promise, Verdict, Violation};

use life::{Life, Lives, Span};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "leases",
    words: "A lease and its keys live until its time has passed since the last acknowledged renewal, and not for long \
            after; a key has one holder at a time.",
    source: "etcd: lease API, 3.6.5; Jepsen: etcd 3.4.3, etcd issue 11408",
    check,
};

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let lives = Lives::of(history);
    let checker = Checker { history, lives: &lives, holders: holders(history) };
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
            }
            (Call::LeaseTimeToLive { id }, Returned::LeaseTimeToLive { remaining_seconds, .. }) => {
                self.there_or_gone(*id, remaining_seconds.is_some(), seen, findings);
                self.remaining(*id, remaining_seconds.unwrap_or_default(), seen, findings);
            }
            (Call::LeaseRevoke { id }, Returned::LeaseRevoke { revoked: false, .. }) => {
                self.gone(*id, seen, findings)
            }
            (Call::LeaseKeyRead { key }, Returned::LeaseKeyRead { holder, .. }) => {
                self.holder(key, *holder, "key is gone early", seen, findings);
                if let Some(id) = holder {
                    self.there(*id, seen, findings);
                }
            }
            (Call::LeaseAttach { id, key, .. }, Returned::LeaseAttach { attached: true, .. }) => {
                self.holder(key, Some(*id), "two holders", seen, findings);
            }
            (Call::LeaseGrant { .. } | Call::LeaseRevoke { .. } | Call::LeaseAttach { .. }, _) => {}
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
        let Some(life) = self.lives.get(id) else { return };
        if let Some(revoked_by) = life.revoked_before(seen.span.from) {
            findings.add(self.violation("lease outlives its revocation", seen, &[revoked_by]));
        }
        let Some(bound) = self.history.meta.bounds.lease_expiry else { return };
        let Some(end) = life.latest_end(seen) else { return };
        let is_late = end.latest.0.saturating_add(bound.0) < seen.span.from.0;
        if is_late && self.was_well(end.since, seen.span.to) {
            findings.add(self.violation("lease ended late", seen, &[end.by]));
        }
    }

    fn remaining(&self, id: LeaseId, seconds: u32, seen: Seen, findings: &mut Findings) {
        if let Some((granted, by)) = self.lives.get(id).and_then(Life::granted)
            && seconds > granted
        {
            findings.add(self.violation("more time than was granted", seen, &[by]));
        }
    }

    /// Whether no fault was active and no leader changed.
    fn was_well(&self, from: Nanos, to: Nanos) -> bool {
        let (mut active, mut leader) = (0_u32, None);
        for event in self.history.faults.iter().take_while(|event| event.at <= to) {
            let within = event.at >= from;
            match &event.phase {
                FaultPhase::Began => active += 1,
                FaultPhase::Ended => active = active.saturating_sub(1),
                FaultPhase::Struck if within => return false,
                FaultPhase::LeaderSeen(name) => {
                    if within && leader.is_some_and(|leader| leader != name) {
                        return false;
                    }
                    leader = Some(name);
                }
                FaultPhase::Healed => active = 0,
                FaultPhase::Struck | FaultPhase::Skipped(_) => {}
            }
            if within && (active > 0 || event.phase == FaultPhase::Ended) {
                return false;
            }
        }
        active == 0
    }

    fn violation(&self, class: &'static str, seen: Seen, others: &[u32]) -> Violation {
        let words = |op: u32| edn::words(op, &self.history.operations[op as usize]);
        let because: Vec<String> = others.iter().map(|&op| words(op)).collect();
        let text = format!("{}, against {}", words(seen.op), because.join(" and "));
        Violation::of_operations(class, text, others.iter().copied().chain([seen.op]))
    }
}

#[cfg(test)]
mod tests;
