//! StorageVersionMigration: a wish that all objects of a resource be written again.
//!
//! Deliberately absent: doing it, which a controller does.
//!
//! Source: `pkg/apis/storagemigration/validation`, `pkg/registry/storagemigration/storagemigration`.

use super::{
    condition,
    workload::{advance, begin, differs},
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy},
};

const RESOURCE: [&str; 2] = ["spec", "resource"];

/// The columns of StorageVersionMigrations.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Resource", "string", |object, _| {
        let field = |name: &str| object.text(&["spec", "resource", name]);
        match field("group") {
            "" => field("resource").into(),
            group => format!("{}.{group}", field("resource")).into(),
        }
    }),
    AGE,
];

/// The rules of StorageVersionMigrations.
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
        let resource = Place::at(object, &RESOURCE).child("resource");
        if resource.text().is_empty() { vec![resource.required("resource is required")] } else { Vec::new() }
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &RESOURCE).unchanged(&Place::at(old, &RESOURCE), &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let conditions = Place::at(object, &["status", "conditions"]);
        condition::validate(&conditions, &mut errors);
        let is_true = |kind: &str| {
            conditions
                .items()
                .any(|it| it.child("type").text() == kind && it.child("status").text() == "True")
        };
        if is_true("Succeeded") && is_true("Failed") {
            errors.push(
                conditions.invalid("Both success and failed conditions cannot be true at the same time"),
            );
        }
        let version = ["status", "resourceVersion"];
        let (now, before) = (Place::at(object, &version), old.text(&version));
        if !before.is_empty() && now.text() != before {
            errors.push(now.invalid("field is immutable"));
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_migration_is_of_one_resource_and_ends_one_way() {
        let texts =
            |errors: Vec<FieldError>| -> Vec<String> { errors.iter().map(ToString::to_string).collect() };
        let migration = |resource: &str| {
            let mut object = Object(json!({
                "metadata": {"name": "m"}, "spec": {"resource": {"group": "apps", "resource": resource}},
            }));
            Rules.prepare_create(&mut object);
            object
        };
        let old = migration("deployments");
        assert_eq!(Rules.validate(&old), []);
        assert_eq!((COLUMNS[1].cell)(&old, time::OffsetDateTime::UNIX_EPOCH), "deployments.apps");
        assert_eq!(
            texts(Rules.validate(&migration(""))),
            ["spec.resource.resource: Required value: resource is required"]
        );
        assert_eq!(Rules.validate_update(&migration("pods"), &old).len(), 1);
        let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "So", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let mut both = old.clone();
        both.set(&["status", "conditions"], json!([condition("Succeeded"), condition("Failed")]));
        assert_eq!(Rules.validate_status_update(&both, &old).len(), 1);
    }
}
