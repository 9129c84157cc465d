//! VolumeAttributesClass: how a driver is to serve volumes that are there.
//!
//! Source: `pkg/apis/storage/validation`, `pkg/registry/storage/volumeattributesclass`.

use super::{csi_driver::check_driver_name, storage_class};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The annotation of the class of claims that name none.
const DEFAULT_MARK: &str = "volumeattributesclass.alpha.kubernetes.io/is-default-class";

/// The columns of VolumeAttributesClasses.
pub const COLUMNS: &[Column] = &[
    Column {
        cell: |object, _| {
            let marked = object.text(&["metadata", "annotations", DEFAULT_MARK]) == "true";
            format!("{}{}", object.name(), if marked { " (default)" } else { "" }).into()
        },
        ..NAME
    },
    Column::new("DriverName", "string", |object, _| object.text(&["driverName"]).into()),
    AGE,
];

/// The rules of VolumeAttributesClasses.
pub struct Rules;

impl Strategy for Rules {
    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_driver_name(&Place::at(object, &["driverName"]), &mut errors);
        let parameters = Place::at(object, &["parameters"]);
        if parameters.is_empty() {
            errors.push(parameters.required("must contain at least one key/value pair"));
        }
        storage_class::check_parameters(&parameters, &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        storage_class::forbid_changes(object, old, &["driverName", "parameters"], &mut errors);
        errors
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
    fn there_is_a_driver_with_parameters_and_both_stay() {
        let texts =
            |errors: Vec<FieldError>| -> Vec<String> { errors.iter().map(ToString::to_string).collect() };
        let class = |driver: &str, speed: &str| {
            Object(
                json!({"metadata": {"name": "gold"}, "driverName": driver, "parameters": {"speed": speed}}),
            )
        };
        assert_eq!(Rules.validate(&class("disk.example.com", "1")), []);
        assert_eq!(
            texts(Rules.validate(&Object(json!({"driverName": ""})))),
            [
                "driverName: Required value",
                "parameters: Required value: must contain at least one key/value pair",
            ]
        );
        assert_eq!(
            texts(Rules.validate_update(&class("a", "2"), &class("b", "1"))),
            [
                "driverName: Forbidden: updates to driverName are forbidden.",
                "parameters: Forbidden: updates to parameters are forbidden.",
            ]
        );
    }
}
