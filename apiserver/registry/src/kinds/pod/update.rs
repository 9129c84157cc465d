//! What may change in a pod that exists: next to nothing.

use std::collections::{BTreeMap, BTreeSet};

use keelson_api_schema::format::check_range;
use serde_json::Value;

use super::{MIRROR, profile};
use crate::{field::FieldError, kinds::metadata::semantically_equal, object::Object, place::Place};

/// Upstream's list of what may change.
const MUTABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                       `spec.tolerations` (only additions to existing tolerations),\
                       `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What is wrong with a change of a pod.
pub(super) fn validate(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    annotations(object, old, &mut errors);
    for list in ["containers", "initContainers"] {
        if object.list(&["spec", list]).len() != old.list(&["spec", list]).len() {
            let path = format!("spec.{list}");
            errors.push(FieldError::forbidden(path, "pod updates may not add or remove containers"));
            return errors;
        }
    }
    deadline(object, old, &mut errors);
    tolerations(object, old, &mut errors);
    gates(object, old, &mut errors);
    let gated = !old.list(&["spec", "schedulingGates"]).is_empty();
    if gated {
        node_selector(object, old, &mut errors);
        node_affinity(object, old, &mut errors);
    }
    the_rest(object, old, gated, &mut errors);
    errors
}

/// What a change of a pod's status may not touch either.
pub(super) fn annotations(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    profile::fixed(object, old, errors);
    let path = ["metadata", "annotations", MIRROR];
    let rule = match (old.get(&path), object.get(&path)) {
        (before, now) if before == now => return,
        (None, _) => "may not add mirror pod annotation",
        (Some(_), _) => "may not remove or update mirror pod annotation",
    };
    errors.push(FieldError::forbidden(format!("metadata.annotations[{MIRROR}]"), rule));
}

fn deadline(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let path = ["spec", "activeDeadlineSeconds"];
    let place = Place::at(object, &path);
    match (place.integer(), old.integer(&path)) {
        (None, Some(_)) => errors.push(FieldError::invalid(
            place.path(),
            Value::Null,
            "must not update from a positive integer to nil value",
        )),
        (Some(now), before) => {
            let wrong = check_range(now, 0, i64::from(i32::MAX));
            if wrong.is_empty() && before.is_some_and(|before| before < now) {
                errors.push(place.invalid("must be less than or equal to previous value"));
            }
            errors.extend(place.each_invalid(wrong));
        }
        (None, None) => {}
    }
}

/// Tolerations can be added, and how long one holds can change.
fn tolerations(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let path = ["spec", "tolerations"];
    let timeless = |toleration: &Value| -> BTreeMap<String, String> {
        let fields = toleration.as_object().into_iter().flatten();
        let lasting = fields.filter(|(name, _)| *name != "tolerationSeconds");
        lasting.map(|(name, value)| (name.clone(), value.to_string())).collect()
    };
    // There may be as many as fit into a document.
    let kept: BTreeSet<_> = object.list(&path).iter().map(timeless).collect();
    if !old.list(&path).iter().all(|before| kept.contains(&timeless(before))) {
        errors.push(FieldError::forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        ));
    }
}

fn gates(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let known: BTreeSet<&str> =
        old.list(&["spec", "schedulingGates"]).iter().filter_map(|gate| gate["name"].as_str()).collect();
    for gate in Place::at(object, &["spec", "schedulingGates"]).items() {
        let name = gate.child("name");
        if !known.contains(name.text()) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", name.text());
            errors.push(name.forbidden(detail));
        }
    }
}

/// A pod that is held back from scheduling may become pickier.
fn node_selector(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let now = Place::at(object, &["spec", "nodeSelector"]);
    let before = Place::at(old, &["spec", "nodeSelector"]);
    if !before.entries().all(|(key, value)| now.key(key).value() == value.value()) {
        errors
            .push(now.invalid("only additions to spec.nodeSelector are allowed (no mutations or deletions)"));
    }
}

fn node_affinity(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let path = [
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    ];
    let (now, before) = (Place::at(object, &path), Place::at(old, &path));
    if before.is_empty() {
        return;
    }
    if now.len() != before.len() {
        errors.push(now.invalid("no additions/deletions to non-empty NodeSelectorTerms list are allowed"));
        return;
    }
    for (now, before) in now.items().zip(before.items()) {
        for list in ["matchExpressions", "matchFields"] {
            let (now, before) = (now.child(list), before.child(list));
            let kept = before.items().zip(now.items()).all(|(old, new)| old.value() == new.value());
            if !kept || now.len() < before.len() {
                errors.push(now.invalid("only additions are allowed (no mutations or deletions)"));
            }
        }
    }
}

/// Whatever was not looked at above must be as it was.
fn the_rest(object: &Object, old: &Object, gated: bool, errors: &mut Vec<FieldError>) {
    let (now, before) = (fixed_part(object, old, gated), fixed_part(old, old, gated));
    let names = now.keys().chain(before.keys().filter(|name| !now.contains_key(*name)));
    let differ = |name: &&&str| !semantically_equal(now.get(**name), before.get(**name));
    let changes: Vec<String> = names
        .filter(differ)
        .map(|name| {
            let shown = |spec: &BTreeMap<&str, Value>| spec.get(name).unwrap_or(&Value::Null).to_string();
            format!("  {name}: {} → {}", shown(&before), shown(&now))
        })
        .collect();
    if !changes.is_empty() {
        let detail =
            format!("pod updates may not change fields other than {MUTABLE}\n{}\n", changes.join("\n"));
        errors.push(FieldError::forbidden("spec", detail));
    }
}

/// The spec without what may change.
fn fixed_part<'o>(object: &'o Object, old: &Object, gated: bool) -> BTreeMap<&'o str, Value> {
    let fields = object.map(&["spec"]).into_iter().flatten();
    let mut fixed: BTreeMap<&str, Value> =
        fields.map(|(name, value)| (name.as_str(), value.clone())).collect();
    for list in ["containers", "initContainers"] {
        let containers = fixed.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            container.remove("image");
        }
    }
    for mutable in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        fixed.remove(mutable);
    }
    let grace = ["spec", "terminationGracePeriodSeconds"];
    if old.integer(&grace).is_some_and(|before| before < 0) && object.integer(&grace) == Some(1) {
        let before = old.get(&grace).cloned().unwrap_or_default();
        fixed.insert("terminationGracePeriodSeconds", before);
    }
    if gated {
        fixed.remove("nodeSelector");
        if let Some(Value::Object(affinity)) = fixed.get_mut("affinity") {
            affinity.remove("nodeAffinity");
        }
    }
    fixed
}
