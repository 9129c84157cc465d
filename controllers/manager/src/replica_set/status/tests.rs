//! What is promised of the replica set status, shown by example.

use super::super::samples::{at, pod, ready, set, terminating};
use super::*;

fn pods(active: Vec<Pod>) -> OwnPods {
    OwnPods { active: active.into_iter().map(Arc::new).collect(), terminating: Vec::new() }
}

#[test]
fn pods_are_counted_by_what_they_are() {
    let mut set = set(5);
    set.spec.min_ready_seconds = Some(10);
    let mut unlike = pod("d");
    unlike.metadata.labels = None;
    let own = OwnPods {
        active: [ready(pod("a"), 0), ready(pod("b"), 95), pod("c"), unlike].map(Arc::new).into(),
        terminating: vec![Arc::new(terminating(pod("e")))],
    };
    let status = status(&set, &own, &Attempt::Succeeded, at(100));
    assert_eq!(
        status,
        ReplicaSetStatus {
            replicas: 4,
            fully_labeled_replicas: Some(3),
            ready_replicas: Some(2),
            available_replicas: Some(1),
            terminating_replicas: Some(1),
            observed_generation: Some(4),
            conditions: None,
        }
    );
    assert_eq!(next_availability(&set, &own, at(100)), Some(Duration::from_secs(5)));
    assert_eq!(next_availability(&set, &own, at(105)), None);
}

#[test]
fn zeros_are_left_out_where_go_leaves_them_out() {
    let status = status(&set(0), &pods(vec![]), &Attempt::Succeeded, at(1));
    let text = serde_json::to_value(status).unwrap();
    assert_eq!(text, serde_json::json!({"replicas": 0, "terminatingReplicas": 0, "observedGeneration": 4}));
}

#[test]
fn a_generation_is_observed_when_it_has_been_decided_on() {
    let mut set = set(1);
    let observed = |set: &_, attempt| status(set, &pods(vec![]), &attempt, at(1)).observed_generation;
    assert_eq!(observed(&set, Attempt::None), None);
    set.status = Some(ReplicaSetStatus { observed_generation: Some(3), ..ReplicaSetStatus::default() });
    assert_eq!(observed(&set, Attempt::None), Some(3));
    assert_eq!(observed(&set, Attempt::Succeeded), Some(4));
    set.metadata.deletion_timestamp = Some(Time(at(0)));
    assert_eq!(observed(&set, Attempt::None), Some(4), "there is nothing to decide any more");
}

#[test]
fn a_failure_is_told_until_an_attempt_succeeds() {
    let failed = |reason, message: &str| Attempt::Failed { reason, message: message.into() };
    let mut set = set(1);
    let mut told = |attempt: &Attempt, second| {
        let status = status(&set, &pods(vec![]), attempt, at(second));
        let condition = status.conditions.iter().flatten().next().cloned();
        set.status = Some(status);
        condition.map(|condition| {
            let since = condition.last_transition_time.unwrap().0.as_second();
            (condition.reason.unwrap(), condition.message.unwrap(), since)
        })
    };
    let first = Some(("FailedCreate".to_owned(), "quota".to_owned(), 1));
    assert_eq!(told(&failed("FailedCreate", "quota"), 1), first);
    assert_eq!(told(&failed("FailedCreate", "other words"), 2), first);
    assert_eq!(told(&Attempt::None, 3), first, "nothing was tried, so nothing is known");
    let second = Some(("FailedDelete".to_owned(), "broken".to_owned(), 4));
    assert_eq!(told(&failed("FailedDelete", "broken"), 4), second);
    assert_eq!(told(&Attempt::Succeeded, 5), None);
}
