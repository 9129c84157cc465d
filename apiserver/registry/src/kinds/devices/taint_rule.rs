//! DeviceTaintRule: a taint for all devices that match.
//!
//! Source: `pkg/apis/resource/validation`, `pkg/registry/resource/devicetaintrule`.

use super::{check_device, check_pool, check_taint};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::{
        condition,
        csi_driver::check_driver_name,
        workload::{advance, begin, differs},
    },
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy},
};

/// The columns of DeviceTaintRules.
pub const COLUMNS: &[Column] = &[NAME, AGE];

/// How a part of a selector is checked.
type Check = fn(&Place<'_>, &mut Vec<FieldError>);

/// The rules of DeviceTaintRules.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::Stays
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let selector = Place::at(object, &["spec", "deviceSelector"]);
        let checks: [(&str, Check); 3] =
            [("driver", check_driver_name), ("pool", check_pool), ("device", check_device)];
        for (field, check) in checks {
            let place = selector.child(field);
            if place.is_set() {
                check(&place, &mut errors);
            }
        }
        check_taint(&Place::at(object, &["spec", "taint"]), &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        condition::validate(&Place::at(object, &["status", "conditions"]), &mut errors);
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_has_a_taint_and_may_select() {
        let rule = |key: &str, device: &str| {
            let spec =
                json!({"deviceSelector": {"device": device}, "taint": {"key": key, "effect": "NoSchedule"}});
            Object(json!({"metadata": {"name": "a"}, "spec": spec}))
        };
        assert_eq!(Rules.validate(&rule("broken", "gpu-0")), []);
        assert_eq!(Rules.validate(&rule("bro ken", "gpu-0")).len(), 1);
        assert_eq!(Rules.validate(&rule("broken", "GPU")).len(), 1);
        let old = rule("broken", "gpu-0");
        let mut new = rule("mended", "gpu-0");
        new.set(&["status"], json!({"conditions": []}));
        Rules.prepare_update(&mut new, &old);
        assert_eq!((new.generation(), new.get(&["status"])), (1, None));
    }
}
