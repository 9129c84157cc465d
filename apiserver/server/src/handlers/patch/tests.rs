//! Patches, applied to an object without a store.

use serde_json::json;

use super::*;

const CONFIG_MAP: Wanted<'_> = Wanted { group: "", version: "v1", kind: "ConfigMap" };

fn read(form: &str, body: &str) -> Result<Patch, ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, form.parse().unwrap());
    Patch::read(&headers, body.as_bytes())
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
fn unknown_fields_of_the_outcome_are_refused_or_warned_of() {
    let body = r#"{"dat":{"x":"3"}}"#;
    let warned = apply(MERGE_PATCH, body, FieldValidation::Warn).unwrap();
    assert_eq!(warned.warnings, ["unknown field \"dat\""]);
    let refused = apply(STRATEGIC_MERGE_PATCH, body, FieldValidation::Strict).unwrap_err();
    assert_eq!(refused.code, 422);
    assert_eq!(
        refused.message,
        " \"\" is invalid: patch: Invalid value: \"{\\\"dat\\\":{\\\"x\\\":\\\"3\\\"}}\": strict decoding error: \
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
