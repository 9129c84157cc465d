//! What is wrong with the places where a container sees volumes.

use std::collections::BTreeSet;

use super::spec::Context;
use crate::{field::FieldError, kinds::local_path, place::Place};

/// `volumeMounts`.
pub(super) fn mounts(container: &Place<'_>, context: &Context<'_>, errors: &mut Vec<FieldError>) {
    let (mounts, devices) = (container.child("volumeMounts"), container.child("volumeDevices"));
    let privileged = container.child("securityContext").child("privileged").flag();
    let mut seen = BTreeSet::new();
    for mount in mounts.items() {
        let (name, path) = (mount.child("name"), mount.child("mountPath"));
        if name.text().is_empty() {
            errors.push(name.required(""));
        }
        if !context.volumes.contains_key(name.text()) {
            errors.push(name.not_found());
        }
        if path.text().is_empty() {
            errors.push(path.required(""));
        }
        if !seen.insert(path.text()) {
            errors.push(FieldError::invalid(path.path(), path.text(), "must be unique"));
        }
        if devices.items().any(|device| device.child("name").text() == name.text()) {
            errors.push(name.invalid("must not already exist in volumeDevices"));
        }
        if devices.items().any(|device| device.child("devicePath").text() == path.text()) {
            errors.push(path.invalid("must not already exist as a path in volumeDevices"));
        }
        sub_path(&mount, &mounts, errors);
        propagation(&mount, &mounts, privileged, errors);
    }
}

/// Upstream leaves the index out of the paths of these.
fn sub_path(mount: &Place<'_>, mounts: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (fixed, computed) = (mount.child("subPath"), mount.child("subPathExpr"));
    if !fixed.text().is_empty() && !computed.text().is_empty() {
        errors.push(computed.invalid("subPathExpr and subPath are mutually exclusive"));
    }
    for (field, path) in [("subPath", &fixed), ("subPathExpr", &computed)] {
        if !path.text().is_empty() {
            local_path::relative(path.text(), mounts.child(field).path(), errors);
        }
    }
}

fn propagation(mount: &Place<'_>, mounts: &Place<'_>, privileged: bool, errors: &mut Vec<FieldError>) {
    let (mode, path) = (mount.child("mountPropagation"), mounts.child("mountPropagation"));
    match mode.text() {
        "Bidirectional" if !privileged => errors.push(
            path.forbidden("Bidirectional mount propagation is available only to privileged containers"),
        ),
        "" if !mode.is_set() => {}
        "Bidirectional" | "HostToContainer" | "None" => {}
        other => {
            let known = ["Bidirectional", "HostToContainer", "None"];
            errors.push(FieldError::not_supported(path.path(), other, &known));
        }
    }
    let recursive = mount.child("recursiveReadOnly");
    let path = mounts.child("recursiveReadOnly");
    match recursive.text() {
        "Enabled" | "IfPossible" => {
            if !mount.child("readOnly").flag() {
                errors.push(path.forbidden("may only be specified when readOnly is true"));
            }
            if !matches!(mode.text(), "" | "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.push(path.forbidden(detail));
            }
        }
        "" if !recursive.is_set() => {}
        "Disabled" => {}
        other => {
            errors.push(FieldError::not_supported(path.path(), other, &["Disabled", "Enabled", "IfPossible"]))
        }
    }
}

/// `volumeDevices`.
pub(super) fn devices(container: &Place<'_>, context: &Context<'_>, errors: &mut Vec<FieldError>) {
    let mounts = container.child("volumeMounts");
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for device in container.child("volumeDevices").items() {
        let (name, path) = (device.child("name"), device.child("devicePath"));
        match context.volumes.get(name.text()) {
            None => errors.push(name.not_found()),
            Some(volume)
                if volume["persistentVolumeClaim"].is_object() || volume["ephemeral"].is_object() => {}
            Some(_) => errors.push(name.invalid(
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            )),
        }
        for (field, seen) in [(&name, &mut names), (&path, &mut paths)] {
            if field.text().is_empty() {
                errors.push(field.required(""));
            } else if !seen.insert(field.text()) {
                errors.push(field.invalid("must be unique"));
            }
        }
        if local_path::has_backsteps(path.text()) {
            errors.push(path.invalid("can not contain backsteps ('..')"));
        }
        if mounts.items().any(|mount| mount.child("name").text() == name.text()) {
            errors.push(name.invalid("must not already exist in volumeMounts"));
        }
        if mounts.items().any(|mount| mount.child("mountPath").text() == path.text()) {
            errors.push(path.invalid("must not already exist as a path in volumeMounts"));
        }
    }
}
