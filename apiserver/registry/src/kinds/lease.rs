//! Lease: who leads, until when; and a node's sign of life.
//!
//! Source: `pkg/apis/coordination/validation`, `pkg/registry/coordination/lease`.

use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of Leases.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Holder", "string", |object, _| object.text(&["spec", "holderIdentity"]).into()),
    AGE,
];

/// The rules of Leases.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        drop_gated(object);
    }

    fn prepare_update(&self, object: &mut Object, _old: &Object) {
        drop_gated(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        spec.child("leaseDurationSeconds").positive(&mut errors);
        spec.child("leaseTransitions").non_negative(&mut errors);
        errors
    }

    fn creates_on_update(&self) -> bool {
        true
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

/// Coordinated leader election is a beta that upstream has off.
fn drop_gated(object: &mut Object) {
    for field in ["strategy", "preferredHolder"] {
        object.remove(&["spec", field]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_positive() {
        let lease = Object(json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}));
        let texts: Vec<String> = Rules.validate(&lease).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
    }

    #[test]
    fn gated_fields_are_dropped() {
        let mut lease =
            Object(json!({"spec": {"holderIdentity": "a", "strategy": "OldestEmulationVersion"}}));
        Rules.prepare_create(&mut lease);
        assert_eq!(lease.0, json!({"spec": {"holderIdentity": "a"}}));
    }
}
