//! Annotations that name profiles of seccomp and AppArmor, as they did before there were fields for it.
//!
//! In: a pod or a template, its annotations. Out: what is wrong with them and with their fields, in upstream's words;
//! the fields that AppArmor's annotations stand for.
//!
//! Deliberately absent: the fields' own rules; fields that seccomp's annotations would stand for, which upstream no
//! longer sets.
//!
//! Source: `pkg/apis/core/validation`, `pkg/registry/core/pod/strategy.go`.

use serde_json::{Value, json};

use super::{default::CONTAINER_LISTS, spec::each_container};
use crate::{field::FieldError, kinds::local_path, object::Object, place::Place};

/// The annotation of a pod's seccomp profile, and how those of its containers begin.
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// How the annotations of containers' AppArmor profiles begin.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// How a profile's name begins that the node has a file of.
const LOCAL: &str = "localhost/";
const RUNTIME: &str = "runtime/default";
const UNCONFINED: &str = "unconfined";
/// An older name of the runtime's profile, for seccomp.
const DOCKER: &str = "docker/default";

/// Checks the annotations of a pod or a template.
pub(super) fn annotations(annotations: &Place<'_>, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (key, value) in annotations.entries() {
        if key == SECCOMP_POD || key.starts_with(SECCOMP) {
            seccomp(&annotations.child(key), value.text(), errors);
        }
    }
    let containers = each_container(spec);
    for (key, value) in annotations.entries() {
        let Some(name) = key.strip_prefix(APP_ARMOR) else { continue };
        if !containers.iter().any(|container| container.child("name").text() == name) {
            errors.push(FieldError::invalid(value.path(), name, "container not found"));
        }
        let profile = value.text();
        if !matches!(profile, "" | RUNTIME | UNCONFINED) && !profile.starts_with(LOCAL) {
            errors.push(value.invalid(format!("invalid AppArmor profile name: {profile:?}")));
        }
    }
}

/// `place` is written with dots, as upstream does for these.
fn seccomp(place: &Place<'_>, profile: &str, errors: &mut Vec<FieldError>) {
    match profile.strip_prefix(LOCAL) {
        Some(path) => local_path::relative(path, place.path(), errors),
        None if matches!(profile, RUNTIME | DOCKER | UNCONFINED) => {}
        None => errors.push(FieldError::invalid(place.path(), profile, "must be a valid seccomp profile")),
    }
}

/// In a new pod, a field says what the annotation says, where there are both.
pub(super) fn matching(object: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let marks = Place::at(object, &["metadata", "annotations"]);
    let spec = Place::at(object, &["spec"]);
    let whole = spec.child("securityContext");
    same("seccomp", &marks.key(SECCOMP_POD), &whole.child("seccompProfile"), &mut errors);
    let containers = each_container(&spec);
    for container in &containers {
        let mark = marks.key(&format!("{SECCOMP}{}", container.child("name").text()));
        let field = container.child("securityContext").child("seccompProfile");
        same("seccomp", &mark, &field, &mut errors);
    }
    if spec.child("os").child("name").text() == "windows" {
        return errors;
    }
    for container in &containers {
        let mark = marks.key(&format!("{APP_ARMOR}{}", container.child("name").text()));
        let own = container.child("securityContext").child("appArmorProfile");
        let path = own.path().to_owned();
        let field = if own.is_set() { own } else { whole.child("appArmorProfile").shown_as(&path) };
        same("apparmor", &mark, &field, &mut errors);
    }
    errors
}

fn same(what: &str, mark: &Place<'_>, field: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (kind, path) = (field.child("type"), field.child("localhostProfile"));
    if !mark.is_set() || !field.is_set() {
        return;
    }
    let is_same = match kind.text() {
        "Unconfined" => mark.text() == UNCONFINED,
        "RuntimeDefault" => mark.text() == RUNTIME || (what == "seccomp" && mark.text() == DOCKER),
        "Localhost" => match mark.text().strip_prefix(LOCAL) {
            Some(file) if path.is_set() && path.text() == file => true,
            Some(_) => {
                errors.push(path.forbidden(format!("{what} profile in annotation and field must match")));
                return;
            }
            None => false,
        },
        _ => true,
    };
    if !is_same {
        errors.push(kind.forbidden(format!("{what} type in annotation and field must match")));
    }
}

/// Profiles of AppArmor stay as they were when the pod was made.
pub(super) fn fixed(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let path = ["metadata", "annotations"];
    let (now, before) = (Place::at(object, &path), Place::at(old, &path));
    for (key, value) in before.entries().filter(|(key, _)| key.starts_with(APP_ARMOR)) {
        if now.key(key).value() != value.value() {
            errors.push(value.forbidden("may not remove or update AppArmor annotations"));
        }
    }
    for (key, value) in now.entries().filter(|(key, _)| key.starts_with(APP_ARMOR)) {
        if !before.key(key).is_set() {
            errors.push(value.forbidden("may not add AppArmor annotations"));
        }
    }
}

/// Sets the fields that AppArmor's annotations of a new pod stand for, unless the pod as a whole has the profile.
pub(super) fn synchronize(object: &mut Object) {
    if object.text(&["spec", "os", "name"]) == "windows" {
        return;
    }
    let marks = object.get(&["metadata", "annotations"]).cloned().unwrap_or_default();
    let whole = object.get(&["spec", "securityContext", "appArmorProfile"]).cloned();
    for list in CONTAINER_LISTS {
        if object.list(&["spec", list]).is_empty() {
            continue;
        }
        let containers = object.slot(&["spec", list]).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter(|container| container.is_object()) {
            let key = format!("{APP_ARMOR}{}", container["name"].as_str().unwrap_or_default());
            let own = container.pointer("/securityContext/appArmorProfile").filter(|own| !own.is_null());
            let field = marks.get(&key).and_then(Value::as_str).and_then(field);
            let Some(field) = field.filter(|field| own.is_none() && Some(field) != whole.as_ref()) else {
                continue;
            };
            if container["securityContext"].is_null() {
                container["securityContext"] = json!({});
            }
            container["securityContext"]["appArmorProfile"] = field;
        }
    }
}

/// The field of a profile, if it can be one.
fn field(profile: &str) -> Option<Value> {
    match (profile, profile.strip_prefix(LOCAL)) {
        (RUNTIME, _) => Some(json!({"type": "RuntimeDefault"})),
        (UNCONFINED, _) => Some(json!({"type": "Unconfined"})),
        (_, Some(file))
            if !file.is_empty() && file.trim() == file && file.len() <= super::security::PROFILE_MAX =>
        {
            Some(json!({"type": "Localhost", "localhostProfile": file}))
        }
        _ => None,
    }
}
