//! CSINode: which drivers of volumes run on a node, under the node's name.
//!
//! Source: `pkg/apis/storage/validation`, `pkg/registry/storage/csinode`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{csi_driver::check_driver_name, metadata};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The longest name that a driver has for a node, in bytes.
const NODE_ID_MAX: usize = 192;

/// The columns of CSINodes.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Drivers", "integer", |object, _| object.list(&["spec", "drivers"]).len().into()),
    AGE,
];

/// The rules of CSINodes.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        // What drivers tell of their volumes' health is an alpha feature.
        object.remove(&["status"]);
    }

    fn prepare_update(&self, object: &mut Object, _old: &Object) {
        object.remove(&["status"]);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut seen = BTreeSet::new();
        for driver in Place::at(object, &["spec", "drivers"]).items() {
            let name = driver.child("name");
            check_driver_name(&name, &mut errors);
            check_driver(&driver, &mut errors);
            if !seen.insert(name.text()) {
                errors.push(name.duplicate());
            }
        }
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        // How many volumes a node takes may change.
        let fixed = |driver: &Value| {
            let mut fields = driver.as_object().cloned().unwrap_or_default();
            fields.remove("allocatable");
            fields
        };
        for before in old.list(&["spec", "drivers"]) {
            let now =
                object.list(&["spec", "drivers"]).iter().find(|driver| driver["name"] == before["name"]);
            if let Some(now) = now.filter(|now| fixed(now) != fixed(before)) {
                errors.push(FieldError::invalid("CSINodeDriver", now.clone(), "field is immutable"));
            }
        }
        errors
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

fn check_driver(driver: &Place<'_>, errors: &mut Vec<FieldError>) {
    let id = driver.child("nodeID");
    if id.text().is_empty() {
        errors.push(id.required(""));
    }
    if id.text().len() > NODE_ID_MAX {
        errors.push(id.invalid("must be 192 characters or less"));
    }
    driver.child("allocatable").child("count").non_negative(errors);
    let keys = driver.child("topologyKeys");
    let mut seen = BTreeSet::new();
    for key in keys.items() {
        if !seen.insert(key.text()) {
            errors.push(FieldError::duplicate(keys.path(), key.text()));
        }
        metadata::label_key(key.text(), &keys, errors);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::texts;

    fn node(drivers: &Value) -> Object {
        Object(json!({"metadata": {"name": "n1"}, "spec": {"drivers": drivers}}))
    }

    #[test]
    fn drivers_have_names_of_their_own_and_for_the_node() {
        let driver = json!({"name": "disk.example.com", "nodeID": "1", "topologyKeys": ["zone"]});
        assert_eq!(Rules.validate(&node(&json!([driver]))), []);
        let twice = node(&json!([driver, driver]));
        assert_eq!(
            texts(&Rules.validate(&twice)),
            ["spec.drivers[1].name: Duplicate value: \"disk.example.com\""]
        );
        let bad =
            json!([{"name": "a", "nodeID": "", "topologyKeys": ["x", "x"], "allocatable": {"count": -1}}]);
        assert_eq!(
            texts(&Rules.validate(&node(&bad))),
            [
                "spec.drivers[0].nodeID: Required value",
                "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                "spec.drivers[0].topologyKeys: Duplicate value: \"x\"",
            ]
        );
    }

    #[test]
    fn a_driver_comes_and_goes_but_does_not_change() {
        let old = node(&json!([{"name": "a", "nodeID": "1"}]));
        let grown = node(&json!([{"name": "a", "nodeID": "1", "allocatable": {"count": 5}}]));
        assert_eq!(Rules.validate_update(&grown, &old), []);
        assert_eq!(Rules.validate_update(&node(&json!([])), &old), []);
        let moved = node(&json!([{"name": "a", "nodeID": "2"}]));
        assert_eq!(
            texts(&Rules.validate_update(&moved, &old)),
            ["CSINodeDriver: Invalid value: {\"name\":\"a\",\"nodeID\":\"2\"}: field is immutable"]
        );
    }
}
