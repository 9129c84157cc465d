//! What the kinds that make pods have in common: a template for pods, a selector that must match it, counters that
//! may not be negative, bounds that are numbers or percentages, a generation that grows with the desired state.

use keelson_api_schema::{
    format::{check_dns1123_label, check_percent},
    selector::LabelSelector,
};
use serde_json::Value;

use super::{
    metadata,
    pod::{self, template},
};
use crate::{columns, field::FieldError, object::Object, place::Place, resources::Column};

/// The names of the containers in the template.
pub const CONTAINERS: Column =
    Column::wide("Containers", "string", |object, _| each_container(object, "name").into());

/// The images of the containers in the template.
pub const IMAGES: Column =
    Column::wide("Images", "string", |object, _| each_container(object, "image").into());

/// What selects the pods.
pub const SELECTOR: Column = Column::wide("Selector", "string", |object, _| {
    columns::selector(object.get(&["spec", "selector"])).into()
});

fn each_container(object: &Object, field: &str) -> String {
    let containers = object.list(&["spec", "template", "spec", "containers"]).iter();
    let texts: Vec<&str> = containers.filter_map(|container| container[field].as_str()).collect();
    texts.join(",")
}

/// Defaults of the template that the schema's table does not have.
pub(super) fn default_template(object: &mut Object) {
    let path = ["spec", "template"];
    if object.get(&path).is_some()
        && let Some(pods) = object.slot(&path)
    {
        template::default(pods);
    }
}

/// Where the kinds have the specs of their pods.
const PODS: [&[&str]; 2] =
    [&["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"]];

/// Takes from the templates of pods what is off and what `old` does not use.
pub(super) fn drop_disabled(object: &mut Object, old: Option<&Object>) {
    for path in PODS {
        template::drop_disabled(object, old, path);
    }
}

/// A new object's state is its first, and nothing is known of it yet.
pub(super) fn begin(object: &mut Object) {
    drop_disabled(object, None);
    object.set(&["status"], Value::Object(serde_json::Map::new()));
    object.set(&["metadata", "generation"], 1);
}

/// Keeps the status, and counts a change of what is desired.
pub(super) fn advance(object: &mut Object, old: &Object, changed: bool) {
    match old.get(&["status"]) {
        Some(status) => object.set(&["status"], status.clone()),
        None => drop(object.remove(&["status"])),
    }
    object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
}

/// Whether a field differs, where unset and empty are the same.
pub(super) fn differs(object: &Object, old: &Object, path: &[&str]) -> bool {
    !metadata::semantically_equal(object.get(path), old.get(path))
}

/// Warns of a new object whose name is no label: its pods' names begin with it.
pub(super) fn name_warnings(object: &Object, old: Option<&Object>) -> Vec<String> {
    let wrong = check_dns1123_label(object.name());
    if old.is_some() || wrong.is_empty() {
        return Vec::new();
    }
    let why = "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is \
               recommended";
    vec![format!("metadata.name: {why}: [{}]", wrong.join(" "))]
}

/// Whether an object is new or its desired state has changed: only then is anybody warned of its template.
pub(super) fn is_new_generation(object: &Object, old: Option<&Object>) -> bool {
    old.is_none_or(|old| old.generation() != object.generation())
}

/// Warns of the template of the pods, if that may be new.
pub(super) fn template_warnings(object: &Object, old: Option<&Object>) -> Vec<String> {
    if is_new_generation(object, old) {
        pod::warnings::of_template(&Place::at(object, &["spec", "template"]))
    } else {
        Vec::new()
    }
}

/// What is wrong with the selector and the template of pods that are to run for ever.
pub(super) fn validate_long_running(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    spec.child("replicas").non_negative(errors);
    spec.child("minReadySeconds").non_negative(errors);
    let selector = spec.child("selector");
    match selector.value() {
        None => errors.push(selector.required("")),
        Some(_) => {
            metadata::label_selector(&selector, errors);
            if selector.child("matchLabels").is_empty() && selector.child("matchExpressions").is_empty() {
                errors.push(selector.invalid("empty selector is invalid for deployment"));
            }
        }
    }
    let pods = spec.child("template");
    if !pods.is_set() {
        errors.push(pods.required(""));
        return;
    }
    selects_template(&selector, &pods, errors);
    template::validate(&pods, errors);
    let restart = pods.child("spec").child("restartPolicy");
    restart.one_of(&["Always"], errors);
    let deadline = pods.child("spec").child("activeDeadlineSeconds");
    if deadline.is_set() {
        errors.push(deadline.forbidden("activeDeadlineSeconds in ReplicaSet is not Supported"));
    }
}

/// Complains when a selector does not match the labels of the pods that it is to select.
pub(super) fn selects_template(selector: &Place<'_>, pods: &Place<'_>, errors: &mut Vec<FieldError>) {
    let labels = pods.child("metadata").child("labels");
    // A selector that is not there selects nothing; one that cannot be read has been complained about already.
    let parsed = selector.value().map_or_else(|| Ok(LabelSelector::nothing()), LabelSelector::from_object);
    let Ok(parsed) = parsed else { return };
    let none = Value::Null;
    if !parsed.matches_labels(labels.value().unwrap_or(&none)) {
        let shown = labels.value().cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        errors.push(FieldError::invalid(labels.path(), shown, "`selector` does not match template `labels`"));
    }
}

/// What is wrong with a status that counts replicas: none is negative, and no part is more than the whole.
pub(super) fn validate_replica_status(status: &Place<'_>, parts: &[&str], errors: &mut Vec<FieldError>) {
    for count in ["replicas", "observedGeneration"] {
        status.child(count).non_negative(errors);
    }
    let whole = status.child("replicas").integer().unwrap_or(0);
    for part in parts {
        let part = status.child(part);
        part.non_negative(errors);
        if part.integer().is_some_and(|count| count > whole) {
            errors.push(part.invalid("cannot be greater than status.replicas"));
        }
    }
    let available = status.child("availableReplicas");
    let ready = status.child("readyReplicas").integer().unwrap_or(0);
    if available.integer().is_some_and(|count| count > ready) {
        errors.push(available.invalid("cannot be greater than readyReplicas"));
    }
}

/// How many of the pods, as a number or a percentage.
pub(super) fn validate_bound(bound: &Place<'_>, errors: &mut Vec<FieldError>) {
    match bound.value() {
        Some(Value::String(text)) => errors.extend(bound.each_invalid(check_percent(text))),
        _ => bound.non_negative(errors),
    }
}

/// There are no more than all.
pub(super) fn validate_at_most_all(bound: &Place<'_>, errors: &mut Vec<FieldError>) {
    if percentage(bound).is_some_and(|percent| percent > 100) {
        errors.push(bound.invalid("must not be greater than 100%"));
    }
}

/// Whether a bound is none of the pods.
pub(super) fn bound_is_zero(bound: &Place<'_>) -> bool {
    percentage(bound).or_else(|| bound.integer()) == Some(0)
}

/// The number before the percent sign.
fn percentage(bound: &Place<'_>) -> Option<i64> {
    bound.text().strip_suffix('%').and_then(|number| number.parse().ok())
}

/// Hashes that were taken already are counted, and never forgotten.
pub(super) fn validate_collisions(status: &Place<'_>, old: &Object, errors: &mut Vec<FieldError>) {
    let collisions = status.child("collisionCount");
    collisions.non_negative(errors);
    if collisions.integer() < old.integer(&["status", "collisionCount"]) {
        errors.push(collisions.invalid("cannot be decremented"));
    }
}
