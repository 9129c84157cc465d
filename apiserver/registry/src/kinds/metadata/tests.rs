//! Metadata that breaks rules, and upstream's words for it.

use serde_json::json;

use super::*;
use crate::field::texts;
use crate::resources::find;

fn wrong(metadata: Value) -> Vec<String> {
    let config_maps = find("", "v1", "configmaps").unwrap();
    let mut object = Object::default();
    object.set(&["metadata"], metadata);
    texts(&validate(config_maps, &object))
}

#[test]
fn good_metadata_passes() {
    let metadata = json!({
        "name": "web-1", "generateName": "web-", "namespace": "shop",
        "labels": {"app.kubernetes.io/name": "web", "empty": ""},
        "annotations": {"Example.com/Anything": "goes here"},
        "finalizers": ["example.com/wait"],
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": true}]
    });
    assert_eq!(wrong(metadata), Vec::<String>::new());
}

#[test]
fn names_and_namespaces_are_checked() {
    assert_eq!(
        wrong(json!({})),
        [
            "metadata.name: Required value: name or generateName is required",
            "metadata.namespace: Required value"
        ]
    );
    let bad = wrong(json!({"name": "Web", "generateName": "We-", "namespace": "a.b"}));
    assert_eq!(bad.len(), 3);
    assert!(bad[0].starts_with(
        "metadata.generateName: Invalid value: \"We-\": a lowercase RFC 1123 subdomain must consist of"
    ));
    assert!(bad[1].starts_with("metadata.name: Invalid value: \"Web\": a lowercase"));
    assert_eq!(bad[2], "metadata.namespace: Invalid value: \"a.b\": must not contain dots");
    let nodes = find("", "v1", "nodes").unwrap();
    let node = Object(json!({"metadata": {"name": "n", "namespace": "x"}}));
    assert_eq!(texts(&validate(nodes, &node)), ["metadata.namespace: Forbidden: not allowed on this type"]);
}

#[test]
fn a_dash_at_the_end_of_a_prefix_is_no_error_of_its_own() {
    assert_eq!(with_suffix("web-"), "wea");
    assert_eq!(with_suffix("-"), "-");
    assert_eq!(with_suffix("é-"), "a");
    assert_eq!(with_suffix("web"), "web");
}

#[test]
fn labels_and_annotations_are_checked() {
    let bad = wrong(json!({"name": "a", "namespace": "b", "labels": {"a b": "c d"}}));
    assert_eq!(bad.len(), 2);
    assert!(bad[0].starts_with("metadata.labels: Invalid value: \"a b\": name part must consist of"));
    assert!(
        bad[1].starts_with("metadata.labels: Invalid value: \"c d\": a valid label must be an empty string")
    );
    let long = "x".repeat(ANNOTATIONS_MAX_TOTAL);
    assert_eq!(
        wrong(json!({"name": "a", "namespace": "b", "annotations": {"k": long}})),
        ["metadata.annotations: Too long: may not be more than 262144 bytes"]
    );
}

#[test]
fn owners_are_checked() {
    let owner =
        |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": "1", "controller": true});
    let bad = wrong(json!({"name": "a", "namespace": "b", "ownerReferences": [owner("x"), owner("y")]}));
    assert_eq!(bad.len(), 1);
    assert!(bad[0].ends_with(
        "Only one reference can have Controller set to true. Found \"true\" in references for Pod/x and Pod/y"
    ));
    let bad = wrong(json!({"name": "a", "namespace": "b", "ownerReferences": [{"apiVersion": "a/b/c"}]}));
    assert_eq!(
        bad,
        [
            "metadata.ownerReferences[0].apiVersion: Invalid value: \"a/b/c\": must be <group>/<version> or <version>",
            "metadata.ownerReferences[0].kind: Required value: must not be empty",
            "metadata.ownerReferences[0].name: Required value: must not be empty",
            "metadata.ownerReferences[0].uid: Required value: must not be empty",
        ]
    );
}

#[test]
fn finalizers_without_a_prefix_are_kubernetes_own() {
    let text = "metadata.finalizers[1]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it \
                fully qualified";
    let object =
        Object(json!({"metadata": {"name": "a", "namespace": "b", "finalizers": ["orphan", "mine", "x/y"]}}));
    assert_eq!(texts(&validate(find("", "v1", "configmaps").unwrap(), &object)), [text]);
    let old = Object(json!({"metadata": {"name": "a", "namespace": "b"}}));
    assert_eq!(texts(&validate_update(&object, &old)), [text]);
}

#[test]
fn identity_does_not_change_and_the_dying_get_no_finalizers() {
    let old = Object(json!({"metadata": {
        "name": "a", "namespace": "b", "uid": "1", "generation": 2, "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["x/y"]
    }}));
    let mut new = old.clone();
    assert_eq!(validate_update(&new, &old), []);
    new.set(&["metadata", "uid"], "2");
    new.set(&["metadata", "generation"], 1);
    new.set(&["metadata", "finalizers"], json!(["x/y", "x/z", "x/a"]));
    assert_eq!(
        texts(&validate_update(&new, &old)),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, \
             found new finalizers []string{\"x/a\", \"x/z\"}",
            "metadata.generation: Invalid value: 1: must not be decremented",
            "metadata.uid: Invalid value: \"2\": field is immutable",
        ]
    );
}

#[test]
fn selectors_are_checked() {
    let object = Object(json!({"selector": {
        "matchLabels": {"a": "b"},
        "matchExpressions": [
            {"key": "a", "operator": "In"},
            {"key": "a", "operator": "Exists", "values": ["x"]},
            {"key": "", "operator": "Near"},
            {"key": "a", "operator": "NotIn", "values": ["x y"]}
        ]
    }}));
    let mut errors = Vec::new();
    label_selector(&Place::at(&object, &["selector"]), &mut errors);
    let texts = texts(&errors);
    assert_eq!(
        texts[..4],
        [
            "selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            "selector.matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            "selector.matchExpressions[2].operator: Invalid value: \"Near\": not a valid selector operator",
            "selector.matchExpressions[2].key: Invalid value: \"\": name part must be non-empty",
        ]
    );
    assert!(
        texts[5].starts_with("selector.matchExpressions[3].values[0]: Invalid value: \"x y\": a valid label")
    );
}
