//! Pod: defaults, quality of service, what may change once it exists.
//!
//! Deliberately absent: what admission adds (the service account, tolerations, the priority), and running it.

use serde_json::{Value, json};

use crate::{
    field::{FieldError, NO_FIELD},
    object::Object,
    place::Place,
    strategy::{Strategy, keep_all_but_status},
};

mod columns;
mod container;
mod default;
mod env;
mod ephemeral;
mod gates;
mod mount;
mod pod_resources;
mod probe;
mod profile;
mod projected;
pub(crate) mod qos;
mod resize;
pub(super) mod resources;
pub(super) mod scheduling;
mod security;
mod spec;
mod status;
pub mod template;
mod update;
pub(super) mod volume;
pub(super) mod warnings;
mod windows;

#[cfg(test)]
mod tests;

pub use columns::COLUMNS;
pub(super) use default::{host_path_type, round_up};
pub use ephemeral::EphemeralContainers;
pub use resize::Resize;

/// The annotation that marks the API's image of a pod that a node runs on its own.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The annotation that says which pods a ReplicaSet removes first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The rules of Pods.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["metadata", "generation"], 1);
        template::drop_disabled(object, None, &["spec"]);
        profile::synchronize(object);
        synchronize_account(object);
        let class = qos::class(object.get(&["spec"]).unwrap_or(&Value::Null));
        let mut status = json!({"phase": "Pending", "qosClass": class});
        if !object.list(&["spec", "schedulingGates"]).is_empty() {
            status["conditions"] = json!([{
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates"
            }]);
        }
        object.set(&["status"], status);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        match old.get(&["status"]) {
            Some(status) => object.set(&["status"], status.clone()),
            None => drop(object.remove(&["status"])),
        }
        template::drop_disabled(object, Some(old), &["spec"]);
        synchronize_account(object);
        let changed = object.get(&["spec"]) != old.get(&["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn prepare_status_update(&self, object: &mut Object, old: &Object) {
        keep_all_but_status(object, old);
        for kept in ["qosClass", "observedGeneration"] {
            let path = ["status", kept];
            if object.get(&path).is_none()
                && let Some(value) = old.get(&path)
            {
                object.set(&path, value.clone());
            }
        }
    }

    fn default(&self, object: &mut Object) {
        if let Some(spec) = object.slot(&["spec"]) {
            if spec.is_null() {
                *spec = json!({});
            }
            default::pod_only(spec);
            default::spec(spec);
        }
    }

    fn validate_create(&self, object: &Object) -> Vec<FieldError> {
        let ephemeral = Place::at(object, &["spec", "ephemeralContainers"]);
        let mut errors = profile::matching(object);
        if !ephemeral.is_empty() {
            errors.push(ephemeral.forbidden("cannot be set on create"));
        }
        errors
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let marks = Place::at(object, &["metadata", "annotations"]);
        let mirror = marks.key(MIRROR);
        if mirror.is_set() && object.text(&["spec", "nodeName"]).is_empty() {
            errors.push(mirror.invalid("must set spec.nodeName if mirror pod annotation is set"));
        }
        annotations(&marks, &Place::at(object, &["spec"]), &mut errors);
        if mirror.is_set() {
            let claims = object.list(&["spec", "resourceClaims"]).iter();
            let detail = "static pods do not support resource claims";
            errors.extend(claims.map(|_| FieldError::forbidden(NO_FIELD, detail)));
        }
        let name = Some(object.text(&["metadata", "name"]));
        spec::validate(&Place::at(object, &["spec"]), name, &mut errors);
        tokens_need_an_account(object, &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        update::validate(object, old)
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        status::validate(object, old)
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        if old.is_some() { Vec::new() } else { warnings::of_pod(object) }
    }

    fn draft_warnings(&self, object: &Object) -> Vec<String> {
        warnings::of_draft(object)
    }

    fn status_warnings(&self, object: &Object) -> Vec<String> {
        warnings::of_status(object)
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }

    fn grace_period(&self, object: &Object, wish: Option<i64>) -> Option<i64> {
        let own = object.integer(&["spec", "terminationGracePeriodSeconds"]);
        let nobody_runs_it = object.text(&["spec", "nodeName"]).is_empty();
        let is_over = matches!(object.text(&["status", "phase"]), "Failed" | "Succeeded");
        match wish.or(own).unwrap_or(0) {
            _ if nobody_runs_it || is_over => Some(0),
            seconds if seconds < 0 => Some(1),
            seconds => Some(seconds),
        }
    }

    fn field_value(&self, object: &Object, field: &str) -> String {
        let text = |path: &[&str]| object.text(path).to_owned();
        match field {
            "spec.host" => text(&["spec", "nodeName"]),
            "spec.hostNetwork" => Place::at(object, &["spec", "hostNetwork"]).flag().to_string(),
            "status.podIPs" => {
                let first = object.list(&["status", "podIPs"]).first();
                first.and_then(|ip| ip["ip"].as_str()).unwrap_or_default().to_owned()
            }
            field => text(&field.split('.').collect::<Vec<_>>()),
        }
    }
}

/// Annotations that mean something on pods and their templates.
fn annotations(annotations: &Place<'_>, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let cost = annotations.key(DELETION_COST);
    let plain = |text: &str| text.parse::<i32>().is_ok_and(|number| number.to_string() == text);
    if cost.is_set() && !plain(cost.text()) {
        errors.push(cost.invalid("must be a 32bit integer"));
    }
    profile::annotations(annotations, spec, errors);
}

fn tokens_need_an_account(object: &Object, errors: &mut Vec<FieldError>) {
    if !object.text(&["spec", "serviceAccountName"]).is_empty() {
        return;
    }
    for volume in Place::at(object, &["spec", "volumes"]).items() {
        for source in volume.child("projected").child("sources").items() {
            let token = source.child("serviceAccountToken");
            if token.is_set() {
                errors.push(token.forbidden("must not be specified when serviceAccountName is not set"));
            }
        }
    }
}

fn synchronize_account(object: &mut Object) {
    if object.get(&["spec"]).is_some()
        && let Some(spec) = object.slot(&["spec"])
    {
        default::service_account(spec);
    }
}
