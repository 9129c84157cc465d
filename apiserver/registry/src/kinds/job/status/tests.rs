//! Statuses that no Job can come to have.

use serde_json::json;

use super::*;
use crate::field::texts;

fn job(spec: &Value, status: &Value) -> Object {
    Object(json!({"metadata": {"name": "once"}, "spec": spec, "status": status}))
}

fn conditions(kinds: &[&str]) -> Value {
    kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect()
}

/// What is wrong with a status of a Job that had another.
fn changed(spec: &Value, old: &Value, new: &Value) -> Vec<String> {
    texts(&validate(&job(spec, new), &job(spec, old)))
}

const START: &str = "2026-01-01T00:00:00Z";
const END: &str = "2026-01-01T00:01:00Z";

#[test]
fn what_controllers_write_is_legal() {
    let plain = json!({"completions": 1, "completionMode": "NonIndexed"});
    let started = json!({"startTime": START, "active": 1, "ready": 1, "uncountedTerminatedPods": {}});
    let counted = json!({
        "startTime": START, "ready": 0, "uncountedTerminatedPods": {"succeeded": ["u"]},
        "conditions": conditions(&["SuccessCriteriaMet"]),
    });
    let ended = json!({
        "startTime": START, "completionTime": END, "succeeded": 1, "ready": 0, "uncountedTerminatedPods": {},
        "conditions": conditions(&["SuccessCriteriaMet", "Complete"]),
    });
    let failed = json!({
        "startTime": START, "failed": 1, "uncountedTerminatedPods": {},
        "conditions": conditions(&["FailureTarget", "Failed"]),
    });
    for (old, new) in [
        (&json!({}), &started),
        (&started, &counted),
        (&counted, &ended),
        (&ended, &ended),
        (&started, &failed),
    ] {
        assert_eq!(changed(&plain, old, new), [""; 0], "{new}");
    }
    let suspended = json!({"completions": 1, "suspend": true});
    assert_eq!(changed(&suspended, &started, &json!({"uncountedTerminatedPods": {}})), [""; 0]);
    let indexed = json!({"completions": 9, "completionMode": "Indexed", "backoffLimitPerIndex": 1});
    let indexes = json!({"completedIndexes": "0-2,4", "failedIndexes": "3", "succeeded": 4});
    assert_eq!(changed(&indexed, &json!({}), &indexes), [""; 0]);
}

#[test]
fn a_job_ends_one_way() {
    let spec = json!({"completions": 1});
    let end = |kinds: &[&str]| {
        let mut status = json!({"startTime": START, "conditions": conditions(kinds)});
        if kinds.contains(&"Complete") {
            status["completionTime"] = END.into();
        }
        changed(&spec, &json!({"startTime": START}), &status)
    };
    assert_eq!(
        end(&["SuccessCriteriaMet", "FailureTarget", "Complete", "Failed"]),
        [
            "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
            "status.conditions: Invalid value: cannot set Complete=True and FailureTarget=true conditions",
            "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions",
            "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        ]
    );
    assert_eq!(
        end(&["Complete"]),
        ["status.conditions: Invalid value: cannot set Complete=True condition without the \
          SuccessCriteriaMet=true condition"]
    );
    assert_eq!(
        end(&["Failed"]),
        [
            "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true \
          condition"
        ]
    );
    let spec = json!({"completions": 1, "completionMode": "Indexed", "successPolicy": {"rules": [{"succeededCount": 1}]}});
    let old = json!({"startTime": START, "completionTime": END, "conditions": conditions(&["Complete"])});
    assert_eq!(
        changed(&spec, &old, &old),
        ["status.conditions: Invalid value: cannot set Complete=True for Job with SuccessPolicy unless \
          SuccessCriteriaMet=True"]
    );
}

#[test]
fn times_belong_to_a_completed_job_and_stay() {
    let spec = json!({"completions": 1});
    let complete = conditions(&["SuccessCriteriaMet", "Complete"]);
    let ended = json!({"startTime": START, "completionTime": END, "conditions": complete});
    let cases = [
        (
            json!({"startTime": START}),
            json!({"startTime": START, "completionTime": END}),
            "status.completionTime: Invalid value: \"2026-01-01T00:01:00Z\": cannot set completionTime when there is no \
             Complete=True condition",
        ),
        (
            json!({"startTime": START}),
            json!({"startTime": START, "conditions": complete}),
            "status.completionTime: Required value: completionTime is required for Complete jobs",
        ),
        (
            json!({}),
            json!({"completionTime": END, "conditions": complete}),
            "status.startTime: Required value: startTime is required for finished job",
        ),
        (
            json!({}),
            json!({"startTime": END, "completionTime": START, "conditions": complete}),
            "status.completionTime: Invalid value: \"2026-01-01T00:00:00Z\": completionTime cannot be set before \
             startTime",
        ),
        (
            ended.clone(),
            json!({"startTime": START, "completionTime": "2026-01-01T00:02:00Z", "conditions": complete}),
            "status.completionTime: Invalid value: \"2026-01-01T00:02:00Z\": completionTime cannot be mutated",
        ),
        (
            json!({"startTime": START}),
            json!({}),
            "status.startTime: Required value: startTime cannot be removed for unsuspended job",
        ),
    ];
    for (old, new, text) in cases {
        assert_eq!(changed(&spec, &old, &new), [text]);
    }
}

#[test]
fn nothing_is_left_of_a_finished_job() {
    let status = json!({
        "startTime": START, "completionTime": END, "active": 1, "terminating": 1,
        "uncountedTerminatedPods": {"failed": ["u"]}, "conditions": conditions(&["SuccessCriteriaMet", "Complete"]),
    });
    assert_eq!(
        changed(&json!({"completions": 1}), &json!({"startTime": START}), &status),
        [
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            "status.uncountedTerminatedPods: Invalid value: {\"failed\":[\"u\"]}: uncountedTerminatedPods needs to be \
             empty for finished job",
            "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
        ]
    );
}

#[test]
fn lists_of_indexes_and_of_pods_are_well_formed() {
    let plain = json!({"completions": 3, "completionMode": "NonIndexed"});
    let indexed = json!({"completions": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 1});
    let cases = [
        (
            &plain,
            json!({"completedIndexes": "1"}),
            "status.completedIndexes: Invalid value: \"1\": cannot set non-empty completedIndexes when non-indexed \
             completion mode",
        ),
        (
            &plain,
            json!({"failedIndexes": "1"}),
            "status.failedIndexes: Invalid value: \"1\": cannot set non-null failedIndexes when backoffLimitPerIndex \
             is null",
        ),
        (
            &indexed,
            json!({"completedIndexes": "0-9"}),
            "status.completedIndexes: Invalid value: \"0-9\": error parsing completedIndexes: too large index: \"9\"",
        ),
        (
            &indexed,
            json!({"failedIndexes": "x"}),
            "status.failedIndexes: Invalid value: \"x\": error parsing failedIndexes: cannot convert string to integer \
             for index: \"x\"",
        ),
        (
            &indexed,
            json!({"completedIndexes": "0,1", "failedIndexes": "1"}),
            "status.failedIndexes: Invalid value: \"1\": failedIndexes and completedIndexes overlap at index: 1",
        ),
        (
            &plain,
            json!({"uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["a"]}}),
            "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
        ),
        (
            &plain,
            json!({"uncountedTerminatedPods": {"succeeded": [""]}}),
            "status.uncountedTerminatedPods.succeeded[0]: Invalid value: \"\": must not be empty",
        ),
        (
            &plain,
            json!({"ready": 2, "active": 1}),
            "status.ready: Invalid value: 2: cannot set more ready pods than active",
        ),
    ];
    for (spec, status, text) in cases {
        assert_eq!(changed(spec, &json!({}), &status), [text]);
    }
}

#[test]
fn what_has_come_to_be_so_stays_so() {
    let spec = json!({"completions": 3});
    let old = json!({"failed": 2, "succeeded": 2, "conditions": conditions(&["FailureTarget"])});
    assert_eq!(
        changed(&spec, &old, &json!({"failed": 1})),
        [
            "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
            "status.failed: Invalid value: 1: cannot decrease the failed counter",
            "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
        ]
    );
    let old = json!({"conditions": conditions(&["SuccessCriteriaMet"])});
    assert_eq!(
        changed(&spec, &old, &json!({})),
        ["status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition"]
    );
    let elastic = json!({"completions": 1, "parallelism": 1, "completionMode": "Indexed"});
    assert_eq!(changed(&elastic, &json!({"succeeded": 3}), &json!({"succeeded": 1})), [""; 0]);
}
