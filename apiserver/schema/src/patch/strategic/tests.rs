//! Directives, merge keys, orders, messages.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::builtin;

fn apply_to(name: &str, object: Value, patch: Value) -> Result<Value, PatchError> {
    apply(builtin(), builtin().lookup(name).unwrap(), object, patch)
}

/// Patches the `spec` of a Pod.
fn spec(spec: impl Into<Value>, patch: impl Into<Value>) -> Value {
    let (spec, patch): (Value, Value) = (spec.into(), patch.into());
    apply_to("core/v1.Pod", json!({"spec": spec}), json!({"spec": patch})).unwrap()["spec"].take()
}

fn message(spec: impl Into<Value>, patch: impl Into<Value>) -> String {
    let (spec, patch): (Value, Value) = (spec.into(), patch.into());
    apply_to("core/v1.Pod", json!({"spec": spec}), json!({"spec": patch})).unwrap_err().to_string()
}

#[test]
fn objects_merge_and_null_deletes() {
    assert_eq!(
        spec(
            json!({"nodeName": "n", "hostname": "h"}),
            json!({"nodeName": null, "hostname": "i", "subdomain": null})
        ),
        json!({"hostname": "i"})
    );
    assert_eq!(
        spec(json!({}), json!({"securityContext": {"runAsUser": 1, "runAsGroup": null}})),
        json!({"securityContext": {"runAsUser": 1}})
    );
}

#[test]
fn lists_merge_by_key() {
    let old = json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]});
    assert_eq!(
        spec(old.clone(), json!({"containers": [{"name": "b", "image": "3"}, {"name": "c"}]})),
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "3"}, {"name": "c"}]})
    );
    assert_eq!(
        spec(old.clone(), json!({"containers": [{"name": "a", "$patch": "delete"}]})),
        json!({"containers": [{"name": "b", "image": "2"}]})
    );
    assert_eq!(
        spec(old.clone(), json!({"containers": [{"$patch": "replace"}, {"name": "z"}]})),
        json!({"containers": [{"name": "z"}]})
    );
    assert_eq!(
        spec(old, json!({"containers": [{"name": "a", "ports": [{"containerPort": 1}], "image": null}]})),
        json!({"containers": [{"name": "a", "ports": [{"containerPort": 1}]}, {"name": "b", "image": "2"}]})
    );
}

#[test]
fn lists_without_a_strategy_are_replaced() {
    assert_eq!(
        spec(
            json!({"containers": [{"name": "a", "args": ["1", "2"]}], "tolerations": [{"key": "x"}]}),
            json!({"containers": [{"name": "a", "args": ["3"]}], "tolerations": [{"key": "y"}]})
        ),
        json!({"containers": [{"name": "a", "args": ["3"]}], "tolerations": [{"key": "y"}]})
    );
}

#[test]
fn lists_of_scalars_merge_as_sets() {
    let object = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    let patched = |patch| apply_to("core/v1.Pod", object.clone(), json!({"metadata": patch})).unwrap();
    assert_eq!(
        patched(json!({"finalizers": ["d", "b"]})),
        json!({"metadata": {"finalizers": ["d", "a", "b", "c"]}})
    );
    assert_eq!(
        patched(json!({"$deleteFromPrimitiveList/finalizers": ["b", "x"]})),
        json!({"metadata": {"finalizers": ["a", "c"]}})
    );
    assert_eq!(
        patched(json!({"$setElementOrder/finalizers": ["d", "c", "a"], "finalizers": ["d"],
                       "$deleteFromPrimitiveList/finalizers": ["b"]})),
        json!({"metadata": {"finalizers": ["d", "c", "a"]}})
    );
}

#[test]
fn element_order_is_set() {
    let old = json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "live"}]});
    assert_eq!(
        spec(
            old.clone(),
            json!({
                "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
                "containers": [{"name": "c"}, {"name": "b", "image": "x"}]
            })
        ),
        json!({"containers": [{"name": "c"}, {"name": "b", "image": "x"}, {"name": "a"}, {"name": "live"}]})
    );
    assert_eq!(
        spec(old.clone(), json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]})),
        json!({"containers": [{"name": "b"}, {"name": "a"}, {"name": "live"}]})
    );
    assert_eq!(
        spec(
            json!({}),
            json!({"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "b"}]})
        ),
        json!({"containers": [{"name": "b"}]})
    );
    let wrong = message(
        old,
        json!({
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "b"}, {"name": "a"}]
        }),
    );
    assert!(wrong.starts_with("The order in patch list:\n"), "{wrong}");
}

#[test]
fn retain_keys_and_replaced_objects() {
    let old = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}});
    let patched = |patch| {
        apply_to("apps/v1.Deployment", json!({"spec": old.clone()}), json!({"spec": {"strategy": patch}}))
    };
    assert_eq!(
        patched(json!({"$retainKeys": ["type"], "type": "Recreate"})),
        Ok(json!({"spec": {"strategy": {"type": "Recreate"}}}))
    );
    assert_eq!(
        patched(json!({"$patch": "replace", "type": "Recreate"})),
        Ok(json!({"spec": {"strategy": {"type": "Recreate"}}}))
    );
    assert_eq!(patched(json!({"$patch": "delete"})), Ok(json!({"spec": {"strategy": {}}})));
    assert_eq!(
        patched(json!({"$retainKeys": ["type"], "rollingUpdate": {}})),
        Err(PatchError::malformed("invalid patch format of retainKeys"))
    );
}

#[test]
fn maps_and_untyped_values_merge() {
    assert_eq!(
        apply_to(
            "core/v1.Pod",
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
            json!({"metadata": {"labels": {"b": null, "c": "3"}}})
        ),
        Ok(json!({"metadata": {"labels": {"a": "1", "c": "3"}}}))
    );
    assert_eq!(
        apply_to(
            "apps/v1.ControllerRevision",
            json!({"data": {"a": {"b": [1]}}}),
            json!({"data": {"a": {"b": [2]}}})
        ),
        Ok(json!({"data": {"a": {"b": [2]}}}))
    );
}

#[test]
fn messages() {
    let containers = || json!({"containers": [{"name": "a"}]});
    let table = [
        (
            json!({"containers": [{"image": "x"}]}),
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            json!({"containers": [{"name": "a", "$patch": "merge"}]}),
            "merging lists cannot yet be specified in the patch",
        ),
        (
            json!({"containers": [{"name": "a", "$patch": "x"}]}),
            "unknown patch type: x in map: map[$patch:x name:a]",
        ),
        (json!({"$patch": "x"}), "unknown patch type: x in map: map[$patch:x]"),
        (json!({"containers": [1]}), "list element types are not identical: [[map[name:a]] [1]]"),
        (json!({"$setElementOrder/containers": 1}), "expected a []interface {}, but received a int64"),
        (json!({"$setElementOrder": []}), "invalid patch format of setElementOrder list"),
        (json!({"$deleteFromPrimitiveList": []}), "invalid patch format of primitive list"),
        (json!({"$deleteFromPrimitiveList/containers": [1]}), "invalid patch format of primitive list"),
        (
            json!({"$setElementOrder/foo": []}),
            "unable to find api field in struct PodSpec for the json field \"foo\"",
        ),
        (json!({"$retainKeys": 1}), "invalid patch format of retainKeys"),
    ];
    for (patch, expected) in table {
        assert_eq!(message(containers(), patch.clone()), expected, "{patch}");
    }
    let failed =
        apply_to("core/v1.PodSpec", containers(), json!({"containers": [{"image": "x"}]})).unwrap_err();
    assert!(matches!(failed, PatchError::Failed { .. }), "{failed:?}");
    assert_eq!(
        apply_to("core/v1.Pod", json!({}), json!([])),
        Err(PatchError::malformed("invalid JSON document"))
    );
}

#[test]
fn long_lists_merge_in_time() {
    let list = |from: usize| {
        Value::from((from..from + 50_000).map(|at| json!({"name": at.to_string()})).collect::<Vec<_>>())
    };
    let merged = spec(json!({"containers": list(0)}), json!({"containers": list(25_000)}));
    assert_eq!(merged["containers"].as_array().unwrap().len(), 75_000);
}

proptest! {
    #[test]
    fn no_patch_panics(
        keys in proptest::collection::vec(
            "(containers|finalizers|\\$patch|\\$retainKeys|\\$setElementOrder/(containers|tolerations)|\\$deleteFromPrimitiveList/(containers|x)|hostname)",
            0..5,
        ),
        values in proptest::collection::vec(0usize..8, 5),
    ) {
        let choices = [
            json!(null), json!([]), json!({}), json!("delete"), json!([{"name": "a", "$patch": "delete"}]),
            json!(["containers", 1]), json!([{"name": "b", "ports": [{"containerPort": 1}]}]), json!([[1]]),
        ];
        let fields = keys.into_iter().zip(values).map(|(key, at)| (key, choices[at].clone()));
        let patch = Value::Object(fields.collect());
        let object = json!({"containers": [{"name": "a"}, {"name": "b", "ports": []}], "tolerations": [{}]});
        let _ = apply_to("core/v1.Pod", json!({"spec": object}), json!({"spec": patch}));
    }
}
