//! What is wrong with volumes that servers on the network have.
//!
//! In: a source of the named kind. Out: what is wrong with it beside what it lacks.
//!
//! Deliberately absent: iSCSI, whose names have grammars of their own.

use super::{Owner, label, lun, needed, secret};
use crate::{field::FieldError, place::Place};

/// How long the tenant of a Quobyte volume may be, in bytes.
const TENANT_MAX: usize = 64;

/// What Quobyte's registry is.
const REGISTRY: &str = "must be a host:port pair or multiple pairs separated by commas";

/// `fc`: ports and a unit, or the unit by its own name.
pub(super) fn fibre_channel(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (ports, names, unit) = (source.child("targetWWNs"), source.child("wwids"), source.child("lun"));
    match (ports.is_empty(), names.is_empty()) {
        (true, true) => {
            errors.push(ports.required("must specify either targetWWNs or wwids, but not both"));
        }
        (false, false) => {
            errors.push(ports.invalid("targetWWNs and wwids can not be specified simultaneously"));
        }
        (true, false) | (false, true) => {}
    }
    if ports.is_empty() {
        return;
    }
    if unit.is_set() {
        lun(&unit, errors);
    } else {
        errors.push(unit.required("lun is required if targetWWNs is specified"));
    }
}

/// `flocker`.
pub(super) fn flocker(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (name, id) = (source.child("datasetName"), source.child("datasetUUID"));
    match (name.text().is_empty(), id.text().is_empty()) {
        (true, true) => errors.push(source.required("one of datasetName and datasetUUID is required")),
        (false, false) => errors.push(FieldError::invalid(
            source.path(),
            "resource",
            "datasetName and datasetUUID can not be specified simultaneously",
        )),
        (true, false) | (false, true) => {}
    }
    if name.text().contains('/') {
        errors.push(name.invalid("must not contain '/'"));
    }
}

/// `glusterfs`.
pub(super) fn glusterfs(source: &Place<'_>, owner: Owner<'_>, errors: &mut Vec<FieldError>) {
    let namespace = source.child("endpointsNamespace");
    match owner {
        Owner::PersistentVolume(_) if namespace.is_set() && namespace.text().is_empty() => {
            let detail = "if the endpointnamespace is set, it must be a valid namespace name";
            errors.push(namespace.invalid(detail));
        }
        Owner::PersistentVolume(_) if namespace.is_set() => label(&namespace, errors),
        Owner::Pod | Owner::PersistentVolume(_) => {}
    }
}

/// `nfs`.
pub(super) fn nfs(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let path = source.child("path");
    if !path.text().starts_with('/') {
        errors.push(path.invalid("must be an absolute path"));
    }
}

/// `quobyte`.
pub(super) fn quobyte(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (registry, tenant) = (source.child("registry"), source.child("tenant"));
    if registry.text().is_empty() {
        errors.push(registry.required(REGISTRY));
    } else if tenant.text().len() > TENANT_MAX {
        errors.push(tenant.required("must be a UUID and may not exceed a length of 64 characters"));
    } else {
        let wrong = registry.text().split(',').filter(|pair| !is_host_and_port(pair));
        errors.extend(wrong.map(|_| registry.invalid(REGISTRY)));
    }
    needed(source, &["volume"], errors);
}

/// As Go splits them: either may be empty, and an address with colons is in brackets.
fn is_host_and_port(pair: &str) -> bool {
    let Some((host, port)) = pair.rsplit_once(':') else { return false };
    let host = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => return !address.contains(['[', ']']) && !port.contains(['[', ']']),
            Some(_) | None => return false,
        },
        None => host,
    };
    !host.contains([':', '[', ']']) && !port.contains(['[', ']'])
}

/// `storageos`.
pub(super) fn storage_os(source: &Place<'_>, owner: Owner<'_>, errors: &mut Vec<FieldError>) {
    let (name, namespace) = (source.child("volumeName"), source.child("volumeNamespace"));
    if name.text().is_empty() {
        errors.push(name.required(""));
    } else {
        label(&name, errors);
    }
    if !namespace.text().is_empty() {
        label(&namespace, errors);
    }
    secret(source, owner, errors);
}
