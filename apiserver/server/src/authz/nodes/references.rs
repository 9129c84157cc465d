//! What a stored object leads to: a pod's Secrets to its node, a volume to its claim. Pure.
//!
//! In: JSON of pods, persistent volumes, volume attachments, resource slices. Out: [`Edge`]s. Of a pod that runs nowhere
//! yet there are none, and a mirror pod gives its node nothing: a node could make one that names what it wants to read.

use std::collections::HashSet;

use keelson_api_registry::object::Object;
use serde_json::Value;

use super::relations::{Edge, Kind, Thing};
use crate::admission::MIRROR;

/// Where a pod's volumes name Secrets of the pod's namespace.
const VOLUME_SECRETS: &[&[&str]] = &[
    &["azureFile", "secretName"],
    &["cephfs", "secretRef", "name"],
    &["cinder", "secretRef", "name"],
    &["csi", "nodePublishSecretRef", "name"],
    &["flexVolume", "secretRef", "name"],
    &["iscsi", "secretRef", "name"],
    &["rbd", "secretRef", "name"],
    &["scaleIO", "secretRef", "name"],
    &["secret", "secretName"],
    &["storageos", "secretRef", "name"],
];

/// Where a volume names Secrets that its node needs; those without a namespace lie in the claim's.
const PERSISTENT_SECRETS: &[&str] =
    &["cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"];
const CSI_SECRETS: &[&str] = &["nodeExpandSecretRef", "nodePublishSecretRef", "nodeStageSecretRef"];

/// What a pod leads to.
pub(super) fn of_pod(pod: &Object) -> Vec<Edge> {
    let node = pod.text(&["spec", "nodeName"]);
    if node.is_empty() {
        return Vec::new();
    }
    let namespace = pod.namespace();
    let mut things = HashSet::from([Thing::new(Kind::Pod, namespace, pod.name())]);
    if pod.get(&["metadata", "annotations", MIRROR]).is_none() {
        let mut add = |kind, name: &str| {
            if !name.is_empty() {
                things.insert(Thing::new(kind, namespace, name));
            }
        };
        add(Kind::ServiceAccount, pod.text(&["spec", "serviceAccountName"]));
        names_in_list(pod.list(&["spec", "imagePullSecrets"]), &mut |name| add(Kind::Secret, name));
        for field in ["initContainers", "containers", "ephemeralContainers"] {
            pod.list(&["spec", field]).iter().for_each(|container| of_container(container, &mut add));
        }
        pod.list(&["spec", "volumes"]).iter().for_each(|volume| of_volume(pod.name(), volume, &mut add));
        of_resource_claims(pod, &mut add);
    }
    things.into_iter().map(|thing| Edge::Node(thing, node.to_owned())).collect()
}

fn of_container(container: &Value, add: &mut impl FnMut(Kind, &str)) {
    for from in list(&container["envFrom"]) {
        add(Kind::ConfigMap, text(&from["configMapRef"]["name"]));
        add(Kind::Secret, text(&from["secretRef"]["name"]));
    }
    for variable in list(&container["env"]) {
        let from = &variable["valueFrom"];
        add(Kind::ConfigMap, text(&from["configMapKeyRef"]["name"]));
        add(Kind::Secret, text(&from["secretKeyRef"]["name"]));
    }
}

fn of_volume(pod: &str, volume: &Value, add: &mut impl FnMut(Kind, &str)) {
    add(Kind::ConfigMap, text(&volume["configMap"]["name"]));
    add(Kind::Claim, text(&volume["persistentVolumeClaim"]["claimName"]));
    if volume["ephemeral"].is_object() {
        add(Kind::Claim, &format!("{pod}-{}", text(&volume["name"])));
    }
    for path in VOLUME_SECRETS {
        add(Kind::Secret, text(at(volume, path)));
    }
    for source in list(&volume["projected"]["sources"]) {
        add(Kind::ConfigMap, text(&source["configMap"]["name"]));
        add(Kind::Secret, text(&source["secret"]["name"]));
    }
}

/// A claim of the pod's own, or one that was made of a template, which the status names.
fn of_resource_claims(pod: &Object, add: &mut impl FnMut(Kind, &str)) {
    for field in ["resourceClaims", "resourceClaimStatuses"] {
        let part = if field == "resourceClaims" { "spec" } else { "status" };
        for claim in pod.list(&[part, field]) {
            add(Kind::ResourceClaim, text(&claim["resourceClaimName"]));
        }
    }
    add(Kind::ResourceClaim, pod.text(&["status", "extendedResourceClaimStatus", "resourceClaimName"]));
}

/// What a persistent volume leads to, once a claim has it.
pub(super) fn of_volume_object(volume: &Object) -> Vec<Edge> {
    let claim = |field| volume.text(&["spec", "claimRef", field]);
    let (namespace, name) = (claim("namespace"), claim("name"));
    if name.is_empty() {
        return Vec::new();
    }
    let claim = Thing::new(Kind::Claim, namespace, name);
    let mut things = HashSet::from([Thing::new(Kind::Volume, "", volume.name())]);
    let mut add = |own: &str, name: &str| {
        if !name.is_empty() {
            things.insert(Thing::new(Kind::Secret, if own.is_empty() { namespace } else { own }, name));
        }
    };
    let spec = |path: &[&str]| volume.text(&[&["spec"], path].concat());
    add(spec(&["azureFile", "secretNamespace"]), spec(&["azureFile", "secretName"]));
    for source in PERSISTENT_SECRETS {
        // An older form names the Secret alone, and it lies where the claim is.
        add(spec(&[source, "secretRef", "namespace"]), spec(&[source, "secretRef", "name"]));
    }
    for reference in CSI_SECRETS {
        add(spec(&["csi", reference, "namespace"]), spec(&["csi", reference, "name"]));
    }
    things.into_iter().map(|thing| Edge::Thing(thing, claim.clone())).collect()
}

/// What an object leads to that names its node itself.
pub(super) fn of_node_name(kind: Kind, object: &Object) -> Vec<Edge> {
    match object.text(&["spec", "nodeName"]) {
        "" => Vec::new(),
        node => vec![Edge::Node(Thing::new(kind, "", object.name()), node.to_owned())],
    }
}

fn names_in_list(references: &[Value], add: &mut impl FnMut(&str)) {
    references.iter().for_each(|reference| add(text(&reference["name"])));
}

fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, field| &value[field])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
