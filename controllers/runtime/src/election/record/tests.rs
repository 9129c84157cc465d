//! The rules of the Lease.

use serde_json::json;

use super::*;

const TIME: Timestamp = Timestamp::UNIX_EPOCH;

fn candidate(identity: &str) -> Candidate {
    Candidate::new("kube-system", "kube-scheduler", identity, Duration::from_secs(8))
}

fn lease(holder: &str, renewed: &str) -> Lease {
    serde_json::from_value(json!({
        "metadata": {"name": "kube-scheduler", "namespace": "kube-system", "resourceVersion": "5"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "acquireTime": "2020-01-01T00:00:00.000000Z",
                 "renewTime": renewed, "leaseTransitions": 3},
    }))
    .unwrap()
}

fn spec(step: Step) -> LeaseSpec {
    match step {
        Step::Replace(lease) | Step::Create(lease) => lease.spec.unwrap(),
        Step::Wait(until) => panic!("waits until {until:?}"),
    }
}

const T1: &str = "2020-01-01T00:00:10.000000Z";
const T2: &str = "2020-01-01T00:00:20.000000Z";

#[tokio::test]
async fn a_lease_that_is_absent_is_made() {
    let step = candidate("a").step(None, Instant::now(), TIME);
    let Step::Create(lease) = step else { panic!("{step:?}") };
    let written = serde_json::to_value(&lease).unwrap();
    assert_eq!(
        written["spec"],
        json!({"holderIdentity": "a", "leaseDurationSeconds": 8, "leaseTransitions": 0,
               "acquireTime": "1970-01-01T00:00:00.000000Z", "renewTime": "1970-01-01T00:00:00.000000Z"})
    );
    assert_eq!(
        (lease.metadata.name.as_deref(), lease.metadata.namespace.as_deref()),
        (Some("kube-scheduler"), Some("kube-system"))
    );
}

#[tokio::test]
async fn another_holder_is_believed_for_as_long_as_he_says_since_he_last_moved() {
    let mut candidate = candidate("a");
    let begun = Instant::now();
    // The clock that wrote this is decades behind ours, and that is nobody's business.
    let step = candidate.step(Some(lease("b", T1)), begun, Timestamp::now());
    assert!(matches!(step, Step::Wait(until) if until == begun + Duration::from_secs(15)), "{step:?}");
    let later = begun + Duration::from_secs(14);
    assert!(matches!(candidate.step(Some(lease("b", T2)), later, TIME), Step::Wait(_)));
    let step = candidate.step(Some(lease("b", T2)), begun + Duration::from_secs(28), TIME);
    assert!(matches!(step, Step::Wait(until) if until == later + Duration::from_secs(15)), "{step:?}");
    let taken = spec(candidate.step(Some(lease("b", T2)), begun + Duration::from_secs(29), TIME));
    assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("a"), Some(4)));
    assert_eq!(taken.acquire_time, Some(MicroTime(TIME)));
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_free_at_once() {
    let taken = spec(candidate("a").step(Some(lease("", T1)), Instant::now(), TIME));
    assert_eq!(taken.holder_identity.as_deref(), Some("a"));
}

#[tokio::test]
async fn the_holder_renews_without_asking_and_keeps_when_he_came() {
    let mut candidate = candidate("a");
    assert!(candidate.renewed(TIME).is_none(), "he does not know yet that he is");
    candidate.observe(lease("a", T1), Instant::now());
    let renewed = candidate.renewed(TIME).unwrap();
    assert_eq!(renewed.metadata.resource_version.as_deref(), Some("5"), "if nobody else has written");
    let renewed = renewed.spec.unwrap();
    assert_eq!(renewed.renew_time, Some(MicroTime(TIME)));
    assert_eq!(renewed.acquire_time, lease("a", T1).spec.unwrap().acquire_time);
    assert_eq!(renewed.lease_transitions, Some(3));
    candidate.observe(lease("b", T2), Instant::now());
    assert!(candidate.renewed(TIME).is_none());
    assert!(candidate.released(TIME).is_none());
}

#[tokio::test]
async fn a_lease_given_back_names_no_holder_and_expires_at_once() {
    let mut candidate = candidate("a");
    candidate.observe(lease("a", T1), Instant::now());
    let released = candidate.released(TIME).unwrap().spec.unwrap();
    assert_eq!((released.holder_identity, released.lease_duration_seconds), (None, Some(1)));
    assert_eq!(released.lease_transitions, Some(3));
}
