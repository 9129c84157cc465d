//! The template that workloads make pods from.

use serde_json::Value;

use super::{annotations, default, gates, spec};
use crate::{field::FieldError, kinds::metadata, object::Object, place::Place};

/// Defaults of a `PodTemplateSpec` that the schema's table does not have.
pub fn default(template: &mut Value) {
    if let Some(spec) = template.get_mut("spec").filter(|spec| spec.is_object()) {
        default::spec(spec);
    }
}

/// Takes from the pod's spec at this path what is off and what `old` does not use there.
pub fn drop_disabled(object: &mut Object, old: Option<&Object>, path: &[&str]) {
    let before = old.and_then(|old| old.get(path));
    if object.get(path).is_some()
        && let Some(spec) = object.slot(path)
    {
        gates::drop_disabled(spec, before);
    }
}

/// What is wrong with a `PodTemplateSpec`.
pub fn validate(template: &Place<'_>, errors: &mut Vec<FieldError>) {
    // Upstream leaves `metadata` out of these paths.
    let inner = |name: &str| template.child("metadata").child(name).shown_as(template.child(name).path());
    metadata::labels(&inner("labels"), errors);
    metadata::annotations(&inner("annotations"), errors);
    let spec = template.child("spec");
    annotations(&inner("annotations"), &spec, errors);
    spec::validate(&spec, None, errors);
    let ephemeral = spec.child("ephemeralContainers");
    if !ephemeral.is_empty() {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}
