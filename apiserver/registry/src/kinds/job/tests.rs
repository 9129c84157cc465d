//! Jobs as upstream makes and judges them.

use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::field::texts;

fn job(spec: &Value) -> Object {
    let pods = json!({
        "metadata": {"labels": {"app": "once"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "once", "image": "once:1"}]},
    });
    let mut object = Object(json!({
        "metadata": {"name": "once", "namespace": "shop", "uid": "u-1"},
        "spec": {"template": pods},
    }));
    for (field, value) in spec.as_object().into_iter().flatten() {
        object.set(&["spec", field], value.clone());
    }
    Rules.default(&mut object);
    Rules.prepare_create(&mut object);
    object
}

#[test]
fn a_new_job_selects_its_pods_by_its_uid() {
    let object = job(&json!({}));
    let spec = &object.0["spec"];
    assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}));
    assert_eq!(
        spec["template"]["metadata"]["labels"],
        json!({
            "app": "once",
            "batch.kubernetes.io/controller-uid": "u-1",
            "batch.kubernetes.io/job-name": "once",
            "controller-uid": "u-1",
            "job-name": "once",
        })
    );
    for (field, value) in [
        ("parallelism", json!(1)),
        ("completions", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
    ] {
        assert_eq!(spec[field], value, "{field}");
    }
    assert_eq!(object.labels(), &json!({"app": "once"}));
    assert_eq!(object.generation(), 1);
    assert_eq!(texts(&Rules.validate(&object)), [""; 0]);
}

#[test]
fn what_an_alpha_feature_would_know_is_dropped_unless_it_was_there() {
    let mut object = job(&json!({"scheduling": {"foo": 1}}));
    assert_eq!(object.get(&["spec", "scheduling"]), None);
    let old = object.clone();
    object.set(&["spec", "scheduling", "foo"], 1);
    let mut again = object.clone();
    Rules.prepare_update(&mut again, &old);
    assert_eq!(again, old);
    let mut kept = object.clone();
    Rules.prepare_update(&mut kept, &object);
    assert_eq!(kept, object);
}

#[test]
fn parallelism_alone_means_a_work_queue() {
    let object = job(&json!({"parallelism": 3}));
    assert_eq!(object.get(&["spec", "completions"]), None);
    assert_eq!(completions(&object), "0/1 of 3");
}

#[test]
fn what_breaks_a_rule_is_told_in_upstreams_words() {
    let always = json!({
        "metadata": {"labels": {"app": "once"}},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "once", "image": "once:1"}]},
    });
    let cases = [
        (
            json!({"completions": -1}),
            "spec.completions: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"template": always}),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            json!({"selector": {"matchLabels": {"app": "once"}}, "manualSelector": false}),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"once\",\"batch.kubernetes.io/controller-uid\":\"u-1\"}}: `selector` not auto-generated",
        ),
        (
            json!({"completionMode": "Indexed", "parallelism": 2}),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            json!({"successPolicy": {"rules": [{"succeededCount": 1}]}}),
            "spec.successPolicy: Invalid value: {\"rules\":[{\"succeededCount\":1}]}: requires indexed completion mode",
        ),
        (
            json!({"maxFailedIndexes": 1, "backoffLimitPerIndex": 1}),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
    ];
    for (spec, text) in cases {
        assert_eq!(texts(&Rules.validate(&job(&spec))).first().map(String::as_str), Some(text));
    }
}

#[test]
fn policies_are_judged_by_what_they_are_about() {
    let codes = |fields: Value| {
        let mut codes = json!({"operator": "In", "values": [1, 3]});
        for (field, value) in fields.as_object().unwrap() {
            codes[field] = value.clone();
        }
        json!({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": codes}]}})
    };
    let success = |rule: Value| {
        json!({
            "completionMode": "Indexed", "completions": 3, "parallelism": 1, "successPolicy": {"rules": [rule]},
        })
    };
    let rule = "spec.podFailurePolicy.rules[0]";
    let enough = "spec.successPolicy.rules[0]";
    let condition = json!([{"type": "DisruptionTarget"}]);
    let cases = [
        (
            json!({"podFailurePolicy": {"rules": [{"action": "FailIndex", "onPodConditions": condition}]}}),
            format!(
                "{rule}.action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set"
            ),
        ),
        (
            json!({"podFailurePolicy": {"rules": [{"onPodConditions": condition}]}}),
            format!(
                "{rule}.action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"
            ),
        ),
        (
            json!({"podFailurePolicy": {"rules": [{"action": "Ignore"}]}}),
            format!("{rule}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"),
        ),
        (
            codes(json!({"values": [3, 1]})),
            format!("{rule}.onExitCodes.values: Invalid value: [3,1]: must be ordered"),
        ),
        (
            codes(json!({"values": []})),
            format!("{rule}.onExitCodes.values: Invalid value: []: at least one value is required"),
        ),
        (
            codes(json!({"values": (1..257).collect::<Vec<i32>>()})),
            format!("{rule}.onExitCodes.values: Too many: 256: must have at most 255 items"),
        ),
        (
            codes(json!({"containerName": "other"})),
            format!(
                "{rule}.onExitCodes.containerName: Invalid value: \"other\": must be one of the container or \
                 initContainer names in the pod template"
            ),
        ),
        (
            success(json!({"succeededIndexes": "x"})),
            format!(
                "{enough}.succeededIndexes: Invalid value: \"x\": error parsing succeededIndexes: cannot convert \
                 string to integer for index: \"x\""
            ),
        ),
        (
            success(json!({"succeededIndexes": "0-9"})),
            format!(
                "{enough}.succeededIndexes: Invalid value: \"0-9\": error parsing succeededIndexes: too large index: \
                 \"9\""
            ),
        ),
        (
            success(json!({"succeededCount": 9})),
            format!(
                "{enough}.succeededCount: Invalid value: 9: must be less than or equal to 3 (the number of specified \
                 completions)"
            ),
        ),
        (
            success(json!({"succeededCount": 3, "succeededIndexes": "0-1"})),
            format!(
                "{enough}.succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in \
                 the specified succeededIndexes field)"
            ),
        ),
    ];
    for (spec, text) in cases {
        assert_eq!(texts(&Rules.validate(&job(&spec))), [text]);
    }
}

#[test]
fn very_many_indexes_fail_a_few_at_a_time() {
    let many = |fields: Value| {
        let mut spec = json!({
            "completionMode": "Indexed", "completions": 200_000, "parallelism": 20_000, "backoffLimitPerIndex": 1,
        });
        for (field, value) in fields.as_object().unwrap() {
            spec[field] = value.clone();
        }
        texts(&Rules.validate(&job(&spec)))
    };
    let tail = "when completions are above 100000 and used with backoff limit per index";
    let parallel =
        format!("spec.parallelism: Invalid value: 20000: must be less than or equal to 10000 {tail}");
    assert_eq!(
        many(json!({})),
        [
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
            &parallel
        ]
    );
    assert_eq!(
        many(json!({"maxFailedIndexes": 150_000, "parallelism": 1})),
        [
            "spec.maxFailedIndexes: Invalid value: 150000: must be less than or equal to 100000".to_owned(),
            format!(
                "spec.maxFailedIndexes: Invalid value: 150000: must be less than or equal to 10000 {tail}"
            ),
        ]
    );
}

#[test]
fn template_selector_and_completions_stay() {
    let old = job(&json!({}));
    let mut new = old.clone();
    new.set(&["spec", "completions"], 2);
    new.set(&["spec", "template", "spec", "nodeSelector", "disk"], "ssd");
    let found = texts(&Rules.validate_update(&new, &old));
    assert_eq!(found[0], "spec.completions: Invalid value: 2: field is immutable");
    assert!(
        found[1].starts_with("spec.template: Invalid value: ") && found[1].ends_with("field is immutable")
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_suspended_job_that_never_started_may_be_sent_elsewhere() {
    let old = job(&json!({"suspend": true}));
    let mut new = old.clone();
    new.set(&["spec", "template", "spec", "nodeSelector", "disk"], "ssd");
    assert_eq!(Rules.validate_update(&new, &old), []);
    let mut started = old.clone();
    started.set(&["status", "startTime"], "2026-01-01T00:00:00Z");
    assert_eq!(Rules.validate_update(&new, &started).len(), 1);
}

#[test]
fn an_indexed_job_is_elastic() {
    let old = job(&json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2}));
    let mut new = old.clone();
    new.set(&["spec", "completions"], 3);
    assert_eq!(
        texts(&Rules.validate_update(&new, &old)),
        ["spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"]
    );
    new.set(&["spec", "parallelism"], 3);
    assert_eq!(Rules.validate_update(&new, &old), []);
}

#[test]
fn columns_tell_how_far_it_is() {
    let mut object = job(&json!({}));
    let now = datetime!(2026-01-01 00:10:00 UTC);
    let row = |object: &Object| -> Vec<Value> {
        COLUMNS[1..4].iter().map(|column| (column.cell)(object, now)).collect()
    };
    assert_eq!(row(&object), [json!("Running"), json!("0/1"), json!("")]);
    object.set(
        &["status"],
        json!({
            "succeeded": 1,
            "startTime": "2026-01-01T00:00:00Z",
            "completionTime": "2026-01-01T00:00:05Z",
            "conditions": [{"type": "Complete", "status": "True"}],
        }),
    );
    assert_eq!(row(&object), [json!("Complete"), json!("1/1"), json!("5s")]);
    assert_eq!(Rules.field_value(&object, "status.successful"), "1");
}

#[test]
fn more_indexes_than_can_be_noted_are_warned_of() {
    let many = json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001});
    assert_eq!(
        Rules.warnings(&job(&many), None),
        [
            "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
          Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ]
    );
    let fewer = json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_000});
    assert_eq!(Rules.warnings(&job(&fewer), None), [""; 0]);
    assert_eq!(Rules.warnings(&job(&json!({})), None), [""; 0]);
}
