//! What is wrong with a pod's volumes.
//!
//! Deliberately absent: the inner rules of sources that live in clouds or need drivers of their own; their drivers
//! complain.

use std::collections::BTreeSet;

use keelson_api_schema::{format::check_dns1123_label, quantity::Quantity};
use serde_json::Value;

use super::{env, projected};
use crate::{field::FieldError, place::Place};

/// `spec.volumes`.
pub(super) fn volumes(volumes: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    for volume in volumes.items() {
        source(&volume, errors);
        let name = volume.child("name");
        if name.text().is_empty() {
            errors.push(name.required(""));
        } else {
            errors.extend(name.each_invalid(check_dns1123_label(name.text())));
            if !names.insert(name.text()) {
                errors.push(name.duplicate());
            }
        }
    }
}

fn source(volume: &Place<'_>, errors: &mut Vec<FieldError>) {
    let fields = volume.value().and_then(Value::as_object).into_iter().flatten();
    let mut kinds = fields.filter(|(name, value)| *name != "name" && !value.is_null()).map(|(name, _)| name);
    let Some(first) = kinds.next() else {
        errors.push(volume.required("must specify a volume type"));
        return;
    };
    one_source(first, &volume.child(first), errors);
    for more in kinds {
        errors.push(volume.child(more).forbidden("may not specify more than 1 volume type"));
    }
}

/// A source of a kind that pods and PersistentVolumes have in common.
pub(in crate::kinds) fn one_source(kind: &str, source: &Place<'_>, errors: &mut Vec<FieldError>) {
    match kind {
        "hostPath" => host_path(source, errors),
        "emptyDir" => empty_dir(source, errors),
        "secret" => keys(source, Some("secretName"), errors),
        "configMap" => keys(source, Some("name"), errors),
        "downwardAPI" => downward(source, errors),
        "projected" => projected::sources(source, errors),
        "persistentVolumeClaim" => needed(source, &["claimName"], errors),
        "csi" => needed(source, &["driver"], errors),
        "nfs" => {
            needed(source, &["server", "path"], errors);
            let path = source.child("path");
            if !path.text().is_empty() && !path.text().starts_with('/') {
                errors.push(path.invalid("must be an absolute path"));
            }
        }
        "image" => {
            source.child("pullPolicy").one_of(&["Always", "IfNotPresent", "Never"], errors);
        }
        _ => {}
    }
}

pub(super) fn needed(source: &Place<'_>, fields: &[&str], errors: &mut Vec<FieldError>) {
    let missing = fields.iter().map(|field| source.child(field)).filter(|field| field.text().is_empty());
    errors.extend(missing.map(|field| field.required("")));
}

fn host_path(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    needed(source, &["path"], errors);
    let (path, kind) = (source.child("path"), source.child("type"));
    if has_backsteps(path.text()) {
        errors.push(path.invalid("must not contain '..'"));
    }
    if kind.is_set() {
        let known = [
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ];
        kind.one_of(&known, errors);
    }
}

fn empty_dir(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let limit = source.child("sizeLimit");
    if Quantity::parse(limit.text()).is_ok_and(|limit| limit.signum() < 0) {
        errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
    }
}

/// A Secret or ConfigMap, some or all of its keys.
pub(super) fn keys(source: &Place<'_>, name: Option<&str>, errors: &mut Vec<FieldError>) {
    if let Some(name) = name {
        needed(source, &[name], errors);
    }
    mode(&source.child("defaultMode"), errors);
    for item in source.child("items").items() {
        needed(&item, &["key", "path"], errors);
        file_path(&item.child("path"), errors);
        mode(&item.child("mode"), errors);
    }
}

pub(super) fn downward(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    mode(&source.child("defaultMode"), errors);
    for file in source.child("items").items() {
        needed(&file, &["path"], errors);
        file_path(&file.child("path"), errors);
        mode(&file.child("mode"), errors);
        let (field, resource) = (file.child("fieldRef"), file.child("resourceFieldRef"));
        match (field.is_set(), resource.is_set()) {
            (true, true) => errors.push(FieldError::invalid(
                resource.path(),
                "resource",
                "fieldRef and resourceFieldRef can not be specified simultaneously",
            )),
            (true, false) => env::field(&field, env::FILE_FIELDS, errors),
            (false, true) => env::resource(&resource, true, errors),
            (false, false) => {
                errors.push(field.required("one of fieldRef and resourceFieldRef is required"));
            }
        }
    }
}

pub(super) fn mode(mode: &Place<'_>, errors: &mut Vec<FieldError>) {
    if mode.integer().is_some_and(|bits| !(0..=0o777).contains(&bits)) {
        errors.push(mode.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

/// A path inside a volume that no bookkeeping of the volume uses.
pub(super) fn file_path(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    relative_path(path.text(), path.path(), errors);
    let text = path.text();
    if text.starts_with("..") && !text.starts_with("../") && text != ".." {
        errors.push(path.invalid("must not start with '..'"));
    }
}

/// A path that stays below where it starts.
pub(super) fn relative_path(text: &str, place: &str, errors: &mut Vec<FieldError>) {
    if text.starts_with('/') {
        errors.push(FieldError::invalid(place, text, "must be a relative path"));
    }
    if has_backsteps(text) {
        errors.push(FieldError::invalid(place, text, "must not contain '..'"));
    }
}

pub(super) fn has_backsteps(path: &str) -> bool {
    path.split('/').any(|step| step == "..")
}
