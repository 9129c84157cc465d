//! What a pod's containers ask for changes while they run: `pods/resize`.
//!
//! In: a pod with other amounts. Out: the pod as it was, with those; or what is wrong with it. Nodes that can give
//! running containers other amounts say what they have given; to the others' containers nothing else is promised.
//!
//! Source: `ValidatePodResize` of `pkg/apis/core/validation`, `pkg/registry/core/pod/strategy.go`.

use serde_json::Value;

use super::{MIRROR, Rules, qos, update};
use crate::{
    field::{FieldError, NO_FIELD},
    kinds::storage::changes,
    object::Object,
    place::Place,
    strategy::{Strategy, keep, keep_all_but_status},
};

/// What can change.
const MUTABLE: [&str; 2] = ["cpu", "memory"];

/// The lists of containers.
const LISTS: [&str; 2] = ["containers", "initContainers"];

/// The rules of Pods where nothing but the size of their containers changes.
pub struct Resize;

impl Strategy for Resize {
    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let wanted = std::mem::take(object);
        *object = wanted.clone();
        keep_all_but_status(object, old);
        keep(object, old, &["status"]);
        for kept in ["labels", "annotations", "finalizers"] {
            keep(object, old, &["metadata", kept]);
        }
        for list in LISTS {
            take_sizes(object, &wanted, list);
        }
        let changed = object.get(&["spec"]) != old.get(&["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn default(&self, object: &mut Object) {
        Rules.default(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        Rules.validate(object)
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        update::annotations(object, old, &mut errors);
        if old.get(&["metadata", "annotations", MIRROR]).is_some() {
            return vec![FieldError::forbidden(NO_FIELD, "static pods cannot be resized")];
        }
        if old.text(&["spec", "os", "name"]) == "windows" {
            return vec![FieldError::forbidden(NO_FIELD, "windows pods cannot be resized")];
        }
        let class = qos::class(object.get(&["spec"]).unwrap_or(&Value::Null));
        let before = old.text(&["status", "qosClass"]);
        if !before.is_empty() && class != before {
            let detail = "Pod QOS Class may not change as a result of resizing";
            errors.push(FieldError::invalid("spec", class, detail));
        }
        if !is_supported(old) {
            errors.push(FieldError::forbidden("spec", "Pod running on node without support for resize"));
        }
        for list in LISTS {
            nothing_removed(object, old, list, &mut errors);
        }
        let (now, before) = (without_sizes(object), without_sizes(old));
        if now != before {
            let detail =
                format!("only cpu and memory resources are mutable\n{}", changes(Some(&before), Some(&now)));
            errors.push(FieldError::forbidden("spec", detail));
        }
        errors
    }

    fn field_value(&self, object: &Object, field: &str) -> String {
        Rules.field_value(object, field)
    }
}

/// Gives the containers of `object` the sizes that those of the same names have in `wanted`.
fn take_sizes(object: &mut Object, wanted: &Object, list: &str) {
    let path = ["spec", list];
    if object.list(&path).is_empty() {
        return;
    }
    let containers = object.slot(&path).and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
        let Some(other) = wanted.list(&path).iter().find(|other| other.get("name") == container.get("name"))
        else {
            continue;
        };
        for field in ["resources", "resizePolicy"] {
            match other.get(field) {
                Some(value) => drop(container.insert(field.to_owned(), value.clone())),
                None => drop(container.remove(field)),
            }
        }
    }
}

/// Whether the node that runs it says what its containers have been given.
fn is_supported(pod: &Object) -> bool {
    let statuses = pod.list(&["status", "containerStatuses"]);
    let running = statuses.iter().find(|status| status["state"]["running"].is_object());
    running.is_none_or(|status| status["resources"].is_object())
}

/// A container goes on to ask for, and to be limited in, what it was.
fn nothing_removed(object: &Object, old: &Object, list: &str, errors: &mut Vec<FieldError>) {
    let path = ["spec", list];
    let (now, before) = (Place::at(object, &path), Place::at(old, &path));
    for (now, before) in now.items().zip(before.items()) {
        for amounts in ["limits", "requests"] {
            let (now, before) =
                (now.child("resources").child(amounts), before.child("resources").child(amounts));
            let gone = |(name, _): (&str, Place<'_>)| MUTABLE.contains(&name) && !now.key(name).is_set();
            if before.entries().any(gone) {
                errors.push(now.forbidden(format!("resource {amounts} cannot be removed")));
            }
        }
    }
}

/// The spec without what can change: amounts of containers that run as long as the pod does.
fn without_sizes(pod: &Object) -> Value {
    let mut spec = pod.get(&["spec"]).cloned().unwrap_or_default();
    for list in LISTS {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if list == "initContainers" && container["restartPolicy"] != "Always" {
                continue;
            }
            for amounts in ["limits", "requests"] {
                let amounts = container.get_mut("resources").and_then(|resources| resources.get_mut(amounts));
                if let Some(amounts) = amounts.and_then(Value::as_object_mut) {
                    amounts.retain(|name, _| !MUTABLE.contains(&name.as_str()));
                }
            }
            without_empty(container);
        }
    }
    spec
}

/// No amounts are the same as an empty list of them.
fn without_empty(container: &mut Value) {
    let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) else { return };
    resources.retain(|_, amounts| amounts.as_object().is_none_or(|amounts| !amounts.is_empty()));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::texts;

    fn pod(resources: &Value) -> Object {
        let mut object = Object(json!({
            "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "generation": 1},
            "spec": {"containers": [{"name": "web", "image": "web:1", "resources": resources}]},
        }));
        Resize.default(&mut object);
        let class = qos::class(&object.0["spec"]);
        object.set(&["status"], json!({"phase": "Running", "qosClass": class}));
        object
    }

    fn resized(old: &Object, resources: &Value) -> Object {
        let mut new = pod(resources);
        Resize.prepare_update(&mut new, old);
        new
    }

    #[test]
    fn amounts_change_and_nothing_else() {
        let old = pod(&json!({"requests": {"cpu": "1", "memory": "1Gi"}}));
        let mut new = pod(&json!({"requests": {"cpu": "2", "memory": "1Gi"}}));
        new.set(&["metadata", "labels", "app"], "other");
        new.set(&["spec", "hostNetwork"], true);
        Resize.prepare_update(&mut new, &old);
        assert_eq!((new.labels(), new.generation()), (old.labels(), 2));
        assert_eq!(new.get(&["spec", "hostNetwork"]), None);
        assert_eq!(new.0["spec"]["containers"][0]["resources"]["requests"]["cpu"], "2");
        assert_eq!(Resize.validate(&new), []);
        assert_eq!(Resize.validate_update(&new, &old), []);
        assert_eq!(resized(&old, &json!({"requests": {"cpu": "1", "memory": "1Gi"}})).generation(), 1);
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let old = pod(&json!({"requests": {"cpu": "1", "memory": "1Gi"}}));
        let refused = |resources: Value| texts(&Resize.validate_update(&resized(&old, &resources), &old));
        assert_eq!(
            refused(json!({"requests": {"cpu": "1"}})),
            ["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"]
        );
        let whole = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(
            refused(json!({"requests": whole, "limits": whole})),
            ["spec: Invalid value: \"Guaranteed\": Pod QOS Class may not change as a result of resizing"]
        );
        let disk = json!({"requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}});
        assert!(refused(disk)[0].starts_with("spec: Forbidden: only cpu and memory resources are mutable\n"));
        let mut mirror = old.clone();
        mirror.set(&["metadata", "annotations", MIRROR], "x");
        assert_eq!(
            texts(&Resize.validate_update(&mirror, &mirror)),
            ["[]: Forbidden: static pods cannot be resized"]
        );
        let mut other = old.clone();
        other.set(&["spec", "os", "name"], "windows");
        assert_eq!(
            texts(&Resize.validate_update(&other, &other)),
            ["[]: Forbidden: windows pods cannot be resized"]
        );
    }

    #[test]
    fn a_node_that_does_not_say_what_it_gives_gives_no_more() {
        let mut old = pod(&json!({"requests": {"cpu": "1"}}));
        old.set(&["status", "containerStatuses"], json!([{"name": "web", "state": {"running": {}}}]));
        let new = resized(&old, &json!({"requests": {"cpu": "2"}}));
        assert_eq!(
            texts(&Resize.validate_update(&new, &old)),
            ["spec: Forbidden: Pod running on node without support for resize"]
        );
        old.set(
            &["status", "containerStatuses"],
            json!([{"name": "web", "state": {"running": {}}, "resources": {}}]),
        );
        assert_eq!(Resize.validate_update(&new, &old), []);
    }
}
