//! Ephemeral containers are added to a pod that runs, to look around in it: `pods/ephemeralcontainers`.
//!
//! In: a pod with more of them. Out: the pod as it was, with those; or what is wrong with it. They only ever come.
//!
//! Source: `ValidatePodEphemeralContainersUpdate` of `pkg/apis/core/validation`, `pkg/registry/core/pod/strategy.go`.

use super::{MIRROR, Rules, template, update};
use crate::{
    field::{FieldError, NO_FIELD},
    kinds::storage,
    object::Object,
    strategy::{Strategy, keep, keep_all_but_status},
};

const LIST: [&str; 2] = ["spec", "ephemeralContainers"];

/// The rules of Pods where nothing but their ephemeral containers changes.
pub struct EphemeralContainers;

impl Strategy for EphemeralContainers {
    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let wanted = object.get(&LIST).cloned();
        keep_all_but_status(object, old);
        keep(object, old, &["status"]);
        match wanted {
            Some(containers) => object.set(&LIST, containers),
            None => drop(object.remove(&LIST)),
        }
        for kept in ["labels", "annotations", "finalizers"] {
            keep(object, old, &["metadata", kept]);
        }
        template::drop_disabled(object, Some(old), &["spec"]);
        let changed = object.list(&LIST) != old.list(&LIST);
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
            errors.push(FieldError::forbidden(NO_FIELD, "static pods do not support ephemeral containers"));
        }
        for before in old.list(&LIST) {
            let name = before["name"].as_str().unwrap_or_default();
            let why = match object.list(&LIST).iter().find(|now| now["name"] == name) {
                Some(now) if now == before => continue,
                Some(now) => format!("changed\n{}", storage::changes(Some(before), Some(now))),
                None => "removed\n".to_owned(),
            };
            let detail = format!("existing ephemeral containers {name:?} may not be {why}");
            errors.push(FieldError::forbidden(LIST.join("."), detail));
        }
        errors
    }

    fn field_value(&self, object: &Object, field: &str) -> String {
        Rules.field_value(object, field)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(ephemeral: &Value) -> Object {
        let mut object = Object(json!({
            "metadata": {"name": "web", "namespace": "shop", "generation": 1, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}], "ephemeralContainers": ephemeral},
            "status": {"phase": "Running"},
        }));
        EphemeralContainers.default(&mut object);
        object
    }

    #[test]
    fn nothing_else_changes_and_the_generation_grows() {
        let old = pod(&json!([]));
        let mut new = pod(&json!([{"name": "look", "image": "busybox"}]));
        new.set(&["metadata", "labels", "app"], "other");
        new.set(&["spec", "containers"], json!([]));
        new.remove(&["status"]);
        EphemeralContainers.prepare_update(&mut new, &old);
        assert_eq!(new.labels(), old.labels());
        assert_eq!(new.list(&["spec", "containers"]), old.list(&["spec", "containers"]));
        assert_eq!((new.generation(), new.text(&["status", "phase"])), (2, "Running"));
        assert_eq!(EphemeralContainers.validate(&new), []);
        assert_eq!(EphemeralContainers.validate_update(&new, &old), []);
    }

    #[test]
    fn they_only_ever_come() {
        let old = pod(&json!([{"name": "look", "image": "busybox"}]));
        let refused = |new: &Object| EphemeralContainers.validate_update(new, &old)[0].to_string();
        assert_eq!(
            refused(&pod(&json!([]))),
            "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"look\" may not be removed\n"
        );
        let start = "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"look\" may not be changed\n";
        assert!(refused(&pod(&json!([{"name": "look", "image": "other"}]))).starts_with(start));
    }
}
