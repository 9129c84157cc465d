//! PodDisruptionBudget: how many of its pods may be away at a time because somebody evicts them.
//!
//! Deliberately absent: counting pods, which is the disruption controller's, and judging evictions
//! ([`crate::eviction`]).
//!
//! Source: `pkg/apis/policy/validation`, `pkg/registry/policy/poddisruptionbudget`.

use keelson_api_schema::format::check_path_segment_name;
use serde_json::{Value, json};

use super::{
    condition, metadata,
    workload::{advance, begin, differs, validate_at_most_all, validate_bound},
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of PodDisruptionBudgets.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Min Available", "string", |object, _| bound(object, "minAvailable").into()),
    Column::new("Max Unavailable", "string", |object, _| bound(object, "maxUnavailable").into()),
    Column::new("Allowed Disruptions", "integer", |object, _| {
        object.integer(&["status", "disruptionsAllowed"]).unwrap_or(0).into()
    }),
    AGE,
];

fn bound(object: &Object, field: &str) -> String {
    match object.get(&["spec", field]) {
        None => "N/A".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The rules of PodDisruptionBudgets.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
        object.set(
            &["status"],
            json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}),
        );
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        let (least, most) = (spec.child("minAvailable"), spec.child("maxUnavailable"));
        if least.is_set() && most.is_set() {
            errors.push(spec.invalid("minAvailable and maxUnavailable cannot be both set"));
        }
        for bound in [least, most] {
            validate_bound(&bound, &mut errors);
            validate_at_most_all(&bound, &mut errors);
        }
        metadata::label_selector(&spec.child("selector"), &mut errors);
        let policy = spec.child("unhealthyPodEvictionPolicy");
        if policy.is_set() {
            policy.one_of(&["AlwaysAllow", "IfHealthyBudget"], &mut errors);
        }
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let status = Place::at(object, &["status"]);
        condition::validate(&status.child("conditions"), &mut errors);
        for count in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
            status.child(count).non_negative(&mut errors);
        }
        errors
    }

    fn check_name(&self, name: &str) -> Vec<String> {
        check_path_segment_name(name)
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn budget(spec: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}));
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn bounds_are_one_of_two_and_no_more_than_all() {
        assert_eq!(Rules.validate(&budget(&json!({"minAvailable": "50%"}))), []);
        let cases = [
            (
                json!({"minAvailable": 1, "maxUnavailable": 1}),
                "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1}: minAvailable and maxUnavailable cannot be both set",
            ),
            (
                json!({"maxUnavailable": -1}),
                "spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                json!({"minAvailable": "101%"}),
                "spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                json!({"unhealthyPodEvictionPolicy": "Never"}),
                "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&budget(&spec))), [text]);
        }
    }

    #[test]
    fn a_new_budget_allows_nothing_until_its_pods_are_counted() {
        let mut object = Object(json!({"spec": {"minAvailable": 1}, "status": {"disruptionsAllowed": 9}}));
        Rules.prepare_create(&mut object);
        assert_eq!(object.integer(&["status", "disruptionsAllowed"]), Some(0));
        assert_eq!(object.generation(), 1);
        let mut new = object.clone();
        new.set(&["spec", "minAvailable"], 2);
        new.set(&["status", "disruptionsAllowed"], 9);
        Rules.prepare_update(&mut new, &object);
        assert_eq!((new.generation(), new.integer(&["status", "disruptionsAllowed"])), (2, Some(0)));
        new.set(&["status", "expectedPods"], -1);
        assert_eq!(
            texts(&Rules.validate_status_update(&new, &object)),
            ["status.expectedPods: Invalid value: -1: must be greater than or equal to 0"]
        );
    }

    #[test]
    fn rows_are_upstreams() {
        let object = budget(&json!({"maxUnavailable": "10%"}));
        let now = OffsetDateTime::UNIX_EPOCH;
        let row: Vec<Value> = COLUMNS[1..4].iter().map(|column| (column.cell)(&object, now)).collect();
        assert_eq!(row, [json!("N/A"), json!("10%"), json!(0)]);
    }
}
