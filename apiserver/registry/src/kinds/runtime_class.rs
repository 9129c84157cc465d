//! RuntimeClass: which handler of the container runtime runs a pod, what that costs, and where there is one.
//!
//! Deliberately absent: what pods get from it, which is admission's.
//!
//! Source: `pkg/apis/node/validation`, `pkg/registry/node/runtimeclass`.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_dns1123_label;

use super::{
    metadata, node_label,
    pod::{resources, scheduling},
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

const HANDLER: [&str; 1] = ["handler"];

/// The columns of RuntimeClasses.
pub const COLUMNS: &[Column] =
    &[NAME, Column::new("Handler", "string", |object, _| object.text(&HANDLER).into()), AGE];

/// The rules of RuntimeClasses.
pub struct Rules;

impl Strategy for Rules {
    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let handler = Place::at(object, &HANDLER);
        errors.extend(handler.each_invalid(check_dns1123_label(handler.text())));
        // Upstream reads what a pod costs as limits, and says so in its paths.
        let costs = Place::at(object, &["overhead", "podFixed"]).shown_as("overhead.podFixed.limits");
        for (name, amount) in costs.entries() {
            resources::container_resource(name, &amount, &mut errors);
            resources::quantity(name, &amount, &mut errors);
        }
        let place = Place::at(object, &["scheduling"]);
        metadata::labels(&place.child("nodeSelector"), &mut errors);
        let tolerations = place.child("tolerations");
        scheduling::tolerations(&tolerations, &mut errors);
        let mut seen = BTreeSet::new();
        for toleration in tolerations.items() {
            if !seen.insert(toleration.value().map(ToString::to_string)) {
                errors.push(toleration.duplicate());
            }
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &HANDLER).unchanged(&Place::at(old, &HANDLER), &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        let selector = Place::at(object, &["scheduling", "nodeSelector"]);
        let reasons = selector.entries().filter_map(|(label, _)| node_label::deprecated(label));
        // Upstream does not tell which label.
        reasons.map(|why| format!("{}: {why}", selector.path())).collect()
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_handler_has_a_name_and_stays() {
        let texts =
            |errors: Vec<FieldError>| -> Vec<String> { errors.iter().map(ToString::to_string).collect() };
        let class = |handler: &str, cost: &str| {
            Object(json!({
                "metadata": {"name": "vm"}, "handler": handler, "overhead": {"podFixed": {"cpu": cost}},
                "scheduling": {"tolerations": [{"key": "vm", "operator": "Exists"}]},
            }))
        };
        let old = class("kata", "100m");
        assert_eq!(Rules.validate(&old), []);
        assert_eq!(
            texts(Rules.validate(&class("kata", "-1"))),
            ["overhead.podFixed.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"]
        );
        assert!(
            texts(Rules.validate(&class("Kata", "1")))[0].starts_with("handler: Invalid value: \"Kata\"")
        );
        assert_eq!(
            texts(Rules.validate_update(&class("runc", "1"), &old)),
            ["handler: Invalid value: \"runc\": field is immutable"]
        );
        let mut twice = old.clone();
        twice.set(&["scheduling", "tolerations"], json!([{"operator": "Exists"}, {"operator": "Exists"}]));
        assert_eq!(
            texts(Rules.validate(&twice)),
            ["scheduling.tolerations[1]: Duplicate value: {\"operator\":\"Exists\"}"]
        );
    }

    #[test]
    fn older_labels_of_nodes_are_warned_of() {
        let selector = json!({"beta.kubernetes.io/arch": "x", "kubernetes.io/os": "linux"});
        assert_eq!(
            Rules.warnings(&Object(json!({"scheduling": {"nodeSelector": selector}})), None),
            ["scheduling.nodeSelector: deprecated since v1.14; use \"kubernetes.io/arch\" instead"]
        );
    }
}
