//! What is wrong with a field, in upstream's words.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/field`: tests and tools match on these texts.

use std::fmt;

use keelson_api_schema::go_text::quote;
use serde_json::Value;

/// The path that upstream shows where it means no field, but the whole.
pub const NO_FIELD: &str = "[]";

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Where, as upstream writes it: `spec.containers[0].name`.
    pub path: String,
    /// Which kind of rule.
    pub problem: Problem,
    /// What the rule says; may be empty.
    pub detail: String,
}

/// Which kind of rule a field breaks.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// A value that is needed is not there.
    Required,
    /// A value that must be unique is not.
    Duplicate(Value),
    /// A value is malformed or out of bounds.
    Invalid(Value),
    /// A value is malformed, and is not told: it is too long, or not what matters.
    Unfit,
    /// A value is none of those that are known; the detail lists them.
    NotSupported(Value),
    /// A value may not be given here.
    Forbidden,
    /// Text is longer than this many bytes.
    TooLong(usize),
    /// A list has `actual` items, which is more than `max`.
    TooMany {
        /// How many there are.
        actual: usize,
        /// How many may be.
        max: usize,
    },
    /// Something that is referred to does not exist.
    NotFound(Value),
}

/// What errors say, for tests.
#[cfg(test)]
pub(crate) fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

impl FieldError {
    /// A value that is needed is not there.
    pub fn required(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), problem: Problem::Required, detail: detail.into() }
    }

    /// A value is malformed or out of bounds.
    pub fn invalid(path: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), problem: Problem::Invalid(value.into()), detail: detail.into() }
    }

    /// A value is malformed, and is not told.
    pub fn unfit(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), problem: Problem::Unfit, detail: detail.into() }
    }

    /// A value that must be unique is not.
    pub fn duplicate(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { path: path.into(), problem: Problem::Duplicate(value.into()), detail: String::new() }
    }

    /// A value may not be given here.
    pub fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), problem: Problem::Forbidden, detail: detail.into() }
    }

    /// A value is none of `supported`, which is a set to upstream: it is told in the order of the alphabet.
    pub fn not_supported(path: impl Into<String>, value: impl Into<Value>, supported: &[&str]) -> Self {
        let mut supported = supported.to_vec();
        supported.sort_unstable();
        Self::not_supported_in_order(path, value, &supported)
    }

    /// A value is none of `supported`, which is a list to upstream: it is told as it stands.
    pub fn not_supported_in_order(
        path: impl Into<String>,
        value: impl Into<Value>,
        supported: &[&str],
    ) -> Self {
        let supported: Vec<_> = supported.iter().map(|text| quote(text)).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        Self { path: path.into(), problem: Problem::NotSupported(value.into()), detail }
    }

    /// Text is longer than `max` bytes.
    pub fn too_long(path: impl Into<String>, max: usize) -> Self {
        Self { path: path.into(), problem: Problem::TooLong(max), detail: String::new() }
    }

    /// A list has more than `max` items.
    pub fn too_many(path: impl Into<String>, actual: usize, max: usize) -> Self {
        Self { path: path.into(), problem: Problem::TooMany { actual, max }, detail: String::new() }
    }

    /// Something that is referred to does not exist.
    pub fn not_found(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { path: path.into(), problem: Problem::NotFound(value.into()), detail: String::new() }
    }

    /// The name of the problem in a Status cause.
    pub fn reason(&self) -> &'static str {
        match self.problem {
            Problem::Required => "FieldValueRequired",
            Problem::Duplicate(_) => "FieldValueDuplicate",
            Problem::Invalid(_) | Problem::Unfit => "FieldValueInvalid",
            Problem::NotSupported(_) => "FieldValueNotSupported",
            Problem::Forbidden => "FieldValueForbidden",
            Problem::TooLong(_) => "FieldValueTooLong",
            Problem::TooMany { .. } => "FieldValueTooMany",
            Problem::NotFound(_) => "FieldValueNotFound",
        }
    }

    /// The message of a Status cause: the text without the path.
    pub fn message(&self) -> String {
        let start = match &self.problem {
            Problem::Required => "Required value".to_owned(),
            Problem::Duplicate(value) => format!("Duplicate value: {}", shown(value)),
            Problem::Invalid(value) => format!("Invalid value: {}", shown(value)),
            Problem::Unfit => "Invalid value".to_owned(),
            Problem::NotSupported(value) => format!("Unsupported value: {}", shown(value)),
            Problem::Forbidden => "Forbidden".to_owned(),
            Problem::TooLong(_) => "Too long".to_owned(),
            Problem::TooMany { actual, .. } => format!("Too many: {actual}"),
            Problem::NotFound(value) => format!("Not found: {}", shown(value)),
        };
        let detail = match (&self.problem, self.detail.is_empty()) {
            (Problem::TooLong(max), true) => format!("may not be more than {max} bytes"),
            (Problem::TooMany { max, .. }, true) => format!("must have at most {max} items"),
            _ => self.detail.clone(),
        };
        if detail.is_empty() { start } else { format!("{start}: {detail}") }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message())
    }
}

/// A value as Go's `%q` and `%v` show it there: text in quotes, everything else as it is.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_upstreams() {
        let cases = [
            (FieldError::required("metadata.name", ""), "metadata.name: Required value"),
            (
                FieldError::invalid("spec.replicas", -1, "must be greater than or equal to 0"),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                FieldError::not_supported("spec.type", "X", &["NodePort", "ClusterIP"]),
                "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"NodePort\"",
            ),
            (FieldError::duplicate("a[1].name", "x"), "a[1].name: Duplicate value: \"x\""),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
