//! Conditions of the common form (`metav1.Condition`): what a controller says of an object, one sentence a type.
//!
//! In: a list of them. Out: what is wrong with it.
//!
//! Source: `ValidateConditions` of `k8s.io/apimachinery/pkg/apis/meta/v1/validation`.

use std::collections::BTreeSet;

use crate::{field::FieldError, kinds::metadata, place::Place};

/// The longest reason, in bytes.
const REASON_MAX: usize = 1024;

/// The longest message, in bytes.
const MESSAGE_MAX: usize = 32 * 1024;

const REASON_MESSAGE: &str = "a condition reason must start with alphabetic character, optionally followed by a string of \
                              alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. \
                              'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', \
                              regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

/// What is wrong with a list of conditions.
pub(super) fn validate(conditions: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        let kind = condition.child("type");
        if !seen.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
        one(&condition, errors);
    }
}

fn one(condition: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (kind, time) = (condition.child("type"), condition.child("lastTransitionTime"));
    metadata::label_key(kind.text(), &kind, errors);
    condition.child("status").one_of(&["False", "True", "Unknown"], errors);
    let generation = condition.child("observedGeneration");
    if generation.integer().is_some_and(|generation| generation < 0) {
        errors.push(generation.invalid("must be greater than or equal to zero"));
    }
    if !time.is_set() {
        errors.push(time.required("must be set"));
    }
    let reason = condition.child("reason");
    if reason.text().is_empty() {
        errors.push(reason.required("must be set"));
    } else if !is_reason(reason.text()) {
        errors.push(reason.invalid(REASON_MESSAGE));
    }
    for (field, most) in [(reason, REASON_MAX), (condition.child("message"), MESSAGE_MAX)] {
        if field.text().len() > most {
            errors.push(FieldError::too_long(field.path(), most));
        }
    }
}

/// `[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?`
fn is_reason(text: &str) -> bool {
    let inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b',' | b':');
    let (first, last) = (text.bytes().next(), text.bytes().last());
    first.is_some_and(|c| c.is_ascii_alphabetic())
        && last.is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_')
        && text.bytes().all(inside)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::Object;

    #[test]
    fn a_condition_says_what_since_when_and_why() {
        let good = json!({
            "type": "Ready", "status": "True", "reason": "All_Well", "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let bad = json!({"type": "Ready", "status": "Maybe", "reason": "1st"});
        let object = Object(json!({"conditions": [good, bad]}));
        let mut errors = Vec::new();
        validate(&Place::at(&object, &["conditions"]), &mut errors);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts[..3],
            [
                "conditions[1].type: Duplicate value: \"Ready\"",
                "conditions[1].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \"Unknown\"",
                "conditions[1].lastTransitionTime: Required value: must be set",
            ]
        );
        assert!(
            texts[3]
                .starts_with("conditions[1].reason: Invalid value: \"1st\": a condition reason must start")
        );
        assert_eq!(texts.len(), 4);
    }
}
