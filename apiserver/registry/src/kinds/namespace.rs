//! Namespace: its name as a label, and the finalizers that hold it back while its contents are removed.
//!
//! Deliberately absent: how one is deleted and finalized, which is the write's; what may not be deleted or created in
//! which namespace, which is admission's.

use keelson_api_schema::format::{check_dns1123_label, check_qualified_name};
use serde_json::json;

use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::metadata,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{Strategy, keep_all_but_status},
};

/// The label that repeats the name, so that selectors can tell namespaces apart.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The columns of Namespaces.
pub const COLUMNS: &[Column] =
    &[NAME, Column::new("Status", "string", |object, _| object.text(&["status", "phase"]).into()), AGE];

/// The rules of Namespaces.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], json!({"phase": "Active"}));
        let mut finalizers = object.list(&["spec", "finalizers"]).to_vec();
        if !finalizers.iter().any(|name| name == "kubernetes") {
            finalizers.push("kubernetes".into());
        }
        object.set(&["spec", "finalizers"], finalizers);
        label(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        keep(object, old, &["spec", "finalizers"]);
        keep(object, old, &["status"]);
        label(object);
    }

    fn prepare_status_update(&self, object: &mut Object, old: &Object) {
        keep_all_but_status(object, old);
        label(object);
    }

    fn prepare_finalize(&self, object: &mut Object) {
        label(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for finalizer in Place::at(object, &["spec", "finalizers"]).items() {
            check_finalizer(&finalizer, &mut errors);
        }
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let phase = object.text(&["status", "phase"]);
        let rule = match object.is_being_deleted() {
            false if phase != "Active" => "may only be 'Active' if `deletionTimestamp` is empty",
            true if phase != "Terminating" => "may only be 'Terminating' if `deletionTimestamp` is not empty",
            _ => return Vec::new(),
        };
        vec![FieldError::invalid("status.Phase", phase, rule)]
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }

    fn field_value(&self, object: &Object, field: &str) -> String {
        match field {
            "name" => object.name().to_owned(),
            _ => object.text(&["status", "phase"]).to_owned(),
        }
    }

    fn check_name(&self, name: &str) -> Vec<String> {
        check_dns1123_label(name)
    }
}

fn label(object: &mut Object) {
    let name = object.name().to_owned();
    object.set(&["metadata", "labels", NAME_LABEL], name);
}

fn keep(object: &mut Object, old: &Object, path: &[&str]) {
    match old.get(path) {
        Some(value) => object.set(path, value.clone()),
        None => drop(object.remove(path)),
    }
}

fn check_finalizer(finalizer: &Place<'_>, errors: &mut Vec<FieldError>) {
    errors.extend(finalizer.each_invalid(check_qualified_name(finalizer.text())));
    metadata::standard_or_qualified(finalizer, errors);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> Object {
        let mut object = Object(json!({"metadata": {"name": name}}));
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn a_new_one_is_active_labelled_and_held() {
        let object = made("shop");
        assert_eq!(
            object.0,
            json!({
                "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"}
            })
        );
        assert_eq!(Rules.validate(&object), []);
        assert_eq!(Rules.field_value(&object, "status.phase"), "Active");
    }

    #[test]
    fn an_update_changes_neither_finalizers_nor_phase_and_a_status_update_no_finalizers() {
        let old = made("shop");
        let mut wish = old.clone();
        wish.set(&["spec", "finalizers"], json!([]));
        wish.set(&["status", "phase"], "Terminating");
        let mut updated = wish.clone();
        Rules.prepare_update(&mut updated, &old);
        assert_eq!(updated, old);
        let mut status = wish;
        Rules.prepare_status_update(&mut status, &old);
        assert_eq!(status.list(&["spec", "finalizers"]), ["kubernetes"]);
        assert_eq!(
            Rules.validate_status_update(&status, &old)[0].to_string(),
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
        );
    }

    #[test]
    fn finalizers_are_standard_or_qualified() {
        let object = Object(json!({"spec": {"finalizers": ["kubernetes", "example.com/mine", "mine"]}}));
        let texts: Vec<_> = Rules.validate(&object).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["spec.finalizers[2]: Invalid value: \"mine\": \
              name is neither a standard finalizer name nor is it fully qualified"]
        );
    }
}
