//! The lessor's promises L1 to L3, and a random run against them.

use proptest::{collection::vec, prelude::*};

use super::*;

const A: Lease = Lease { id: LeaseId::new(1), ttl_seconds: 10 };
const B: Lease = Lease { id: LeaseId::new(2), ttl_seconds: 20 };

fn at(seconds: u64) -> Millis {
    Millis::new(seconds * 1000)
}

fn leading(leases: &[Lease]) -> Lessor {
    let mut lessor = Lessor::new();
    lessor.promote(at(0), leases.iter().copied());
    lessor
}

#[test]
fn a_lease_is_due_when_its_time_has_passed_and_not_before() {
    let mut lessor = leading(&[A, B]);
    assert_eq!(lessor.next_deadline(), Some(at(10)));
    assert_eq!(lessor.due(Millis::new(9_999), 10), []);
    assert_eq!(lessor.due(at(10), 10), [A.id]);
    assert_eq!(lessor.next_deadline(), Some(at(20)));
}

#[test]
fn a_due_lease_is_handed_out_once_until_retried() {
    let mut lessor = leading(&[A, B]);
    assert_eq!(lessor.due(at(30), 1), [A.id]);
    assert_eq!(lessor.due(at(30), 9), [B.id]);
    assert_eq!(lessor.due(at(30), 9), []);
    lessor.retry(A.id);
    assert_eq!(lessor.due(at(30), 9), [A.id]);
    lessor.revoked(A.id);
    lessor.retry(A.id);
    assert_eq!(lessor.due(at(30), 9), []);
}

#[test]
fn renewing_gives_the_full_time_but_not_to_an_expired_lease() {
    let mut lessor = leading(&[A]);
    assert_eq!(lessor.renew(at(9), A.id), Ok(10));
    assert_eq!(lessor.due(at(18), 9), []);
    assert_eq!(lessor.remaining(at(18), A.id), Some(Remaining { granted_seconds: 10, millis: 1000 }));
    assert_eq!(lessor.renew(at(19), A.id), Err(RenewError::Expired));
    assert_eq!(lessor.due(at(19), 9), [A.id]);
    assert_eq!(lessor.renew(at(19), A.id), Err(RenewError::Expired));
    assert_eq!(lessor.remaining(at(99), A.id), Some(Remaining { granted_seconds: 10, millis: 0 }));
    lessor.revoked(A.id);
    assert_eq!(lessor.renew(at(19), A.id), Err(RenewError::NotFound));
}

#[test]
fn only_the_leader_keeps_time_and_a_new_one_starts_afresh() {
    let mut lessor = Lessor::new();
    lessor.granted(at(0), A);
    assert_eq!(lessor.renew(at(0), A.id), Err(RenewError::NotLeader));
    assert_eq!((lessor.remaining(at(0), A.id), lessor.next_deadline()), (None, None));
    lessor.promote(at(5), [A]);
    assert_eq!(lessor.next_deadline(), Some(at(15)));
    lessor.demote();
    assert_eq!(lessor.due(at(99), 9), []);
    lessor.promote(at(100), [A]);
    assert_eq!(lessor.due(at(109), 9), []);
}

#[test]
fn a_new_leader_takes_over_very_many_leases_and_each_has_its_own_time() {
    let lease = |id: i64| Lease { id: LeaseId::new(id), ttl_seconds: 10 + (id % 7) as u32 };
    let mut lessor = Lessor::new();
    lessor.promote(at(5), (1..=100_000).map(lease));
    for id in (1..=100_000).step_by(997) {
        let granted_seconds = lease(id).ttl_seconds;
        let left = Remaining { granted_seconds, millis: u64::from(granted_seconds) * 1000 };
        assert_eq!(lessor.remaining(at(5), LeaseId::new(id)), Some(left));
    }
    assert_eq!(lessor.next_deadline(), Some(at(15)));
    assert_eq!(lessor.due(at(15), usize::MAX).len(), 100_000 / 7);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Grant(i64, u32),
    Renew(i64),
    Revoke(i64),
    Due(usize),
    Retry(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4000_u64).prop_map(Step::Wait),
        (1..5_i64, 1..5_u32).prop_map(|(id, ttl)| Step::Grant(id, ttl)),
        (1..5_i64).prop_map(Step::Renew),
        (1..5_i64).prop_map(Step::Revoke),
        (0..3_usize).prop_map(Step::Due),
        (1..5_i64).prop_map(Step::Retry),
    ]
}

proptest! {
    #[test]
    fn never_early_never_twice_never_forgotten(steps in vec(step(), 0..80)) {
        let mut lessor = leading(&[]);
        let mut now = 0;
        // Deadline, and whether it has been handed out.
        let mut model: BTreeMap<LeaseId, (u32, u64, bool)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Wait(millis) => now += millis,
                Step::Grant(id, ttl_seconds) => {
                    let id = LeaseId::new(id);
                    if let std::collections::btree_map::Entry::Vacant(entry) = model.entry(id) {
                        entry.insert((ttl_seconds, now + u64::from(ttl_seconds) * 1000, false));
                        lessor.granted(Millis::new(now), Lease { id, ttl_seconds });
                    }
                }
                Step::Renew(id) => {
                    let id = LeaseId::new(id);
                    let expected = match model.get_mut(&id) {
                        None => Err(RenewError::NotFound),
                        Some((_, deadline, _)) if *deadline <= now => {
                            *deadline = 0;
                            Err(RenewError::Expired)
                        }
                        Some((ttl, deadline, _)) => {
                            *deadline = now + u64::from(*ttl) * 1000;
                            Ok(*ttl)
                        }
                    };
                    prop_assert_eq!(lessor.renew(Millis::new(now), id), expected);
                }
                Step::Revoke(id) => {
                    model.remove(&LeaseId::new(id));
                    lessor.revoked(LeaseId::new(id));
                }
                Step::Retry(id) => {
                    let id = LeaseId::new(id);
                    if let Some((_, _, handed_out)) = model.get_mut(&id) {
                        *handed_out = false;
                    }
                    lessor.retry(id);
                }
                Step::Due(limit) => {
                    let mut expected: Vec<_> = model
                        .iter()
                        .filter(|(_, (_, deadline, handed_out))| *deadline <= now && !handed_out)
                        .map(|(id, (_, deadline, _))| (*deadline, *id))
                        .collect();
                    expected.sort();
                    expected.truncate(limit);
                    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
                    for id in &expected {
                        model.get_mut(id).unwrap().2 = true;
                    }
                    prop_assert_eq!(lessor.due(Millis::new(now), limit), expected);
                }
            }
        }
    }
}
