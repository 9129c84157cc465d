//! What PersistentVolumes and PersistentVolumeClaims have in common: access modes, classes, amounts.

use keelson_api_schema::{
    format::{check_dns1123_subdomain, check_qualified_name},
    quantity::Quantity,
};
use serde_json::{Map, Value};

use super::pod::resources;
use crate::{field::FieldError, object::Object, place::Place, resources::Column};

/// The annotation that named the class before there was a field for it.
pub(super) const LEGACY_CLASS: [&str; 3] =
    ["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"];

/// What a cell says of a field that is not set.
const UNSET: &str = "<unset>";

/// How volumes can be used, and how cells abbreviate it.
const ACCESS_MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];

/// The mode that allows no other beside it.
const EXCLUSIVE: &str = "ReadWriteOncePod";

/// The class of attributes.
pub(super) const ATTRIBUTES_CLASS: Column = Column::new("VolumeAttributesClass", "string", |object, _| {
    set_or_unset(object, "volumeAttributesClassName").into()
});

/// Whether pods see a file system or a device.
pub(super) const VOLUME_MODE: Column =
    Column::wide("VolumeMode", "string", |object, _| set_or_unset(object, "volumeMode").into());

fn set_or_unset<'o>(object: &'o Object, field: &str) -> &'o str {
    object.get(&["spec", field]).and_then(Value::as_str).unwrap_or(UNSET)
}

/// The storage class.
pub(super) fn class(object: &Object) -> &str {
    match object.get(&LEGACY_CLASS).and_then(Value::as_str) {
        Some(class) => class,
        None => object.text(&["spec", "storageClassName"]),
    }
}

/// Warns of a class that is named by the annotation.
pub(super) fn legacy_class_warning(object: &Object) -> Option<String> {
    object.get(&LEGACY_CLASS).map(|_| {
        let what = "deprecated since v1.8; use \"storageClassName\" attribute instead";
        format!("metadata.annotations[{}]: {what}", LEGACY_CLASS[2])
    })
}

/// `RWO,ROX`.
pub(super) fn modes_text(modes: &[Value]) -> String {
    let known = ACCESS_MODES.iter().filter(|(mode, _)| modes.iter().any(|it| it == mode));
    known.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

/// The phase, unless the object is on its way out.
pub(super) fn phase(object: &Object) -> &str {
    if object.is_being_deleted() { "Terminating" } else { object.text(&["status", "phase"]) }
}

/// An amount of storage in a list of resources.
pub(super) fn storage_text<'o>(object: &'o Object, list: &[&str]) -> &'o str {
    let path = [list, &["storage"]].concat();
    object.get(&path).and_then(Value::as_str).unwrap_or("0")
}

/// What is wrong with a list of access modes that is not empty.
pub(super) fn validate_modes(modes: &Place<'_>, errors: &mut Vec<FieldError>) {
    let known = ACCESS_MODES.map(|(mode, _)| mode);
    let is_known = |mode: &Place<'_>| known.contains(&mode.text());
    for mode in modes.items().filter(|mode| !is_known(mode)) {
        errors.push(mode.shown_as(modes.path()).not_supported(&known));
    }
    let (exclusive, shared) = (
        modes.items().any(|mode| mode.text() == EXCLUSIVE),
        modes.items().any(|mode| is_known(&mode) && mode.text() != EXCLUSIVE),
    );
    if exclusive && shared {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
}

/// The name of a class of storage or of attributes, if there is one.
pub(super) fn validate_class(class: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !class.text().is_empty() {
        errors.extend(class.each_invalid(check_dns1123_subdomain(class.text())));
    }
}

/// Whether pods see a file system or a device.
pub(super) fn validate_mode(mode: &Place<'_>, errors: &mut Vec<FieldError>) {
    if mode.is_set() {
        mode.one_of(&["Block", "Filesystem"], errors);
    }
}

/// An amount of storage, of which there is some.
pub(super) fn validate_amount(amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    match Quantity::parse(amount.text()) {
        Ok(quantity) if quantity.signum() <= 0 => errors.push(amount.invalid("must be greater than zero")),
        _ => resources::quantity("storage", amount, errors),
    }
}

/// Amounts of anything, none of them negative.
pub(super) fn validate_amounts(amounts: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (_, amount) in amounts.entries() {
        if let Ok(quantity) = Quantity::parse(amount.text())
            && quantity.value() < 0
        {
            let detail = "must be a valid resource quantity";
            errors.push(FieldError::invalid(amount.path(), quantity.value(), detail));
        }
    }
}

/// What a claim can have of a volume: storage, or something that is not Kubernetes' own.
pub(super) fn validate_resource_key(key: &str, place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let wrong = check_qualified_name(key);
    let is_native = !key.contains('/') || key.contains("kubernetes.io/");
    if wrong.is_empty() && is_native && key != "storage" {
        errors.push(FieldError::not_supported(place.path(), key, &["storage"]));
    }
    errors.extend(wrong.into_iter().map(|detail| FieldError::invalid(place.path(), key, detail)));
}

/// What changed between two objects, a line a field, after upstream's message.
pub(super) fn changes(old: Option<&Value>, new: Option<&Value>) -> String {
    let fields = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (old, new) = (fields(old), fields(new));
    let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
    let changed = names.filter(|name| old.get(*name) != new.get(*name));
    let shown =
        |fields: &Map<String, Value>, name: &str| fields.get(name).unwrap_or(&Value::Null).to_string();
    changed.map(|name| format!("  {name}: {} → {}\n", shown(&old, name), shown(&new, name))).collect()
}
