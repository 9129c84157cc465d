//! What is wrong with where the data of a PersistentVolume are.
//!
//! In: the spec, and the volume's name. Out: what is wrong with its source, in upstream's words.
//!
//! Deliberately absent: what pods' volumes and PersistentVolumes have in common.

use keelson_api_schema::format::{check_dns1123_label, check_dns1123_subdomain};

use crate::{
    field::FieldError,
    kinds::{
        csi_driver::check_driver_name,
        local_path,
        volume_source::{self, Owner, needed},
    },
    place::Place,
};

/// What a volume may be, in the order in which upstream looks: the first that is set counts.
const KINDS: &[&str] = &[
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

/// The secrets that upstream looks at, which is not all of them.
const CSI_SECRETS: &[&str] = &[
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
];

/// Checks the source of the volume of this name.
pub(super) fn validate(spec: &Place<'_>, name: &str, errors: &mut Vec<FieldError>) {
    let mut set = KINDS.iter().filter(|kind| spec.child(kind).is_set());
    let Some(first) = set.next() else {
        errors.push(spec.required("must specify a volume type"));
        return;
    };
    one_source(first, spec, name, errors);
    for more in set {
        match *more {
            // Upstream forgot to refuse this one.
            "flexVolume" => one_source(more, spec, name, errors),
            "cephfs" => errors.push(too_many(&spec.child("cephFS"))),
            other => errors.push(too_many(&spec.child(other))),
        }
    }
    let (path, policy) = (spec.child("hostPath").child("path"), spec.child("persistentVolumeReclaimPolicy"));
    let is_root = path.text().starts_with('/') && path.text().split('/').all(|step| matches!(step, "" | "."));
    if is_root && policy.text() == "Recycle" {
        errors.push(policy.forbidden("may not be 'recycle' for a hostPath mount of '/'"));
    }
}

fn too_many(source: &Place<'_>) -> FieldError {
    source.forbidden("may not specify more than 1 volume type")
}

fn one_source(kind: &str, spec: &Place<'_>, name: &str, errors: &mut Vec<FieldError>) {
    let source = spec.child(kind);
    match kind {
        "local" => local(&source, &spec.child("nodeAffinity"), errors),
        "csi" => csi(&source, errors),
        _ => volume_source::validate(kind, &source, Owner::PersistentVolume(name), errors),
    }
}

fn local(local: &Place<'_>, affinity: &Place<'_>, errors: &mut Vec<FieldError>) {
    needed(local, &["path"], errors);
    let path = local.child("path");
    local_path::no_backsteps(path.text(), path.path(), errors);
    if !affinity.is_set() {
        errors.push(affinity.required("Local volume requires node affinity"));
    }
}

fn csi(csi: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_driver_name(&csi.child("driver"), errors);
    needed(csi, &["volumeHandle"], errors);
    for secret in CSI_SECRETS.iter().map(|field| csi.child(field)).filter(Place::is_set) {
        needed(&secret, &["name"], errors);
        let (name, namespace) = (secret.child("name"), secret.child("namespace"));
        if !name.text().is_empty() {
            errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
        }
        needed(&secret, &["namespace"], errors);
        if !namespace.text().is_empty() {
            errors.extend(namespace.each_invalid(check_dns1123_label(namespace.text())));
        }
    }
}
