//! What is wrong with where a volume's data come from, as far as pods and PersistentVolumes have it in common.
//!
//! In: the kind of a source, the source, whose it is. Out: what is wrong with it, in upstream's words.
//!
//! Deliberately absent: whether a source exists and whether anybody can still mount it. Upstream checks the form of
//! sources whose drivers are long gone, too, and so clients rely on it.
//!
//! Source: `pkg/apis/core/validation`.

use keelson_api_schema::format::{check_dns1123_label, check_range};

use super::local_path;
use crate::{field::FieldError, place::Place};

mod cloud;
pub(super) mod iscsi;
mod network;

#[cfg(test)]
mod tests;

/// Whose source it is: those of PersistentVolumes name the namespaces of the secrets that they use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'v> {
    /// A pod, or a template of pods.
    Pod,
    /// The PersistentVolume of this name.
    PersistentVolume(&'v str),
}

/// What a source is nothing without, in the order in which it is missed.
const NEEDED: &[(&str, &[&str])] = &[
    ("awsElasticBlockStore", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("azureFile", &["secretName", "shareName"]),
    ("cephfs", &["monitors"]),
    ("cinder", &["volumeID"]),
    ("flexVolume", &["driver"]),
    ("gcePersistentDisk", &["pdName"]),
    ("gitRepo", &["repository"]),
    ("glusterfs", &["endpoints", "path"]),
    ("nfs", &["server", "path"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("rbd", &["monitors", "image"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("vsphereVolume", &["volumePath"]),
];

/// What a path of the node may be.
const PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// A source of one of the kinds in common. Others are left to whoever has them.
pub(super) fn validate(kind: &str, source: &Place<'_>, owner: Owner<'_>, errors: &mut Vec<FieldError>) {
    let source = &shown(kind, source);
    if let Some((_, fields)) = NEEDED.iter().find(|(name, _)| *name == kind) {
        needed(source, fields, errors);
    }
    match kind {
        "awsElasticBlockStore" | "gcePersistentDisk" => cloud::partition(source, errors),
        "azureDisk" => cloud::azure_disk(source, errors),
        "azureFile" => cloud::azure_file(source, owner, errors),
        "cinder" => secret(source, owner, errors),
        "fc" => network::fibre_channel(source, errors),
        "flexVolume" => flex(source, errors),
        "flocker" => network::flocker(source, errors),
        "gitRepo" => {
            let directory = source.child("directory");
            local_path::relative(directory.text(), directory.path(), errors);
        }
        "glusterfs" => network::glusterfs(source, owner, errors),
        "hostPath" => host_path(source, errors),
        "iscsi" => iscsi::validate(source, owner, errors),
        "nfs" => network::nfs(source, errors),
        "quobyte" => network::quobyte(source, errors),
        "storageos" => network::storage_os(source, owner, errors),
        _ => {}
    }
}

/// The source under the name that upstream calls it by when it complains.
fn shown<'v>(kind: &str, source: &Place<'v>) -> Place<'v> {
    match source.path().strip_suffix("gcePersistentDisk") {
        Some(parent) if kind == "gcePersistentDisk" => {
            source.clone().shown_as(&format!("{parent}persistentDisk"))
        }
        Some(_) | None => source.clone(),
    }
}

/// Fields that must be there and not be empty.
pub(super) fn needed(source: &Place<'_>, fields: &[&str], errors: &mut Vec<FieldError>) {
    let fields = fields.iter().map(|field| source.child(field));
    let missing = fields.filter(|field| field.text().is_empty() && field.is_empty());
    errors.extend(missing.map(|field| field.required("")));
}

/// `secretRef`, if there is one.
fn secret(source: &Place<'_>, owner: Owner<'_>, errors: &mut Vec<FieldError>) {
    let secret = source.child("secretRef");
    if !secret.is_set() {
        return;
    }
    match owner {
        Owner::Pod => needed(&secret, &["name"], errors),
        Owner::PersistentVolume(_) => needed(&secret, &["name", "namespace"], errors),
    }
}

/// A logical unit of a storage network.
fn lun(lun: &Place<'_>, errors: &mut Vec<FieldError>) {
    errors.extend(lun.each_invalid(check_range(lun.integer().unwrap_or(0), 0, 255)));
}

fn label(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    errors.extend(name.each_invalid(check_dns1123_label(name.text())));
}

fn host_path(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (path, kind) = (source.child("path"), source.child("type"));
    if path.text().is_empty() {
        errors.push(path.required(""));
        return;
    }
    local_path::no_backsteps(path.text(), path.path(), errors);
    if kind.is_set() {
        kind.one_of(PATH_TYPES, errors);
    }
}

/// Options of drivers are not Kubernetes' own.
fn flex(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (key, option) in source.child("options").entries() {
        let prefix = key.split_once('/').map_or(key, |(prefix, _)| prefix);
        let domain = format!(".{}", prefix.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            errors.push(FieldError::invalid(option.path(), key, detail));
        }
    }
}
