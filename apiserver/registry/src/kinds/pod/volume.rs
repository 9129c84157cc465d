//! What is wrong with a pod's volumes.
//!
//! In: the volumes, and the pod's name where it is one. Out: what is wrong with them, in upstream's words, and which
//! are good: only those can be mounted.
//!
//! Deliberately absent: sources that PersistentVolumes have, too, and whether what a source refers to exists.

use std::collections::BTreeMap;

use keelson_api_schema::{
    format::{check_dns1123_label, check_dns1123_subdomain},
    go_text::quote,
    quantity::Quantity,
};
use serde_json::Value;

use super::{env, projected};
use crate::{
    field::FieldError,
    kinds::{
        csi_driver::check_driver_name,
        local_path, metadata, persistent_volume_claim,
        volume_source::{self, Owner, iscsi, needed},
    },
    place::Place,
};

/// What a volume may be, in the order in which upstream looks: the first that is set counts.
const KINDS: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// The metadata that a claim's template may not have, as Go names the fields, less the case of the first letter.
const NO_TEMPLATE_METADATA: &[(&str, &str)] = &[
    ("name", "name"),
    ("generateName", "generateName"),
    ("namespace", "namespace"),
    ("selfLink", "selfLink"),
    ("uid", "uID"),
    ("resourceVersion", "resourceVersion"),
    ("generation", "generation"),
    ("creationTimestamp", "creationTimestamp"),
    ("deletionTimestamp", "deletionTimestamp"),
    ("deletionGracePeriodSeconds", "deletionGracePeriodSeconds"),
    ("ownerReferences", "ownerReferences"),
    ("finalizers", "finalizers"),
    ("managedFields", "managedFields"),
];

/// Checks `spec.volumes`, and returns the good ones by their names. `pod`: the name of the pod, `None` in a template.
pub(super) fn volumes<'v>(
    volumes: &Place<'v>,
    pod: Option<&str>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<&'v str, &'v Value> {
    let mut good = BTreeMap::new();
    for volume in volumes.items() {
        let mut wrong = Vec::new();
        source(&volume, pod, &mut wrong);
        let name = volume.child("name");
        if name.text().is_empty() {
            wrong.push(name.required(""));
        } else {
            wrong.extend(name.each_invalid(check_dns1123_label(name.text())));
        }
        if good.contains_key(name.text()) {
            wrong.push(name.duplicate());
        }
        if let (true, Some(value)) = (wrong.is_empty(), volume.value()) {
            good.insert(name.text(), value);
        }
        errors.extend(wrong);
        claimed_twice(&volume, volumes, pod, errors);
    }
    good
}

/// The claim of an ephemeral volume is that volume's.
fn claimed_twice(volume: &Place<'_>, all: &Place<'_>, pod: Option<&str>, errors: &mut Vec<FieldError>) {
    let claim = volume.child("persistentVolumeClaim").child("claimName");
    let Some(pod) = pod.filter(|pod| !pod.is_empty() && claim.is_set()) else { return };
    let own = |other: &Place<'_>| {
        other.child("ephemeral").is_set() && claim.text() == format!("{pod}-{}", other.child("name").text())
    };
    if all.items().any(|other| own(&other)) {
        errors.push(claim.invalid("must not reference a PVC that gets created for an ephemeral volume"));
    }
}

fn source(volume: &Place<'_>, pod: Option<&str>, errors: &mut Vec<FieldError>) {
    let mut set = KINDS.iter().filter(|kind| volume.child(kind).is_set());
    let Some(first) = set.next() else {
        errors.push(volume.required("must specify a volume type"));
        return;
    };
    one_source(first, volume, pod, errors);
    for more in set {
        // Upstream's names for these two are not the fields'.
        let shown = match *more {
            "cephfs" => "cephFS",
            "downwardAPI" => "downwarAPI",
            other => other,
        };
        errors.push(volume.child(shown).forbidden("may not specify more than 1 volume type"));
    }
}

fn one_source(kind: &str, volume: &Place<'_>, pod: Option<&str>, errors: &mut Vec<FieldError>) {
    let source = &volume.child(kind);
    match kind {
        "emptyDir" => empty_dir(source, errors),
        "secret" => keys(source, "secretName", errors),
        "configMap" => keys(source, "name", errors),
        "downwardAPI" => downward(source, errors),
        "projected" => projected::sources(source, errors),
        "persistentVolumeClaim" => needed(source, &["claimName"], errors),
        "csi" => csi(source, errors),
        "ephemeral" => ephemeral(volume, pod, errors),
        "image" => image(source, pod.is_some(), errors),
        _ => volume_source::validate(kind, source, Owner::Pod, errors),
    }
    let name = volume.child("name");
    if kind == "iscsi" && iscsi::interface_is_too_long(source, name.text()) {
        errors.push(name.invalid(iscsi::INTERFACE_TOO_LONG));
    }
}

fn empty_dir(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let limit = source.child("sizeLimit");
    if Quantity::parse(limit.text()).is_ok_and(|limit| limit.signum() < 0) {
        errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
    }
}

fn csi(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_driver_name(&source.child("driver"), errors);
    let secret = source.child("nodePublishSecretRef");
    let name = secret.child("name");
    if !secret.is_set() {
        return;
    }
    needed(&secret, &["name"], errors);
    if !name.text().is_empty() {
        // Upstream leaves the secret out of this path.
        let name = name.shown_as(source.child("name").path());
        errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
    }
}

/// A volume that is made for the pod: what its claim will be.
fn ephemeral(volume: &Place<'_>, pod: Option<&str>, errors: &mut Vec<FieldError>) {
    let template = volume.child("ephemeral").child("volumeClaimTemplate");
    if template.is_set() {
        claim_metadata(&template.child("metadata"), errors);
        persistent_volume_claim::validate_spec(&template.child("spec"), errors);
    } else {
        errors.push(template.required(""));
    }
    let name = volume.child("name");
    if let Some(pod) = pod.filter(|pod| !pod.is_empty() && !name.text().is_empty()) {
        let claim = format!("{pod}-{}", name.text());
        let wrong = check_dns1123_subdomain(&claim).into_iter();
        errors.extend(wrong.map(|detail| name.invalid(format!("PVC name {}: {detail}", quote(&claim)))));
    }
}

fn claim_metadata(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    metadata::annotations(&place.child("annotations"), errors);
    metadata::labels(&place.child("labels"), errors);
    for (field, shown) in NO_TEMPLATE_METADATA {
        let field = place.child(field);
        let is_zero = field.text().is_empty() && field.is_empty() && field.integer().unwrap_or(0) == 0;
        if !is_zero {
            errors.push(place.child(shown).forbidden("cannot be set"));
        }
    }
}

fn image(source: &Place<'_>, is_pod: bool, errors: &mut Vec<FieldError>) {
    if is_pod {
        needed(source, &["reference"], errors);
    }
    let policy = source.child("pullPolicy");
    match policy.text() {
        "" => errors.push(policy.required("")),
        _ => policy.one_of(&["Always", "IfNotPresent", "Never"], errors),
    }
}

/// A Secret or ConfigMap, named by this field, some or all of its keys.
pub(super) fn keys(source: &Place<'_>, name: &str, errors: &mut Vec<FieldError>) {
    needed(source, &[name], errors);
    mode(&source.child("defaultMode"), errors);
    for item in source.child("items").items() {
        needed(&item, &["key", "path"], errors);
        local_path::file(&item.child("path"), errors);
        mode(&item.child("mode"), errors);
    }
}

/// Fields and resources of the pod, in files. Upstream leaves the items out of the paths of what is wrong with them.
pub(super) fn downward(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    mode(&source.child("defaultMode"), errors);
    for file in source.child("items").items().map(|file| file.shown_as(source.path())) {
        needed(&file, &["path"], errors);
        local_path::file(&file.child("path"), errors);
        let (field, resource) = (file.child("fieldRef"), file.child("resourceFieldRef"));
        if field.is_set() {
            env::field(&field, env::FILE_FIELDS, errors);
        }
        match (field.is_set(), resource.is_set()) {
            (true, true) => errors.push(FieldError::invalid(
                file.path(),
                "resource",
                "fieldRef and resourceFieldRef can not be specified simultaneously",
            )),
            (false, true) => env::resource(&resource, true, errors),
            (false, false) => errors.push(file.required("one of fieldRef and resourceFieldRef is required")),
            (true, false) => {}
        }
        mode(&file.child("mode"), errors);
    }
}

pub(super) fn mode(mode: &Place<'_>, errors: &mut Vec<FieldError>) {
    if mode.integer().is_some_and(|bits| !(0..=0o777).contains(&bits)) {
        errors.push(mode.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}
