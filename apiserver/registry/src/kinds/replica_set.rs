//! ReplicaSet: a number of pods that are alike.
//!
//! Source: `pkg/apis/apps/validation`, `pkg/registry/apps/replicaset`.

use serde_json::Value;

use super::workload::{
    CONTAINERS, IMAGES, SELECTOR, advance, begin, default_template, differs, drop_disabled, name_warnings,
    template_warnings, validate_long_running, validate_replica_status,
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of ReplicaSets.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Desired", "integer", |object, _| count(object, &["spec", "replicas"])),
    Column::new("Current", "integer", |object, _| count(object, &["status", "replicas"])),
    Column::new("Ready", "integer", |object, _| count(object, &["status", "readyReplicas"])),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

fn count(object: &Object, path: &[&str]) -> Value {
    object.integer(path).unwrap_or(0).into()
}

/// The rules of ReplicaSets.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
        // Go writes this one also where it is zero.
        object.set(&["status", "replicas"], 0);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_disabled(object, Some(old));
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn default(&self, object: &mut Object) {
        object.set_default(&["spec", "replicas"], 1);
        default_template(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        validate_long_running(&Place::at(object, &["spec"]), &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = ["spec", "selector"];
        Place::at(object, &path).unchanged(&Place::at(old, &path), &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
        validate_replica_status(&Place::at(object, &["status"]), &parts, &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = name_warnings(object, old);
        warnings.extend(template_warnings(object, old));
        warnings
    }

    fn field_value(&self, object: &Object, _field: &str) -> String {
        object.integer(&["status", "replicas"]).unwrap_or(0).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replica_set() -> Object {
        let pods = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        });
        let mut object = Object(json!({
            "metadata": {"name": "web-1", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": pods},
        }));
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn it_begins_with_one_replica_at_its_first_generation() {
        let object = replica_set();
        assert_eq!(object.integer(&["spec", "replicas"]), Some(1));
        assert_eq!(object.generation(), 1);
        assert_eq!(Rules.validate(&object), []);
        assert_eq!(Rules.field_value(&object, "status.replicas"), "0");
    }

    #[test]
    fn only_a_change_of_the_spec_counts_as_one() {
        let old = replica_set();
        let mut same = old.clone();
        same.set(&["metadata", "labels", "a"], "b");
        same.set(&["status", "replicas"], 5);
        Rules.prepare_update(&mut same, &old);
        assert_eq!((same.generation(), same.integer(&["status", "replicas"])), (1, Some(0)));
        let mut scaled = old.clone();
        scaled.set(&["spec", "replicas"], 3);
        Rules.prepare_update(&mut scaled, &old);
        assert_eq!(scaled.generation(), 2);
    }

    #[test]
    fn a_status_adds_up() {
        let mut object = replica_set();
        object.set(&["status"], json!({"replicas": 1, "readyReplicas": 2, "availableReplicas": -1}));
        let texts: Vec<String> =
            Rules.validate_status_update(&object, &object).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
    }
}
