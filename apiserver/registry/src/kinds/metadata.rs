//! What is wrong with an object's metadata.
//!
//! Deliberately absent: `resourceVersion`, which the write's transaction compares, and `managedFields`, which the write
//! itself keeps.
//!
//! Source: `k8s.io/apimachinery/pkg/api/validation/objectmeta.go` and `.../meta/v1/validation`.

use keelson_api_schema::format::{
    ANNOTATIONS_MAX_TOTAL, check_dns1123_label, check_label_value, check_qualified_name,
};
use serde_json::Value;

use crate::{field::FieldError, object::Object, place::Place, resources::ResourceInfo, strategy::Strategy};

/// Finalizers of the garbage collector, of which an object has one at most.
const ORPHAN_DEPENDENTS: &str = "orphan";
const DELETE_DEPENDENTS: &str = "foregroundDeletion";

/// Finalizers that need no prefix.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", ORPHAN_DEPENDENTS, DELETE_DEPENDENTS];

/// What is wrong with the metadata of a new object, whose name has been generated already.
pub fn validate(resource: &ResourceInfo, object: &Object) -> Vec<FieldError> {
    let metadata = Place::at(object, &["metadata"]);
    let mut errors = Vec::new();
    name(resource.strategy, &metadata, &mut errors);
    namespace(resource.is_namespaced(), &metadata.child("namespace"), &mut errors);
    metadata.child("generation").non_negative(&mut errors);
    shared(&metadata, &mut errors);
    finalizers(&metadata.child("finalizers"), &mut errors);
    errors
}

/// What is wrong with a change of metadata.
pub fn validate_update(object: &Object, old: &Object) -> Vec<FieldError> {
    let (metadata, before) = (Place::at(object, &["metadata"]), Place::at(old, &["metadata"]));
    let mut errors = Vec::new();
    if old.is_being_deleted() {
        no_new_finalizers(&metadata.child("finalizers"), object, old, &mut errors);
    }
    let generation = metadata.child("generation");
    generation.non_negative(&mut errors);
    if object.generation() < old.generation() {
        errors.push(FieldError::invalid(generation.path(), object.generation(), "must not be decremented"));
    }
    for fixed in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        metadata.child(fixed).unchanged(&before.child(fixed), &mut errors);
    }
    shared(&metadata, &mut errors);
    for finalizer in metadata.child("finalizers").items() {
        standard_or_qualified(&finalizer, &mut errors);
    }
    errors
}

/// What is checked on every write alike.
fn shared(metadata: &Place<'_>, errors: &mut Vec<FieldError>) {
    labels(&metadata.child("labels"), errors);
    annotations(&metadata.child("annotations"), errors);
    owner_references(&metadata.child("ownerReferences"), errors);
}

fn name(strategy: &dyn Strategy, metadata: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (prefix, name) = (metadata.child("generateName"), metadata.child("name"));
    if !prefix.text().is_empty() {
        errors.extend(prefix.each_invalid(strategy.check_name(&with_suffix(prefix.text()))));
    }
    if name.text().is_empty() {
        errors.push(name.required("name or generateName is required"));
    } else {
        errors.extend(name.each_invalid(strategy.check_name(name.text())));
    }
}

/// A prefix that ends in a dash, as it is once letters follow.
fn with_suffix(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(stem) if !stem.is_empty() => {
            let kept: String = stem.chars().take(stem.chars().count() - 1).collect();
            format!("{kept}a")
        }
        _ => prefix.to_owned(),
    }
}

fn namespace(needed: bool, namespace: &Place<'_>, errors: &mut Vec<FieldError>) {
    match (needed, namespace.text().is_empty()) {
        (true, true) => errors.push(namespace.required("")),
        (true, false) => errors.extend(namespace.each_invalid(check_dns1123_label(namespace.text()))),
        (false, false) => errors.push(namespace.forbidden("not allowed on this type")),
        (false, true) => {}
    }
}

/// Labels: those of an object, of a pod template, of a selector.
pub fn labels(labels: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.entries() {
        label_key(key, labels, errors);
        for detail in check_label_value(value.text()) {
            errors.push(FieldError::invalid(labels.path(), value.text(), detail));
        }
    }
}

/// A label's key, found at `place`.
pub fn label_key(key: &str, place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let wrong = check_qualified_name(key);
    errors.extend(wrong.into_iter().map(|detail| FieldError::invalid(place.path(), key, detail)));
}

/// Annotations. The case of their keys does not matter.
pub fn annotations(annotations: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut total = 0;
    for (key, value) in annotations.entries() {
        let wrong = check_qualified_name(&key.to_lowercase());
        errors.extend(wrong.into_iter().map(|detail| FieldError::invalid(annotations.path(), key, detail)));
        total += key.len() + value.text().len();
    }
    if total > ANNOTATIONS_MAX_TOTAL {
        errors.push(FieldError::too_long(annotations.path(), ANNOTATIONS_MAX_TOTAL));
    }
}

fn owner_references(references: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut controller: Option<String> = None;
    for reference in references.items() {
        owner_reference(&reference, errors);
        if !reference.child("controller").flag() {
            continue;
        }
        let this = format!("{}/{}", reference.child("kind").text(), reference.child("name").text());
        match &controller {
            Some(first) => errors.push(references.invalid(format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
            ))),
            None => controller = Some(this),
        }
    }
}

fn owner_reference(reference: &Place<'_>, errors: &mut Vec<FieldError>) {
    let version = reference.child("apiVersion");
    if version.text().is_empty() {
        errors.push(version.required("must not be empty"));
    } else if !is_group_version(version.text()) {
        errors.push(version.invalid("must be <group>/<version> or <version>"));
    }
    for needed in ["kind", "name", "uid"] {
        let field = reference.child(needed);
        if field.text().is_empty() {
            errors.push(field.required("must not be empty"));
        }
    }
    if version.text() == "v1" && reference.child("kind").text() == "Event" {
        errors.push(reference.invalid("/v1, Kind=Event is disallowed from being an owner"));
    }
}

fn is_group_version(text: &str) -> bool {
    match text.split_once('/') {
        None => true,
        Some((_, version)) => !version.is_empty() && !version.contains('/'),
    }
}

fn finalizers(finalizers: &Place<'_>, errors: &mut Vec<FieldError>) {
    let names: Vec<&str> = finalizers.items().map(|finalizer| finalizer.text()).collect();
    for name in &names {
        label_key(name, finalizers, errors);
    }
    for finalizer in finalizers.items() {
        standard_or_qualified(&finalizer, errors);
    }
    if names.contains(&ORPHAN_DEPENDENTS) && names.contains(&DELETE_DEPENDENTS) {
        errors
            .push(finalizers.invalid(format!(
                "finalizer {ORPHAN_DEPENDENTS} and {DELETE_DEPENDENTS} cannot be both set"
            )));
    }
}

/// Names without a prefix are Kubernetes' own.
pub(super) fn standard_or_qualified(finalizer: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !finalizer.text().contains('/') && !STANDARD_FINALIZERS.contains(&finalizer.text()) {
        errors.push(finalizer.invalid("name is neither a standard finalizer name nor is it fully qualified"));
    }
}

fn no_new_finalizers(place: &Place<'_>, object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let mut added: Vec<&str> =
        object.finalizers().filter(|name| !old.finalizers().any(|known| known == *name)).collect();
    added.sort_unstable();
    if !added.is_empty() {
        let list: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
        errors.push(place.forbidden(format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            list.join(", ")
        )));
    }
}

/// What is wrong with a `LabelSelector`.
pub fn label_selector(selector: &Place<'_>, errors: &mut Vec<FieldError>) {
    labels(&selector.child("matchLabels"), errors);
    for requirement in selector.child("matchExpressions").items() {
        label_requirement(&requirement, errors);
    }
}

/// What is wrong with one requirement of a label selector.
pub fn label_requirement(requirement: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (operator, values) = (requirement.child("operator"), requirement.child("values"));
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors
                .push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    let key = requirement.child("key");
    label_key(key.text(), &key, errors);
    for value in values.items() {
        errors.extend(value.each_invalid(check_label_value(value.text())));
    }
}

/// Whether two values are equal where unset, null and empty count as the same, as upstream compares maps and lists.
pub fn semantically_equal(one: Option<&Value>, other: Option<&Value>) -> bool {
    let normal = |value: Option<&Value>| match value {
        None | Some(Value::Null) => None,
        Some(Value::Object(map)) if map.is_empty() => None,
        Some(Value::Array(list)) if list.is_empty() => None,
        Some(value) => Some(value.clone()),
    };
    normal(one) == normal(other)
}

#[cfg(test)]
mod tests;
