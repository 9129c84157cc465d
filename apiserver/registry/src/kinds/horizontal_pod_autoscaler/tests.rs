//! Both versions, by the same rules.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;
use crate::field::texts;

fn autoscaler(version: Version, spec: &Value) -> Object {
    let api_version = if version == Version::V1 { "autoscaling/v1" } else { "autoscaling/v2" };
    let target = json!({"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"});
    let mut object = Object(json!({
        "apiVersion": api_version, "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5},
    }));
    for (field, value) in spec.as_object().into_iter().flatten() {
        object.set(&["spec", field], value.clone());
    }
    Rules(version).default(&mut object);
    Rules(version).prepare_create(&mut object);
    object
}

#[test]
fn who_says_nothing_wants_busy_cpus_and_one_replica() {
    let one = autoscaler(Version::V1, &json!({}));
    assert_eq!(one.integer(&["spec", "targetCPUUtilizationPercentage"]), Some(80));
    let two = autoscaler(Version::V2, &json!({}));
    assert_eq!(two.0["spec"]["metrics"], json!([cpu_metric(80)]));
    assert_eq!(two.integer(&["spec", "minReplicas"]), Some(1));
    assert_eq!(two.get(&["spec", "behavior"]), None);
    for (version, object) in [(Version::V1, one), (Version::V2, two)] {
        assert_eq!(texts(&Rules(version).validate(&object)), [""; 0]);
    }
}

#[test]
fn behavior_that_is_begun_is_completed() {
    let object = autoscaler(Version::V2, &json!({"behavior": {"scaleUp": {"selectPolicy": "Min"}}}));
    let all = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    assert_eq!(
        object.0["spec"]["behavior"],
        json!({
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Min", "policies": [four, all]},
            "scaleDown": {"selectPolicy": "Max", "policies": [all]},
        })
    );
    assert_eq!(texts(&Rules(Version::V2).validate(&object)), [""; 0]);
}

#[test]
fn what_breaks_a_rule_is_told_in_upstreams_words() {
    let metric = |metric: Value| json!({"metrics": [metric]});
    let two =
        |target: Value| metric(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    let cases = [
        (
            json!({"maxReplicas": 0, "minReplicas": null}),
            "spec.maxReplicas: Invalid value: 0: must be greater than or equal to 1",
        ),
        (
            json!({"minReplicas": 6}),
            "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`",
        ),
        (
            json!({"scaleTargetRef": {"kind": "Deployment", "name": ""}}),
            "spec.scaleTargetRef.name: Required value",
        ),
        (
            metric(json!({"type": "Pods"})),
            "spec.metrics[0].pods: Required value: must populate information for the given metric source",
        ),
        (
            two(json!({"type": "Utilization"})),
            "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
        ),
        (
            two(json!({"type": "Utilization", "averageUtilization": 0})),
            "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
        ),
        (
            two(json!({"type": "Often", "averageUtilization": 1})),
            "spec.metrics[0].resource.target.type: Invalid value: \"Often\": must be either Utilization, Value, or AverageValue",
        ),
        (
            json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601}}}),
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
        ),
    ];
    for (spec, text) in cases {
        let mut object = autoscaler(Version::V2, &spec);
        if spec.get("minReplicas") == Some(&Value::Null) {
            object.remove(&["spec", "minReplicas"]);
        }
        assert_eq!(texts(&Rules(Version::V2).validate(&object)), [text]);
    }
    let mut broken = autoscaler(Version::V1, &json!({}));
    broken.set(&["metadata", "annotations", METRICS], "[");
    assert_eq!(Rules(Version::V1).validate(&broken).len(), 1);
}

#[test]
fn what_v1_carries_in_annotations_is_spec_or_status_like_the_rest() {
    let rules = Rules(Version::V1);
    let mut object = autoscaler(Version::V1, &json!({}));
    object.set(&["metadata", "annotations", CONDITIONS], "[]");
    rules.prepare_create(&mut object);
    assert_eq!(object.get(&["metadata", "annotations", CONDITIONS]), None);
    let mut new = object.clone();
    new.set(&["metadata", "annotations", BEHAVIOR], "{}");
    new.set(&["metadata", "annotations", CURRENT_METRICS], "[]");
    new.set(&["status", "desiredReplicas"], 9);
    let mut status = new.clone();
    rules.prepare_update(&mut new, &object);
    assert_eq!(new.generation(), 2);
    assert_eq!(new.get(&["metadata", "annotations", CURRENT_METRICS]), None);
    assert_eq!(new.integer(&["status", "desiredReplicas"]), Some(0));
    rules.prepare_status_update(&mut status, &object);
    assert_eq!(status.get(&["metadata", "annotations", BEHAVIOR]), None);
    assert_eq!(status.text(&["metadata", "annotations", CURRENT_METRICS]), "[]");
    assert_eq!(status.integer(&["status", "desiredReplicas"]), Some(9));
}

#[test]
fn rows_tell_what_is_and_what_ought_to_be() {
    let pods = json!({"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "10"}}});
    let more = json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "3"}}});
    let mut object = autoscaler(Version::V2, &json!({"metrics": [cpu_metric(80), pods, more]}));
    let current =
        json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 50}}});
    object.set(&["status", "currentMetrics"], json!([current]));
    let row = |object: &Object| -> Vec<Value> {
        COLUMNS[1..6].iter().map(|column| (column.cell)(object, OffsetDateTime::UNIX_EPOCH)).collect()
    };
    let targets = "cpu: 50%/80%, <unknown>/10 + 1 more...";
    assert_eq!(row(&object), [json!("Deployment/web"), json!(targets), json!("1"), json!(5), json!(0)]);
    let one = autoscaler(Version::V1, &json!({"targetCPUUtilizationPercentage": 60}));
    assert_eq!(row(&one)[1], json!("cpu: <unknown>/60%"));
}
