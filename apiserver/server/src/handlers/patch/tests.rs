//! Patches, applied to an object without a store.

use serde_json::json;

use super::*;

const CONFIG_MAP: Wanted<'_> = Wanted { group: "", version: "v1", kind: "ConfigMap" };

fn read(form: &str, body: &str) -> Result<Patch, ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, form.parse().unwrap());
    Patch::read(&headers, body.as_bytes(), FieldValidation::Warn)
}

fn apply(form: &str, body: &str, validation: FieldValidation) -> Result<Draft, ApiError> {
    let current = Object(json!({
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"x": "1", "y": "2"},
    }));
    read(form, body)?.apply(&current, CONFIG_MAP, validation)
}

#[test]
fn the_three_forms_change_what_they_name_and_nothing_else() {
    for (form, body) in [
        (JSON_PATCH, r#"[{"op":"replace","path":"/data/x","value":"3"},{"op":"remove","path":"/data/y"}]"#),
        (MERGE_PATCH, r#"{"data":{"x":"3","y":null}}"#),
        ("application/strategic-merge-patch+json; charset=utf-8", r#"{"data":{"x":"3","y":null}}"#),
    ] {
        let draft = apply(form, body, FieldValidation::Strict).unwrap();
        assert_eq!(draft.object.get(&["data"]), Some(&json!({"x": "3"})), "{form}");
        assert_eq!(draft.object.name(), "a");
    }
}

#[test]
fn other_forms_are_not_understood() {
    for form in ["application/apply-patch+cbor", "application/json", "text/plain"] {
        let error = read(form, "{}").unwrap_err();
        assert_eq!((error.code.as_u16(), error.reason), (415, "UnsupportedMediaType"), "{form}");
        assert_eq!(
            error.message,
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
             application/apply-patch+yaml"
        );
    }
}

#[test]
fn a_patch_that_does_not_fit_says_why_in_its_cause() {
    let missing = r#"[{"op":"test","path":"/data/x","value":"9"}]"#;
    let error = apply(JSON_PATCH, missing, FieldValidation::Warn).unwrap_err();
    assert_eq!((error.code.as_u16(), error.reason), (422, "Invalid"));
    assert_eq!(error.message, "the server rejected our request due to an error in our request");
    assert!(error.details.causes[0].message.contains("/data/x"), "{:?}", error.details.causes);
}

#[test]
fn malformed_patches_are_bad_requests() {
    for (form, body) in
        [(MERGE_PATCH, "{"), (MERGE_PATCH, "3"), (JSON_PATCH, "{}"), (STRATEGIC_MERGE_PATCH, "[]")]
    {
        let error = apply(form, body, FieldValidation::Warn).unwrap_err();
        assert_eq!(error.code, 400, "{form} {body}: {}", error.message);
    }
}

#[test]
fn malformed_patches_are_refused_in_the_words_of_gos_decoder() {
    const MAP: &str = "Go value of type map[string]interface {}";
    let told = |form: &str, body: &str| apply(form, body, FieldValidation::Warn).unwrap_err().message;
    for form in [JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH] {
        assert_eq!(told(form, "{"), "invalid JSON patch", "{form}");
    }
    for (body, why) in [
        ("{}", "object into Go value of type []handlers.jsonPatchOp"),
        ("[1]", "number into Go value of type handlers.jsonPatchOp"),
        (r#"[{"op":"add","path":1}]"#, "number into Go struct field jsonPatchOp.path of type string"),
    ] {
        assert_eq!(told(JSON_PATCH, body), format!("error decoding patch: json: cannot unmarshal {why}"));
    }
    assert_eq!(
        told(MERGE_PATCH, "3"),
        format!("error decoding patch: json: cannot unmarshal number into {MAP}")
    );
    assert_eq!(told(MERGE_PATCH, "null"), "Invalid JSON Patch");
    assert_eq!(told(STRATEGIC_MERGE_PATCH, "[]"), format!("json: cannot unmarshal array into {MAP}"));
    let nothing = apply(STRATEGIC_MERGE_PATCH, "null", FieldValidation::Strict).unwrap();
    assert_eq!(nothing.object.text(&["data", "x"]), "1");
    let body = r#"[{"op":"test","path":"/data/x","value":"1","note":"y"}]"#;
    let warned = apply(JSON_PATCH, body, FieldValidation::Warn).unwrap();
    assert_eq!(warned.warnings, ["json patch unknown field \"[0].note\""]);
}

#[test]
fn too_many_operations_are_too_large() {
    let operations = vec![r#"{"op":"test","path":"/data/x","value":"1"}"#; 10_001].join(",");
    let error = apply(JSON_PATCH, &format!("[{operations}]"), FieldValidation::Warn).unwrap_err();
    assert_eq!((error.code.as_u16(), error.reason), (413, "RequestEntityTooLarge"));
    assert_eq!(
        error.message,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[test]
fn unknown_fields_of_the_outcome_are_refused_or_warned_of() {
    let body = r#"{"dat":{"x":"3"}}"#;
    let warned = apply(MERGE_PATCH, body, FieldValidation::Warn).unwrap();
    assert_eq!(warned.warnings, ["unknown field \"dat\""]);
    let refused = apply(STRATEGIC_MERGE_PATCH, body, FieldValidation::Strict).unwrap_err();
    assert_eq!(refused.code, 422);
    assert_eq!(
        refused.message,
        " \"\" is invalid: patch: Invalid value: \"map[dat:map[x:3]]\": strict decoding error: \
         unknown field \"dat\""
    );
    let repeated = r#"{"data":{"x":"3"},"data":{"x":"4"}}"#;
    let warned = apply(MERGE_PATCH, repeated, FieldValidation::Warn).unwrap();
    assert_eq!(warned.warnings, ["duplicate field \"data\""]);
}

#[test]
fn a_patch_cannot_make_another_kind_of_it() {
    let refused = |body: &str| apply(MERGE_PATCH, body, FieldValidation::Warn).unwrap_err();
    let error = refused(r#"{"kind":"Secret"}"#);
    assert_eq!((error.code.as_u16(), error.reason), (422, "Invalid"));
    let why = "converting (v1.Secret) to (core.ConfigMap): unknown conversion";
    assert!(error.message.starts_with(" \"\" is invalid: patch: Invalid value: \"{"), "{}", error.message);
    assert!(error.message.ends_with(why), "{}", error.message);
    let error = refused(r#"{"apiVersion":"v2"}"#);
    let why = "no kind \"ConfigMap\" is registered for version \"v2\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"";
    assert!(error.message.ends_with(why), "{}", error.message);
    let patch = r#"{"kind":"Secret","data":{"x":"3"}}"#;
    let draft = apply(STRATEGIC_MERGE_PATCH, patch, FieldValidation::Strict).unwrap();
    assert_eq!((draft.object.text(&["kind"]), draft.object.text(&["data", "x"])), ("ConfigMap", "3"));
}
