//! Patches and configurations, to an object that is there.
//!
//! Promises: nothing panics, an object does not become longer than it, the patch and the limits allow, and who applies
//! the same twice changes nothing the second time.

use keelson_api_schema::{
    Document, Encoding, TypeId,
    apply::{FieldManager, FieldSet},
    builtin, decode_value, encode,
    patch::{
        json::{JsonPatch, MAX_COPIED_BYTES},
        merge, strategic,
    },
};
use serde_json::{Value, json};

/// What is patched.
fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "b", "labels": {"x": "1"}, "finalizers": ["a/b", "c/d"]},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [
                        {"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
                        {"name": "d", "image": "j", "env": [{"name": "E", "value": "1"}]},
                    ],
                    "tolerations": [{"key": "k", "operator": "Exists"}],
                },
            },
        },
    })
}

fn ty() -> TypeId {
    builtin().lookup_kind("apps", "v1", "Deployment").expect("the schema has deployments")
}

/// The patch in an input.
fn patch(input: &[u8]) -> Option<Value> {
    let document = Document::parse(input, Encoding::Json).and_then(Document::decode_untyped);
    document.ok().map(|decoded| decoded.value)
}

/// What a patch has made is an object of its type or refused, and not longer than it may be.
fn check(patched: Value, patch: &Value) {
    let most = deployment().to_string().len() + 2 * patch.to_string().len() + MAX_COPIED_BYTES;
    assert!(patched.to_string().len() <= most, "a patch has multiplied the object");
    if let Ok(decoded) = decode_value(builtin(), ty(), patched) {
        drop(encode(builtin(), ty(), &decoded.value));
    }
}

pub(crate) fn json_patch(input: &[u8]) {
    let Some(patch) = patch(input) else { return };
    if let Ok(Ok(patched)) = JsonPatch::read(patch.clone()).map(|patch| patch.apply(deployment())) {
        check(patched, &patch);
    }
}

pub(crate) fn merge_patch(input: &[u8]) {
    let Some(patch) = patch(input) else { return };
    if let Ok(patched) = merge::apply(deployment(), patch.clone()) {
        check(patched, &patch);
    }
}

pub(crate) fn strategic_merge_patch(input: &[u8]) {
    let Some(patch) = patch(input) else { return };
    if let Ok(patched) = strategic::apply(builtin(), ty(), deployment(), patch.clone()) {
        check(patched, &patch);
    }
}

pub(crate) fn apply(input: &[u8]) {
    let Some(mut configuration) = patch(input) else { return };
    let Some(members) = configuration.as_object_mut() else { return };
    members.insert("apiVersion".to_owned(), "apps/v1".into());
    members.insert("kind".to_owned(), "Deployment".into());
    let manager = FieldManager {
        schema: builtin(),
        ty: ty(),
        api_version: "apps/v1",
        kind: "Deployment",
        reset: &FieldSet::default(),
        name: "fuzz",
        subresource: "",
        now: "2026-01-02T03:04:05Z",
        versions: None,
    };
    for live in [None, Some(deployment())] {
        let Ok(applied) = manager.apply(live.as_ref(), &configuration, true) else { continue };
        let Ok(stored) = decode_value(builtin(), ty(), applied) else { continue };
        let again = manager.apply(Some(&stored.value), &configuration, false);
        let again = again.expect("who has forced a configuration has no conflict with it");
        let again = decode_value(builtin(), ty(), again).expect("it was an object before").value;
        assert!(says_nothing(&configuration) || again == stored.value, "the second time nothing changes");
    }
}

/// Whether an empty text stands somewhere. As a list's key it is another one than the default that takes its place, for
/// upstream, too.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().any(says_nothing),
        Value::Object(members) => members.values().any(says_nothing),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
