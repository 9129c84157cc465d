//! PriorityClass: a name for how important pods are.
//!
//! Deliberately absent: that only one is the default, which takes a look at the others and is admission's.
//!
//! Source: `pkg/apis/scheduling/{v1,validation}`, `pkg/registry/scheduling/priorityclass`.

use serde_json::json;

use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The highest value that is not reserved for the system.
pub const HIGHEST_USER_VALUE: i64 = 1_000_000_000;

/// How the names of the system's own begin.
const SYSTEM_PREFIX: &str = "system-";

/// Name, value, for what.
const SYSTEM: [(&str, i64, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

/// The columns of PriorityClasses.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Value", "integer", |object, _| object.integer(&["value"]).unwrap_or(0).into()),
    Column::new("Global-Default", "boolean", |object, _| is_default(object).into()),
    Column::new("PreemptionPolicy", "string", |object, _| object.text(&["preemptionPolicy"]).into()),
    AGE,
];

fn is_default(object: &Object) -> bool {
    Place::at(object, &["globalDefault"]).flag()
}

/// The system's own, which every cluster has.
pub fn system_classes() -> Vec<Object> {
    let class = |(name, value, description): (&str, i64, &str)| {
        Object(json!({
            "kind": "PriorityClass",
            "apiVersion": "scheduling.k8s.io/v1",
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "description": description,
            "preemptionPolicy": "PreemptLowerPriority",
        }))
    };
    SYSTEM.into_iter().map(class).collect()
}

/// The rules of PriorityClasses.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        object.set(&["metadata", "generation"], old.generation());
    }

    fn default(&self, object: &mut Object) {
        object.set_default(&["preemptionPolicy"], "PreemptLowerPriority");
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let value = Place::at(object, &["value"]);
        if object.name().starts_with(SYSTEM_PREFIX) {
            if let Some(why) = not_the_systems(object) {
                errors.push(FieldError::forbidden("metadata.name", format!(
                    "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
                )));
            }
        } else if value.integer().is_some_and(|value| value > HIGHEST_USER_VALUE) {
            errors.push(value.forbidden(format!(
                "maximum allowed value of a user defined priority is {HIGHEST_USER_VALUE}"
            )));
        }
        let policy = Place::at(object, &["preemptionPolicy"]);
        policy.one_of(&["PreemptLowerPriority", "Never"], &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if object.integer(&["value"]).unwrap_or(0) != old.integer(&["value"]).unwrap_or(0) {
            errors.push(FieldError::forbidden("value", "may not be changed in an update."));
        }
        let path = ["preemptionPolicy"];
        Place::at(object, &path).unchanged(&Place::at(old, &path), &mut errors);
        errors
    }

    fn creates_on_update(&self) -> bool {
        true
    }
}

/// Why a class with a reserved name is not the system's own of that name.
fn not_the_systems(object: &Object) -> Option<String> {
    let name = object.name();
    let Some((_, value, _)) = SYSTEM.iter().find(|(known, _, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if object.integer(&["value"]) != Some(*value) {
        return Some(format!("value of {name} PriorityClass must be {value}"));
    }
    is_default(object).then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::texts;

    fn class(name: &str, value: i64) -> Object {
        let mut class = Object(json!({"metadata": {"name": name}, "value": value}));
        Rules.default(&mut class);
        class
    }

    #[test]
    fn the_system_has_names_and_values_of_its_own() {
        for class in system_classes() {
            assert_eq!(Rules.validate(&class), []);
        }
        assert_eq!(Rules.validate(&class("gold", HIGHEST_USER_VALUE)), []);
        assert_eq!(
            texts(&Rules.validate(&class("gold", HIGHEST_USER_VALUE + 1))),
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]
        );
        let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: ";
        assert_eq!(
            texts(&Rules.validate(&class("system-mine", 1))),
            [format!("{reserved}system-mine is not a known system priority class")]
        );
        assert_eq!(
            texts(&Rules.validate(&class("system-node-critical", 1))),
            [format!("{reserved}value of system-node-critical PriorityClass must be 2000001000")]
        );
    }

    #[test]
    fn value_and_policy_stay() {
        let mut new = class("gold", 2);
        new.set(&["preemptionPolicy"], "Never");
        assert_eq!(
            texts(&Rules.validate_update(&new, &class("gold", 1))),
            [
                "value: Forbidden: may not be changed in an update.",
                "preemptionPolicy: Invalid value: \"Never\": field is immutable",
            ]
        );
    }
}
