//! ReplicationController: a number of pods that are alike, from before there were ReplicaSets.
//!
//! Source: `pkg/apis/core/{v1/defaults,validation}`, `pkg/registry/core/replicationcontroller`.

use keelson_api_schema::selector::LabelSelector;
use serde_json::Value;

use super::{
    pod::{self, template},
    workload::{
        CONTAINERS, IMAGES, advance, begin, default_template, differs, drop_disabled, is_new_generation,
        name_warnings, validate_replica_status,
    },
};
use crate::{
    columns::{self, AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of ReplicationControllers.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Desired", "integer", |object, _| count(object, &["spec", "replicas"])),
    Column::new("Current", "integer", |object, _| count(object, &["status", "replicas"])),
    Column::new("Ready", "integer", |object, _| count(object, &["status", "readyReplicas"])),
    AGE,
    CONTAINERS,
    IMAGES,
    Column::wide("Selector", "string", |object, _| columns::labels(object.map(&["spec", "selector"])).into()),
];

fn count(object: &Object, path: &[&str]) -> Value {
    object.integer(path).unwrap_or(0).into()
}

/// The rules of ReplicationControllers.
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

    /// What it does not say of itself, its pods' labels say.
    fn default(&self, object: &mut Object) {
        let labels = object.get(&["spec", "template", "metadata", "labels"]).cloned();
        if let Some(labels) = labels.filter(|labels| labels.as_object().is_some_and(|map| !map.is_empty())) {
            for path in [["spec", "selector"], ["metadata", "labels"]] {
                if object.map(&path).is_none_or(serde_json::Map::is_empty) {
                    object.set(&path, labels.clone());
                }
            }
        }
        object.set_default(&["spec", "replicas"], 1);
        default_template(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        spec.child("minReadySeconds").non_negative(&mut errors);
        let (selector, pods) = (spec.child("selector"), spec.child("template"));
        if selector.is_empty() {
            errors.push(selector.required(""));
        }
        spec.child("replicas").non_negative(&mut errors);
        if !pods.is_set() {
            errors.push(pods.required(""));
            return errors;
        }
        let labels = pods.child("metadata").child("labels");
        let parsed = LabelSelector::from_map(selector.value().unwrap_or(&Value::Null));
        if !parsed.matches_labels(labels.value().unwrap_or(&Value::Null)) {
            let shown = labels.value().cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            let detail = "`selector` does not match template `labels`";
            errors.push(FieldError::invalid(labels.path(), shown, detail));
        }
        template::validate(&pods, &mut errors);
        pods.child("spec").child("restartPolicy").one_of(&["Always"], &mut errors);
        let deadline = pods.child("spec").child("activeDeadlineSeconds");
        if deadline.is_set() {
            errors
                .push(deadline.forbidden("activeDeadlineSeconds in ReplicationController is not Supported"));
        }
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
        validate_replica_status(&Place::at(object, &["status"]), &parts, &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        // When one is changed, upstream passes the templates in the wrong order, and so judges the old one.
        let judged = old.unwrap_or(object);
        let mut warnings = name_warnings(object, old);
        if is_new_generation(object, old) {
            warnings.extend(pod::warnings::of_template(&Place::at(judged, &["spec", "template"])));
        }
        warnings
    }

    fn orphans_dependents(&self) -> bool {
        true
    }

    fn field_value(&self, object: &Object, _field: &str) -> String {
        object.integer(&["status", "replicas"]).unwrap_or(0).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn controller(spec: &Value) -> Object {
        let pods = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        });
        let mut object =
            Object(json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": pods}}));
        for (field, value) in spec.as_object().into_iter().flatten() {
            object.set(&["spec", field], value.clone());
        }
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn selector_and_labels_are_those_of_its_pods_unless_it_says_otherwise() {
        let object = controller(&json!({}));
        assert_eq!(object.0["spec"]["selector"], json!({"app": "web"}));
        assert_eq!(object.labels(), &json!({"app": "web"}));
        assert_eq!(object.integer(&["spec", "replicas"]), Some(1));
        assert_eq!(texts(&Rules.validate(&object)), [""; 0]);
        assert!(Rules.orphans_dependents());
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let cases = [
            (
                json!({"selector": {"app": "api"}}),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
            ),
            (json!({"replicas": -1}), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            (json!({"template": null, "selector": {"a": "b"}}), "spec.template: Required value"),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&controller(&spec))), [text]);
        }
    }

    #[test]
    fn rows_and_generations_are_upstreams() {
        let old = controller(&json!({"replicas": 2}));
        let now = OffsetDateTime::UNIX_EPOCH;
        let row: Vec<Value> = [1, 2, 3, 7].map(|at| (COLUMNS[at].cell)(&old, now)).into();
        assert_eq!(row, [json!(2), json!(0), json!(0), json!("app=web")]);
        let mut new = old.clone();
        new.set(&["spec", "replicas"], 3);
        new.set(&["status", "replicas"], 3);
        Rules.prepare_update(&mut new, &old);
        assert_eq!((new.generation(), Rules.field_value(&new, "status.replicas")), (2, "0".to_owned()));
    }

    /// Upstream passes the templates of a change in the wrong order.
    #[test]
    fn of_a_change_the_old_template_is_judged() {
        let old = controller(&json!({}));
        let mut new = old.clone();
        new.set(&["spec", "template", "spec", "terminationGracePeriodSeconds"], -1);
        Rules.prepare_update(&mut new, &old);
        assert_eq!(Rules.warnings(&new, Some(&old)), [""; 0]);
        assert_eq!(Rules.warnings(&new, None).len(), 1);
        let mut newer = old.clone();
        Rules.prepare_update(&mut newer, &new);
        assert_eq!(Rules.warnings(&newer, Some(&new)).len(), 1);
    }
}
