//! PersistentVolumeClaim: a wish for storage, and what was found for it.
//!
//! Deliberately absent: finding it, the default class and the finalizer that protects a claim in use: those belong
//! to controllers and to admission.
//!
//! Source: `pkg/apis/core/{v1/defaults,validation}`, `pkg/registry/core/persistentvolumeclaim`.

use keelson_api_schema::{
    format::{check_dns1123_label, check_dns1123_subdomain},
    quantity::Quantity,
};
use serde_json::{Value, json};

use super::{
    metadata,
    pod::{self, resources::warn_fractional},
    storage::{self, ATTRIBUTES_CLASS, LEGACY_CLASS, VOLUME_MODE},
    workload::differs,
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{Strategy, drop_unless_used, keep_all_but_status},
};

/// How far a resize has come.
const RESIZE_STATES: &[&str] = &[
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizePending",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
];

const STORAGE: [&str; 4] = ["spec", "resources", "requests", "storage"];
const ATTRIBUTES: [&str; 2] = ["spec", "volumeAttributesClassName"];

/// The columns of PersistentVolumeClaims.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Status", "string", |object, _| storage::phase(object).into()),
    Column::new("Volume", "string", |object, _| object.text(&["spec", "volumeName"]).into()),
    Column::new("Capacity", "string", |object, _| {
        if is_bound(object) {
            storage::storage_text(object, &["status", "capacity"]).into()
        } else {
            "".into()
        }
    }),
    Column::new("Access Modes", "string", |object, _| {
        let modes = if is_bound(object) { object.list(&["status", "accessModes"]) } else { &[] };
        storage::modes_text(modes).into()
    }),
    Column::new("StorageClass", "string", |object, _| storage::class(object).into()),
    ATTRIBUTES_CLASS,
    AGE,
    VOLUME_MODE,
];

fn is_bound(object: &Object) -> bool {
    !object.text(&["spec", "volumeName"]).is_empty()
}

/// The rules of PersistentVolumeClaims.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], json!({"phase": "Pending"}));
        // What else a volume may begin with has to be named by the newer field.
        let source =
            (object.text(&["spec", "dataSource", "apiGroup"]), object.text(&["spec", "dataSource", "kind"]));
        if !matches!(source, ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")) {
            object.remove(&["spec", "dataSource"]);
        }
        normalize_sources(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        match old.get(&["status"]) {
            Some(status) => object.set(&["status"], status.clone()),
            None => drop(object.remove(&["status"])),
        }
        normalize_sources(object);
    }

    fn prepare_status_update(&self, object: &mut Object, old: &Object) {
        keep_all_but_status(object, old);
        // What drivers tell of a volume's health is an alpha feature.
        drop_unless_used(object, Some(old), &["status", "healthStatus"]);
    }

    fn default(&self, object: &mut Object) {
        default(&mut object.0);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        validate_spec(&Place::at(object, &["spec"]), &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        update(object, old)
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let status = Place::at(object, &["status"]);
        storage::validate_amounts(&status.child("capacity"), &mut errors);
        let states = status.child("allocatedResourceStatuses").shown_as("status.allocatedResourceStatus");
        for (name, state) in states.entries() {
            storage::validate_resource_key(name, &states, &mut errors);
            if !RESIZE_STATES.contains(&state.text()) {
                errors.push(FieldError::not_supported(states.path(), name, RESIZE_STATES));
            }
        }
        let allocated = status.child("allocatedResources");
        for (name, _) in allocated.entries() {
            storage::validate_resource_key(name, &allocated, &mut errors);
        }
        storage::validate_amounts(&allocated, &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings: Vec<String> = storage::legacy_class_warning(object).into_iter().collect();
        warn_spec(&Place::at(object, &["spec"]), &mut warnings);
        warnings
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

/// Defaults of a claim, also of one in a StatefulSet's templates.
pub(super) fn default(claim: &mut Value) {
    let set = |owner: &mut Value, field: &str, text: &str| {
        if owner.is_null() {
            *owner = json!({});
        }
        if owner.is_object() && owner[field].as_str().unwrap_or_default().is_empty() {
            owner[field] = text.into();
        }
    };
    if !claim.is_object() {
        return;
    }
    set(&mut claim["status"], "phase", "Pending");
    set(&mut claim["spec"], "volumeMode", "Filesystem");
    if let Some(resources) = claim["spec"].get_mut("resources") {
        pod::round_up(resources, "limits");
        pod::round_up(resources, "requests");
    }
    pod::round_up(&mut claim["status"], "capacity");
}

/// The older and the newer field for what a volume begins with say the same. A source in another namespace is not
/// supported.
fn normalize_sources(object: &mut Object) {
    const OLDER: [&str; 2] = ["spec", "dataSource"];
    const NEWER: [&str; 2] = ["spec", "dataSourceRef"];
    if !object.text(&["spec", "dataSourceRef", "namespace"]).is_empty() {
        object.remove(&NEWER);
    }
    let (older, newer) = (object.get(&OLDER).cloned(), object.get(&NEWER).cloned());
    match (older, newer) {
        (Some(source), None) => object.set(&NEWER, source),
        (None, Some(source)) => {
            let kept = ["apiGroup", "kind", "name"].map(|field| (field.to_owned(), source[field].clone()));
            object.set(&OLDER, Value::Object(kept.into_iter().collect()));
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
}

/// What is wrong with a claim's spec.
pub(super) fn validate_spec(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let modes = spec.child("accessModes");
    if modes.is_empty() {
        errors.push(modes.required("at least 1 access mode is required"));
    }
    metadata::label_selector(&spec.child("selector"), errors);
    storage::validate_modes(&modes, errors);
    let path = spec.child("resources").key("storage").path().to_owned();
    let size = spec.child("resources").child("requests").child("storage").shown_as(&path);
    if size.is_set() {
        storage::validate_amount(&size, errors);
    } else {
        errors.push(size.required(""));
    }
    storage::validate_class(&spec.child("storageClassName"), errors);
    storage::validate_mode(&spec.child("volumeMode"), errors);
    validate_sources(spec, errors);
    storage::validate_class(&spec.child("volumeAttributesClassName"), errors);
}

/// Warns of parts of bytes that a claim asks for.
pub(super) fn warn_spec(spec: &Place<'_>, warnings: &mut Vec<String>) {
    for list in ["requests", "limits"] {
        warn_fractional(&spec.child("resources").child(list).key("storage"), warnings);
    }
}

fn validate_sources(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (older, newer) = (spec.child("dataSource"), spec.child("dataSourceRef"));
    for source in [&older, &newer] {
        if source.is_set() {
            validate_source(source, errors);
        }
    }
    let namespace = newer.child("namespace");
    if !namespace.text().is_empty() {
        errors.extend(namespace.each_invalid(check_dns1123_label(namespace.text())));
    }
    if !older.is_set() || !newer.is_set() {
        return;
    }
    let same = ["apiGroup", "kind", "name"]
        .iter()
        .all(|field| older.child(field).value() == newer.child(field).value());
    let detail = match (namespace.text().is_empty(), same) {
        (false, _) => "may not be specified when dataSourceRef.namespace is specified",
        (true, false) => "must match dataSourceRef",
        (true, true) => return,
    };
    errors.push(FieldError::invalid(spec.path(), older.path(), detail));
}

fn validate_source(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    for field in ["name", "kind"] {
        if source.child(field).text().is_empty() {
            errors.push(source.child(field).required(""));
        }
    }
    let (group, kind) = (source.child("apiGroup"), source.child("kind").text());
    if group.text().is_empty() && kind != "PersistentVolumeClaim" {
        let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(FieldError::invalid(source.path(), kind, detail));
    }
    if !group.text().is_empty() {
        errors.extend(group.each_invalid(check_dns1123_subdomain(group.text())));
    }
}

fn update(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (now, before) = comparable(object, old, &mut errors);
    if differs(&now, &before, &["spec"]) {
        let changes = storage::changes(before.get(&["spec"]), now.get(&["spec"]));
        errors.push(FieldError::forbidden(
            "spec",
            format!(
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                 bound claims\n{changes}"
            ),
        ));
    }
    size_update(object, old, &mut errors);
    let mode = ["spec", "volumeMode"];
    let place = Place::at(object, &mode).shown_as("volumeMode");
    place.unchanged(&Place::at(old, &mode), &mut errors);
    let class = object.get(&ATTRIBUTES).and_then(Value::as_str);
    if old.get(&ATTRIBUTES).is_some() && class.unwrap_or_default().is_empty() {
        let to = if class.is_none() { "nil" } else { "an empty string" };
        let detail = format!("update from non-nil value to {to} is forbidden");
        errors.push(FieldError::forbidden(ATTRIBUTES.join("."), detail));
    }
    errors
}

/// The two specs without what may change: the volume, once; the class, where there was none or only the annotation's;
/// the size of a bound claim; the class of attributes.
fn comparable(object: &Object, old: &Object, errors: &mut Vec<FieldError>) -> (Object, Object) {
    const CLASS: [&str; 2] = ["spec", "storageClassName"];
    let (mut now, mut before) = (object.clone(), old.clone());
    let mut keep = |path: &[&str]| match old.get(path) {
        Some(value) => now.set(path, value.clone()),
        None => drop(now.remove(path)),
    };
    keep(&ATTRIBUTES);
    let (annotation, class) = (old.get(&LEGACY_CLASS), object.get(&CLASS));
    let named_anew =
        class.is_some() && old.get(&CLASS).is_none() && annotation.is_none_or(|it| Some(it) == class);
    if named_anew {
        keep(&CLASS);
    }
    if object.text(&["status", "phase"]) == "Bound"
        && object.get(&["spec", "resources", "requests"]).is_some()
    {
        keep(&STORAGE);
    }
    let moved = named_anew && annotation.is_some() && object.get(&LEGACY_CLASS).is_none();
    if !moved && object.get(&LEGACY_CLASS) != annotation {
        let shown = object.get(&LEGACY_CLASS).cloned().unwrap_or_else(|| "".into());
        let path = format!("metadata.annotations[{}]", LEGACY_CLASS[2]);
        errors.push(FieldError::invalid(path, shown, "field is immutable"));
    }
    if !is_bound(old) {
        match object.get(&["spec", "volumeName"]) {
            Some(name) => before.set(&["spec", "volumeName"], name.clone()),
            None => drop(before.remove(&["spec", "volumeName"])),
        }
    }
    (now, before)
}

/// A claim shrinks only to take back a growth that never happened.
fn size_update(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let amount = |object: &Object, path: &[&str]| Quantity::parse(object.text(path)).ok();
    let (Some(now), Some(before)) = (amount(object, &STORAGE), amount(old, &STORAGE)) else { return };
    let too_small = match amount(old, &["status", "capacity", "storage"]) {
        Some(actual) => now <= actual,
        None => now.signum() <= 0,
    };
    if now < before && too_small {
        errors.push(FieldError::forbidden(STORAGE.join("."), "field can not be less than status.capacity"));
    }
}

#[cfg(test)]
mod tests;
