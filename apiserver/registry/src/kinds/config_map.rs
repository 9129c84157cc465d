//! ConfigMap: keys, size, immutability.

use keelson_api_schema::format::check_config_map_key;

use crate::{
    columns::{AGE, NAME},
    field::{FieldError, NO_FIELD},
    kinds::metadata::semantically_equal,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The most that the values of a ConfigMap or Secret may have in sum, in bytes.
pub(crate) const MAX_TOTAL: usize = 1024 * 1024;

/// What is said of a change to something immutable.
pub(crate) const IMMUTABLE: &str = "field is immutable when `immutable` is set";

/// The columns of ConfigMaps.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Data", "string", |object, _| {
        let entries = |field| object.map(&[field]).map_or(0, serde_json::Map::len);
        (entries("data") + entries("binaryData")).into()
    }),
    AGE,
];

/// The rules of ConfigMaps.
pub struct Rules;

impl Strategy for Rules {
    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let (data, binary) = (Place::at(object, &["data"]), Place::at(object, &["binaryData"]));
        let mut errors = Vec::new();
        let mut total = 0;
        for (bag, other, named) in [(&data, &binary, "binaryData"), (&binary, &data, "data")] {
            for (key, entry) in bag.entries() {
                check_key(key, &entry, &mut errors);
                if other.key(key).is_set() {
                    let detail = format!("duplicate of key present in {named}");
                    errors.push(FieldError::invalid(entry.path(), key, detail));
                }
                total += if named == "data" { decoded_len(entry.text()) } else { entry.text().len() };
            }
        }
        if total > MAX_TOTAL {
            // Upstream's path for the object as a whole.
            errors.push(FieldError::too_long(NO_FIELD, MAX_TOTAL));
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        check_immutable(object, old, &["data", "binaryData"])
    }
}

/// A key of a ConfigMap or Secret.
pub(crate) fn check_key(key: &str, entry: &Place<'_>, errors: &mut Vec<FieldError>) {
    let wrong = check_config_map_key(key);
    errors.extend(wrong.into_iter().map(|detail| FieldError::invalid(entry.path(), key, detail)));
}

/// What may not change once `immutable` is true: that, and these fields.
pub(crate) fn check_immutable(object: &Object, old: &Object, fields: &[&str]) -> Vec<FieldError> {
    let is_fixed = |object: &Object| Place::at(object, &["immutable"]).flag();
    if !is_fixed(old) {
        return Vec::new();
    }
    let lifted = (!is_fixed(object)).then_some("immutable");
    let changed = fields.iter().filter(|field| !semantically_equal(object.get(&[field]), old.get(&[field])));
    lifted.into_iter().chain(changed.copied()).map(|path| FieldError::forbidden(path, IMMUTABLE)).collect()
}

/// How many bytes a well-formed base64 text stands for.
pub(crate) fn decoded_len(base64: &str) -> usize {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::texts;

    #[test]
    fn keys_and_sizes_are_checked() {
        let good = Object(json!({"data": {"a.b_c-D": "x"}, "binaryData": {"b": "eA=="}}));
        assert_eq!(Rules.validate(&good), []);
        let bad = texts(
            &Rules.validate(&Object(json!({"data": {"a": "x"}, "binaryData": {"a": "eA==", "..": ""}}))),
        );
        assert_eq!(bad[0], "data[a]: Invalid value: \"a\": duplicate of key present in binaryData");
        assert_eq!(bad[1], "binaryData[..]: Invalid value: \"..\": must not be '..'");
        assert_eq!(bad[2], "binaryData[a]: Invalid value: \"a\": duplicate of key present in data");
        let large = |len: usize| Object(json!({"data": {"k": "x".repeat(len)}}));
        assert_eq!(Rules.validate(&large(MAX_TOTAL)), []);
        assert_eq!(
            texts(&Rules.validate(&large(MAX_TOTAL + 1))),
            ["[]: Too long: may not be more than 1048576 bytes"]
        );
    }

    #[test]
    fn immutable_is_for_ever() {
        let old = Object(json!({"immutable": true, "data": {"a": "1"}}));
        assert_eq!(Rules.validate_update(&old, &old), []);
        let new = Object(json!({"data": {"a": "2"}}));
        assert_eq!(
            texts(&Rules.validate_update(&new, &old)),
            [
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ]
        );
        assert_eq!(Rules.validate_update(&old, &new), []);
    }

    #[test]
    fn base64_is_measured_decoded() {
        assert_eq!(
            [decoded_len(""), decoded_len("eA=="), decoded_len("eHg="), decoded_len("eHh4")],
            [0, 1, 2, 3]
        );
    }
}
