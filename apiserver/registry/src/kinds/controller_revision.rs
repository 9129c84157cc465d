//! ControllerRevision: a state of an object that its controller has to remember, and that never changes.
//!
//! Source: `pkg/apis/apps/validation`, `pkg/registry/apps/controllerrevision`.

use crate::{
    columns::{AGE, NAME, NONE},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of ControllerRevisions.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Controller", "string", |object, _| controller(object).into()),
    Column::new("Revision", "string", |object, _| object.integer(&["revision"]).unwrap_or(0).into()),
    AGE,
];

/// `statefulset.apps/web`.
fn controller(object: &Object) -> String {
    let owners = object.list(&["metadata", "ownerReferences"]);
    let Some(owner) = owners.iter().find(|owner| owner["controller"] == true) else {
        return NONE.to_owned();
    };
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    let kind = match text("apiVersion").split_once('/') {
        Some((group, _)) => format!("{}.{group}", text("kind")),
        None => text("kind").to_owned(),
    };
    format!("{}/{}", kind.to_lowercase(), text("name"))
}

/// The rules of ControllerRevisions.
pub struct Rules;

impl Strategy for Rules {
    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let data = Place::at(object, &["data"]);
        if !data.is_set() {
            errors.push(data.required("data is mandatory"));
        }
        Place::at(object, &["revision"]).non_negative(&mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &["data"]).unchanged(&Place::at(old, &["data"]), &mut errors);
        errors
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    #[test]
    fn data_is_there_and_stays_while_its_number_may_grow() {
        let old = Object(json!({"data": {"spec": {"a": 1}}, "revision": 1}));
        assert_eq!(texts(&Rules.validate(&old)), [""; 0]);
        let mut new = old.clone();
        new.set(&["revision"], 2);
        assert_eq!(Rules.validate_update(&new, &old), []);
        new.set(&["data", "spec", "a"], 2);
        assert_eq!(
            texts(&Rules.validate_update(&new, &old)),
            ["data: Invalid value: {\"spec\":{\"a\":2}}: field is immutable"]
        );
        assert_eq!(
            texts(&Rules.validate(&Object(json!({"data": null, "revision": -1})))),
            [
                "data: Required value: data is mandatory",
                "revision: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
    }

    #[test]
    fn rows_name_the_controller_with_its_kind() {
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": true});
        let object = Object(json!({"metadata": {"ownerReferences": [owner]}, "revision": 3}));
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!((COLUMNS[1].cell)(&object, now), json!("statefulset.apps/web"));
        assert_eq!((COLUMNS[2].cell)(&object, now), json!(3));
        assert_eq!((COLUMNS[1].cell)(&Object(json!({})), now), json!("<none>"));
    }
}
