//! What `kubectl apply` remembers in an annotation, when it goes over to applying on the server.
//!
//! In: an object with the annotation. Out: the fields that client-side apply set and nobody has changed since: kubectl
//! may take them over without forcing; and the annotation brought up to date, so that client-side apply can go on.

use serde_json::{Map, Value};

use super::compare::compare;
use super::field_set::FieldSet;
use super::leaves::leaves;
use super::place::Place;
use crate::encode;
use crate::format::ANNOTATIONS_MAX_TOTAL;

/// The annotation.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whose annotation it is.
pub(super) const KUBECTL: &str = "kubectl";

/// What client-side apply set and what is still so. `None` where nothing can be said.
pub(super) fn unchanged(place: Place<'_>, live: &Value, api_version: &str) -> Option<FieldSet> {
    let applied: Value = serde_json::from_str(annotation(live)?).ok()?;
    if applied.get("apiVersion")?.as_str()? != api_version || !super::check::check(place, &applied).is_empty()
    {
        return None;
    }
    let mut fields = leaves(place, &applied);
    let differences = compare(place, &applied, live);
    for changed in [&differences.modified, &differences.added, &differences.removed] {
        fields.subtract(changed);
    }
    Some(fields)
}

/// Sets an annotation that is there to what is applied now; drops it where it would be too long.
pub(super) fn refresh(object: &mut Value, config: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = config.clone();
    if let Some(annotations) = annotations(&mut applied) {
        annotations.remove(LAST_APPLIED);
    }
    let mut text = Vec::new();
    encode::untyped(&applied, &mut text);
    text.push(b'\n');
    let text = String::from_utf8(text).expect("JSON that was written from strings is UTF-8");
    let Some(annotations) = annotations(object) else { return };
    annotations.insert(LAST_APPLIED.to_owned(), Value::String(text));
    let length = |(name, value): (&String, &Value)| name.len() + value.as_str().map_or(0, str::len);
    if annotations.iter().map(length).sum::<usize>() > ANNOTATIONS_MAX_TOTAL {
        annotations.remove(LAST_APPLIED);
    }
}

fn annotation(object: &Value) -> Option<&str> {
    let text = object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

fn annotations(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata")?.get_mut("annotations")?.as_object_mut()
}
