//! Deployment: pods that are alike, and how one generation of them replaces another.
//!
//! Source: `pkg/apis/apps/{v1/defaults,validation}`, `pkg/registry/apps/deployment`.

use serde_json::Value;

use super::workload::{
    CONTAINERS, IMAGES, SELECTOR, advance, begin, bound_is_zero, default_template, differs, drop_disabled,
    name_warnings, template_warnings, validate_at_most_all, validate_bound, validate_collisions,
    validate_long_running, validate_replica_status,
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy},
};

/// The columns of Deployments.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Ready", "string", |object, _| {
        let ready = object.integer(&["status", "readyReplicas"]).unwrap_or(0);
        format!("{ready}/{}", object.integer(&["spec", "replicas"]).unwrap_or(0)).into()
    }),
    Column::new("Up-to-date", "string", |object, _| count(object, "updatedReplicas")),
    Column::new("Available", "string", |object, _| count(object, "availableReplicas")),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

fn count(object: &Object, field: &str) -> Value {
    object.integer(&["status", field]).unwrap_or(0).into()
}

/// The rules of Deployments.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_disabled(object, Some(old));
        let changed = differs(object, old, &["spec"]) || differs(object, old, &["metadata", "annotations"]);
        advance(object, old, changed);
    }

    fn default(&self, object: &mut Object) {
        object.set_default(&["spec", "replicas"], 1);
        object.set_default(&["spec", "revisionHistoryLimit"], 10);
        object.set_default(&["spec", "progressDeadlineSeconds"], 600);
        if object.text(&["spec", "strategy", "type"]).is_empty() {
            object.set(&["spec", "strategy", "type"], "RollingUpdate");
        }
        if object.text(&["spec", "strategy", "type"]) == "RollingUpdate" {
            for bound in ["maxUnavailable", "maxSurge"] {
                object.set_default(&["spec", "strategy", "rollingUpdate", bound], "25%");
            }
        }
        default_template(object);
    }

    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::LabelsStay
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        validate_long_running(&spec, &mut errors);
        validate_strategy(&spec.child("strategy"), &mut errors);
        spec.child("revisionHistoryLimit").non_negative(&mut errors);
        let deadline = spec.child("progressDeadlineSeconds");
        deadline.non_negative(&mut errors);
        let least = spec.child("minReadySeconds").integer().unwrap_or(0);
        if deadline.integer().is_some_and(|deadline| deadline <= least) {
            errors.push(deadline.invalid("must be greater than minReadySeconds"));
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = ["spec", "selector"];
        Place::at(object, &path).unchanged(&Place::at(old, &path), &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let status = Place::at(object, &["status"]);
        let parts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
        validate_replica_status(&status, &parts, &mut errors);
        status.child("unavailableReplicas").non_negative(&mut errors);
        validate_collisions(&status, old, &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = name_warnings(object, old);
        warnings.extend(template_warnings(object, old));
        warnings
    }
}

fn validate_strategy(strategy: &Place<'_>, errors: &mut Vec<FieldError>) {
    let rolling = strategy.child("rollingUpdate");
    match strategy.child("type").text() {
        "Recreate" if rolling.is_set() => {
            errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
        }
        "Recreate" => {}
        "RollingUpdate" => validate_rolling(&rolling, errors),
        _ => errors.push(strategy.child("type").not_supported(&["Recreate", "RollingUpdate"])),
    }
}

fn validate_rolling(rolling: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (unavailable, surge) = (rolling.child("maxUnavailable"), rolling.child("maxSurge"));
    for bound in [&unavailable, &surge] {
        validate_bound(bound, errors);
    }
    if bound_is_zero(&unavailable) && bound_is_zero(&surge) {
        errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
    }
    validate_at_most_all(&unavailable, errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::texts;

    fn deployment(spec: &Value) -> Object {
        let pods = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        });
        let mut object = Object(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": pods},
        }));
        for (field, value) in spec.as_object().into_iter().flatten() {
            object.set(&["spec", field], value.clone());
        }
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn defaults_are_upstreams() {
        let object = deployment(&json!({}));
        let spec = &object.0["spec"];
        assert_eq!(spec["replicas"], 1);
        assert_eq!(spec["revisionHistoryLimit"], 10);
        assert_eq!(spec["progressDeadlineSeconds"], 600);
        let rolling = json!({"maxUnavailable": "25%", "maxSurge": "25%"});
        assert_eq!(spec["strategy"], json!({"type": "RollingUpdate", "rollingUpdate": rolling}));
        assert_eq!(Rules.validate(&object), []);
        let recreate = deployment(&json!({"strategy": {"type": "Recreate"}}));
        assert_eq!(recreate.0["spec"]["strategy"], json!({"type": "Recreate"}));
        assert_eq!(Rules.validate(&recreate), []);
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let zero = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}});
        let recreate = json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}});
        let cases = [
            (json!({"replicas": -1}), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            (
                json!({"selector": {"matchLabels": {"app": "api"}}}),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
            ),
            (
                json!({"strategy": zero}),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ),
            (
                json!({"strategy": recreate}),
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ),
            (
                json!({"strategy": {"type": "Blue"}}),
                "spec.strategy.type: Unsupported value: \"Blue\": supported values: \"Recreate\", \"RollingUpdate\"",
            ),
            (
                json!({"minReadySeconds": 600}),
                "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&deployment(&spec))), [text]);
        }
    }

    #[test]
    fn no_selector_selects_nothing() {
        assert_eq!(
            texts(&Rules.validate(&deployment(&json!({"selector": null})))),
            [
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template \
                 `labels`",
            ]
        );
    }

    #[test]
    fn the_selector_stays() {
        let (old, new) =
            (deployment(&json!({})), deployment(&json!({"selector": {"matchLabels": {"a": "b"}}})));
        assert_eq!(
            texts(&Rules.validate_update(&new, &old)),
            ["spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: field is immutable"]
        );
    }

    #[test]
    fn annotations_count_as_a_change() {
        let old = deployment(&json!({}));
        let mut new = old.clone();
        new.set(&["metadata", "annotations", "a"], "b");
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.generation(), 2);
    }

    #[test]
    fn collisions_only_grow() {
        let mut old = deployment(&json!({}));
        old.set(&["status", "collisionCount"], 2);
        let mut new = old.clone();
        new.set(&["status", "collisionCount"], 1);
        assert_eq!(
            texts(&Rules.validate_status_update(&new, &old)),
            ["status.collisionCount: Invalid value: 1: cannot be decremented"]
        );
    }
}
