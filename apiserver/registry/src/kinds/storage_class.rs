//! StorageClass: how volumes are made for the claims that name it.
//!
//! Deliberately absent: making them, and which class claims get that name none (admission's).
//!
//! Source: `pkg/apis/storage/{v1/defaults,validation}`, `pkg/registry/storage/storageclass`.

use std::collections::BTreeSet;

use keelson_api_schema::format::{check_label_value, check_qualified_name};
use serde_json::Value;

use super::{metadata, node_label};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The annotation of the class of claims that name none, and the name that it had before.
pub const DEFAULT_MARKS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// How many parameters there can be, and how long all of them together in bytes.
const PARAMETERS_MAX: usize = 512;
const PARAMETERS_MAX_BYTES: usize = 256 * 1024;

/// The columns of StorageClasses.
pub const COLUMNS: &[Column] = &[
    Column {
        cell: |object, _| {
            let mark = if is_default(object) { " (default)" } else { "" };
            format!("{}{mark}", object.name()).into()
        },
        ..NAME
    },
    Column::new("Provisioner", "string", |object, _| object.text(&["provisioner"]).into()),
    Column::new("ReclaimPolicy", "string", |object, _| object.text(&["reclaimPolicy"]).into()),
    Column::new("VolumeBindingMode", "string", |object, _| object.text(&["volumeBindingMode"]).into()),
    Column::new("AllowVolumeExpansion", "boolean", |object, _| {
        Place::at(object, &["allowVolumeExpansion"]).flag().into()
    }),
    AGE,
];

/// Whether claims that name no class get this one.
pub fn is_default(object: &Object) -> bool {
    DEFAULT_MARKS.iter().any(|mark| object.text(&["metadata", "annotations", mark]) == "true")
}

/// The rules of StorageClasses.
pub struct Rules;

impl Strategy for Rules {
    fn default(&self, object: &mut Object) {
        object.set_default(&["reclaimPolicy"], "Delete");
        object.set_default(&["volumeBindingMode"], "Immediate");
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let provisioner = Place::at(object, &["provisioner"]);
        match provisioner.text() {
            "" => errors.push(provisioner.required("")),
            text => errors.extend(provisioner.each_invalid(check_qualified_name(&text.to_lowercase()))),
        }
        check_parameters(&Place::at(object, &["parameters"]), &mut errors);
        Place::at(object, &["reclaimPolicy"]).one_of(&["Delete", "Retain"], &mut errors);
        Place::at(object, &["volumeBindingMode"]).one_of(&["Immediate", "WaitForFirstConsumer"], &mut errors);
        check_topologies(&Place::at(object, &["allowedTopologies"]), &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        forbid_changes(object, old, &["parameters", "provisioner", "reclaimPolicy"], &mut errors);
        let path = ["volumeBindingMode"];
        Place::at(object, &path).unchanged(&Place::at(old, &path), &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        for topology in Place::at(object, &["allowedTopologies"]).items() {
            for requirement in topology.child("matchLabelExpressions").items() {
                let key = requirement.child("key");
                let why = node_label::deprecated(key.text());
                warnings.extend(why.map(|why| format!("{}: {why}", key.path())));
            }
        }
        warnings
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

/// Complains about each of these fields that has changed.
pub(super) fn forbid_changes(object: &Object, old: &Object, fields: &[&str], errors: &mut Vec<FieldError>) {
    for field in fields {
        if !metadata::semantically_equal(object.get(&[field]), old.get(&[field])) {
            errors.push(FieldError::forbidden(*field, format!("updates to {field} are forbidden.")));
        }
    }
}

/// What a driver is told.
pub(super) fn check_parameters(parameters: &Place<'_>, errors: &mut Vec<FieldError>) {
    if parameters.len() > PARAMETERS_MAX {
        errors.push(FieldError::too_long(parameters.path(), PARAMETERS_MAX));
        return;
    }
    let mut total = 0;
    for (key, value) in parameters.entries() {
        if key.is_empty() {
            errors.push(FieldError::invalid(parameters.path(), key, "field can not be empty."));
        }
        total += key.len() + value.text().len();
    }
    if total > PARAMETERS_MAX_BYTES {
        errors.push(FieldError::too_long(parameters.path(), PARAMETERS_MAX_BYTES));
    }
}

/// Where volumes may be made: terms of which one has to hold, no two of them the same.
fn check_topologies(terms: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for term in terms.items() {
        let expressions = term.child("matchLabelExpressions");
        let (mut keys, mut content) = (BTreeSet::new(), BTreeSet::new());
        for expression in expressions.items() {
            let (key, values) = (expression.child("key"), expression.child("values"));
            check_values(&values, errors);
            if !keys.insert(key.text()) {
                errors.push(key.duplicate());
            }
            metadata::label_key(key.text(), &key, errors);
            let sorted: BTreeSet<String> = values.items().map(|value| value.text().to_owned()).collect();
            content.insert((key.text().to_owned(), sorted));
        }
        if !seen.insert(content) {
            errors.push(FieldError::duplicate(expressions.path(), ""));
        }
    }
}

fn check_values(values: &Place<'_>, errors: &mut Vec<FieldError>) {
    if values.is_empty() {
        errors.push(values.required(""));
    }
    let mut seen = BTreeSet::new();
    for value in values.items() {
        if !seen.insert(value.value().map(Value::to_string)) {
            errors.push(value.duplicate());
        }
        errors.extend(value.each_invalid(check_label_value(value.text())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn class(fields: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "fast"}, "provisioner": "disk.example.com"}));
        for (name, value) in fields.as_object().unwrap() {
            object.set(&[name], value.clone());
        }
        Rules.default(&mut object);
        object
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let plain = class(&json!({}));
        assert_eq!(Rules.validate(&plain), []);
        assert_eq!(
            (plain.text(&["reclaimPolicy"]), plain.text(&["volumeBindingMode"])),
            ("Delete", "Immediate")
        );
        let zones = json!({"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]});
        let cases = [
            (json!({"provisioner": ""}), "provisioner: Required value"),
            (
                json!({"reclaimPolicy": "Recycle"}),
                "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
            ),
            (
                json!({"volumeBindingMode": "Late"}),
                "volumeBindingMode: Unsupported value: \"Late\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ),
            (json!({"parameters": {"": "x"}}), "parameters: Invalid value: \"\": field can not be empty."),
            (
                json!({"allowedTopologies": [zones, zones]}),
                "allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\"",
            ),
        ];
        for (fields, text) in cases {
            assert_eq!(texts(&Rules.validate(&class(&fields))), [text]);
        }
    }

    #[test]
    fn how_volumes_are_made_stays() {
        let old = class(&json!({}));
        let new = class(&json!({
            "parameters": {"kind": "ssd"}, "provisioner": "other.example.com", "reclaimPolicy": "Retain",
            "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
        }));
        assert_eq!(
            texts(&Rules.validate_update(&new, &old)),
            [
                "parameters: Forbidden: updates to parameters are forbidden.",
                "provisioner: Forbidden: updates to provisioner are forbidden.",
                "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
                "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
            ]
        );
    }

    #[test]
    fn the_default_is_marked() {
        let mut object = class(&json!({"allowVolumeExpansion": true}));
        object.set(&["metadata", "annotations", DEFAULT_MARKS[0]], "true");
        let row: Vec<Value> =
            COLUMNS[..5].iter().map(|column| (column.cell)(&object, OffsetDateTime::UNIX_EPOCH)).collect();
        assert_eq!(
            row,
            [
                json!("fast (default)"),
                json!("disk.example.com"),
                json!("Delete"),
                json!("Immediate"),
                json!(true)
            ]
        );
    }

    #[test]
    fn older_labels_of_nodes_are_warned_of() {
        let topology = |key: &str| json!({"matchLabelExpressions": [{"key": key, "values": ["a"]}]});
        let zones =
            [topology("topology.kubernetes.io/zone"), topology("failure-domain.beta.kubernetes.io/zone")];
        assert_eq!(
            Rules.warnings(&class(&json!({ "allowedTopologies": zones })), None),
            ["allowedTopologies[1].matchLabelExpressions[0].key: deprecated since v1.17; use \
              \"topology.kubernetes.io/zone\" instead"]
        );
    }
}
