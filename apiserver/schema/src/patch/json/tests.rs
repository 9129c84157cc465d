//! Operations, messages, limits.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn apply(document: Value, patch: Value) -> Result<Value, PatchError> {
    JsonPatch::read(patch)?.apply(document)
}

fn message(document: Value, patch: Value) -> String {
    apply(document, patch).unwrap_err().to_string()
}

#[test]
fn operations() {
    let table = [
        (json!({"a": 1}), json!([{"op": "add", "path": "/b", "value": 2}]), json!({"a": 1, "b": 2})),
        (json!({"a": [1, 3]}), json!([{"op": "add", "path": "/a/1", "value": 2}]), json!({"a": [1, 2, 3]})),
        (json!({"a": [1]}), json!([{"op": "add", "path": "/a/-", "value": 2}]), json!({"a": [1, 2]})),
        (json!({"a": [1, 2]}), json!([{"op": "add", "path": "/a/-1", "value": 3}]), json!({"a": [1, 2, 3]})),
        (json!({"a": 1, "b": 2}), json!([{"op": "remove", "path": "/a"}]), json!({"b": 2})),
        (json!({"a": [1, 2]}), json!([{"op": "remove", "path": "/a/-1"}]), json!({"a": [1]})),
        (
            json!({"a": 1}),
            json!([{"op": "replace", "path": "/a", "value": {"b": 1}}]),
            json!({"a": {"b": 1}}),
        ),
        (json!({"a": 1}), json!([{"op": "replace", "path": "", "value": {"b": 1}}]), json!({"b": 1})),
        (json!({"a": 1}), json!([{"op": "replace", "path": "/z", "value": 1}]), json!({"a": 1, "z": 1})),
        (
            json!({"a": {"b": 1}}),
            json!([{"op": "move", "from": "/a/b", "path": "/c"}]),
            json!({"a": {}, "c": 1}),
        ),
        (json!({"a": [1]}), json!([{"op": "copy", "from": "/a/0", "path": "/a/-"}]), json!({"a": [1, 1]})),
        (json!({"a/b": {"m~n": 1}}), json!([{"op": "remove", "path": "/a~1b/m~0n"}]), json!({"a/b": {}})),
        (json!({"a": 1}), json!([{"op": "test", "path": "/a", "value": 1}]), json!({"a": 1})),
        (json!({"a": 1}), json!([{"op": "test", "path": "/b", "value": null}]), json!({"a": 1})),
        (json!({"a": 1}), json!([{"op": "test", "path": "", "value": {"a": 1}}]), json!({"a": 1})),
        (json!({"a": 1}), json!([{"op": "add", "path": "/a"}]), json!({"a": null})),
        (json!({"a": 1}), json!([]), json!({"a": 1})),
    ];
    for (document, patch, expected) in table {
        assert_eq!(apply(document, patch.clone()), Ok(expected), "{patch}");
    }
}

/// Patch of `{"a": 1, "l": [1]}`, message.
const FAILURES: &[(&str, &str)] = &[
    (r#"[{"op": "test", "path": "/a", "value": 2}]"#, "testing value /a failed: test failed"),
    (
        r#"[{"op": "test", "path": "/b/c", "value": 2}]"#,
        "test operation does not apply: is missing path: /b/c: missing value",
    ),
    (
        r#"[{"op": "test", "path": "/l/7", "value": 2}]"#,
        "error in test for path: '/l/7': Unable to access invalid index: 7: invalid index referenced",
    ),
    (
        r#"[{"op": "remove", "path": "/b"}]"#,
        "error in remove for path: '/b': Unable to remove nonexistent key: b: missing value",
    ),
    (
        r#"[{"op": "remove", "path": "/b/c"}]"#,
        "remove operation does not apply: doc is missing path: \"/b/c\": missing value",
    ),
    (
        r#"[{"op": "remove", "path": ""}]"#,
        "remove operation does not apply: doc is missing path: \"\": missing value",
    ),
    (
        r#"[{"op": "remove", "path": "/l/1"}]"#,
        "error in remove for path: '/l/1': Unable to access invalid index: 1: invalid index referenced",
    ),
    (
        r#"[{"op": "add", "path": "/b/c", "value": 1}]"#,
        "add operation does not apply: doc is missing path: \"/b/c\": missing value",
    ),
    (
        r#"[{"op": "add", "path": "/a/c", "value": 1}]"#,
        "add operation does not apply: doc is missing path: \"/a/c\": missing value",
    ),
    (
        r#"[{"op": "add", "path": "/l/x", "value": 1}]"#,
        "error in add for path: '/l/x': value was not a proper array index: 'x': strconv.Atoi: parsing \"x\": invalid syntax",
    ),
    (
        r#"[{"op": "add", "path": "/l/3", "value": 1}]"#,
        "error in add for path: '/l/3': Unable to access invalid index: 3: invalid index referenced",
    ),
    (
        r#"[{"op": "replace", "path": "/b/c", "value": 1}]"#,
        "replace operation does not apply: doc is missing path: /b/c: missing value",
    ),
    (
        r#"[{"op": "replace", "path": "/l/3", "value": 1}]"#,
        "replace operation does not apply: doc is missing key: /l/3: missing value",
    ),
    (
        r#"[{"op": "move", "from": "/b/c", "path": "/d"}]"#,
        "move operation does not apply: doc is missing from path: /b/c: missing value",
    ),
    (
        r#"[{"op": "copy", "from": "/b/c", "path": "/d"}]"#,
        "copy operation does not apply: doc is missing from path: /b/c: missing value",
    ),
    (
        r#"[{"op": "copy", "path": "/d"}]"#,
        "copy operation failed to decode from: operation, missing from field: missing value",
    ),
    (r#"[{"op": "add"}]"#, "add operation failed to decode path: missing value"),
    (r#"[{"op": "jump", "path": "/a"}]"#, "Unexpected kind: jump"),
    (r#"[{"path": "/a"}]"#, "Unexpected kind: unknown"),
];

#[test]
fn messages() {
    for (patch, expected) in FAILURES {
        let patch = serde_json::from_str(patch).unwrap();
        assert_eq!(message(json!({"a": 1, "l": [1]}), patch), *expected);
    }
    assert_eq!(
        JsonPatch::read(json!({})),
        Err(PatchError::malformed("json: cannot unmarshal object into Go value of type jsonpatch.Patch"))
    );
}

#[test]
fn the_number_of_operations_is_bounded() {
    let operation = json!({"op": "test", "path": "/a", "value": 1});
    let patch = Value::from(vec![operation; MAX_OPERATIONS + 1]);
    let expected = "The allowed maximum operations in a JSON patch is 10000, got 10001";
    assert_eq!(JsonPatch::read(patch), Err(PatchError::too_large(expected)));
}

#[test]
fn copies_are_bounded() {
    let doubling = vec![json!({"op": "copy", "from": "/a", "path": "/a/-"}); 40];
    let error = message(json!({"a": ["xxxxxxxxxxxxxxxx"]}), Value::from(doubling));
    assert!(
        error.starts_with("Unable to complete the copy, the accumulated size increase of copy is "),
        "{error}"
    );
    assert!(error.ends_with(", exceeding the limit 3145728"), "{error}");
}

#[test]
fn work_is_bounded() {
    let document = json!({"a": vec![0; 100_000]});
    let patch = vec![json!({"op": "add", "path": "/a/0", "value": 0}); MAX_OPERATIONS];
    assert!(matches!(apply(document, Value::from(patch)), Err(PatchError::TooLarge { .. })));
}

#[test]
fn depth_is_bounded() {
    let steps = (0..200).map(|depth| json!({"op": "add", "path": "/a".repeat(depth + 1), "value": {}}));
    let patch = Value::from(steps.collect::<Vec<Value>>());
    assert_eq!(message(json!({}), patch), "the patch nests deeper than 120 levels");
}

proptest! {
    #[test]
    fn no_patch_panics(
        operations in proptest::collection::vec(
            ("(add|remove|replace|move|copy|test)", "(/|a|b|0|1|-|-1|~){0,6}", "(/|a|b|0|1|-|-2){0,6}"), 0..12
        )
    ) {
        let operations = operations.into_iter().map(|(op, path, from)| {
            json!({"op": op, "path": path, "from": from, "value": {"a": [1, {"b": null}]}})
        });
        let patch = JsonPatch::read(Value::from(operations.collect::<Vec<Value>>())).unwrap();
        let _ = patch.apply(json!({"a": [1, {"b": 2}], "b": {"a": "x"}}));
    }
}
