//! What a patch must look like before it is applied to anything: upstream reads it into Go types first.
//!
//! In: a patch as a value. Out: what a JSON patch has beside its fields, or the message of Go's decoder.

use keelson_api_registry::status::ApiError;
use keelson_api_schema::{
    FieldValidation,
    go_text::{mismatch, quote},
};
use serde_json::{Map, Value};

/// The fields of an operation that are text.
const TEXTS: [&str; 3] = ["op", "path", "from"];

/// Checks a JSON patch, and notes unknown fields of its operations.
///
/// # Errors
/// 400, unless nothing is checked: the patch's own reader then says what is wrong.
pub(super) fn json_patch(patch: &Value, validation: FieldValidation) -> Result<Vec<String>, ApiError> {
    let mut violations = Vec::new();
    if validation == FieldValidation::Ignore {
        return Ok(violations);
    }
    let refused = |found: &Value, target: &str| Err(undecodable(&mismatch(found, target)));
    let operations = match patch {
        Value::Null => return Ok(violations),
        Value::Array(operations) => operations,
        other => return refused(other, "Go value of type []handlers.jsonPatchOp"),
    };
    for (at, operation) in operations.iter().enumerate() {
        let fields = match operation {
            Value::Null => continue,
            Value::Object(fields) => fields,
            other => return refused(other, "Go value of type handlers.jsonPatchOp"),
        };
        if let Some((name, found)) = misfit(fields) {
            return refused(found, &format!("Go struct field jsonPatchOp.{name} of type string"));
        }
        let unknown = fields.keys().filter(|name| *name != "value" && !TEXTS.contains(&name.as_str()));
        violations.extend(unknown.map(|name| format!("unknown field {}", quote(&format!("[{at}].{name}")))));
    }
    Ok(violations)
}

/// The first field that should be text and is not.
fn misfit(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let texts = fields.iter().filter(|(name, _)| TEXTS.contains(&name.as_str()));
    texts
        .map(|(name, value)| (name.as_str(), value))
        .find(|(_, value)| !value.is_string() && !value.is_null())
}

/// Checks a merge patch.
///
/// # Errors
/// 400, unless nothing is checked: merging then says what is wrong.
pub(super) fn merge_patch(patch: &Value, validation: FieldValidation) -> Result<(), ApiError> {
    match no_map(patch) {
        Some(why) if validation != FieldValidation::Ignore => Err(undecodable(&why)),
        _ => Ok(()),
    }
}

/// Checks a strategic merge patch, of which null is one that changes nothing.
///
/// # Errors
/// 400.
pub(super) fn strategic_patch(patch: Value) -> Result<Value, ApiError> {
    match no_map(&patch) {
        Some(why) => Err(ApiError::bad_request(why)),
        None if patch.is_null() => Ok(Value::Object(Map::new())),
        None => Ok(patch),
    }
}

fn no_map(patch: &Value) -> Option<String> {
    let fits = patch.is_null() || patch.is_object();
    (!fits).then(|| mismatch(patch, "Go value of type map[string]interface {}"))
}

fn undecodable(why: &str) -> ApiError {
    ApiError::bad_request(format!("error decoding patch: {why}"))
}
