//! Warnings about Services: fields that are ignored, old, or written unusually.
//!
//! Source: `pkg/api/service/warnings.go`.

use super::NO_CLUSTER_IP;
use crate::{
    kinds::address::{warn_cidr, warn_ip},
    object::Object,
    place::Place,
};

/// The annotation of topology awareness, and the one that it was called before.
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";

/// Warnings about a Service, new or changed.
pub(super) fn of_service(object: &Object) -> Vec<String> {
    let mut warnings = Vec::new();
    if object.get(&["metadata", "annotations", TOPOLOGY_HINTS]).is_some() {
        warnings
            .push(format!("annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"));
    }
    let spec = Place::at(object, &["spec"]);
    if !matches!(spec.child("clusterIP").text(), "" | NO_CLUSTER_IP) {
        spec.child("clusterIPs").items().for_each(|ip| warn_ip(&ip, &mut warnings));
    }
    let headless =
        spec.child("type").text() == "ClusterIP" && spec.child("clusterIP").text() == NO_CLUSTER_IP;
    if headless {
        ignored_without_address(&spec, &mut warnings);
    }
    external_addresses(&spec, headless, &mut warnings);
    warn_ip(&spec.child("loadBalancerIP"), &mut warnings);
    spec.child("loadBalancerSourceRanges").items().for_each(|range| warn_cidr(&range, &mut warnings));
    names_of_others(&spec, &mut warnings);
    if spec.child("trafficDistribution").text() == "PreferClose" {
        let what = "\"PreferClose\" is deprecated; use \"PreferSameZone\"";
        warnings.push(format!("spec.trafficDistribution: {what}"));
    }
    warnings
}

/// Warnings about a Service's status: addresses that are written unusually. Upstream's path stops before `ip`.
pub(super) fn of_status(object: &Object) -> Vec<String> {
    let mut warnings = Vec::new();
    for point in Place::at(object, &["status", "loadBalancer", "ingress"]).items() {
        warn_ip(&point.child("ip").shown_as(point.path()), &mut warnings);
    }
    warnings
}

/// Names of fields are upstream's, one with a capital letter.
fn ignored_without_address(spec: &Place<'_>, warnings: &mut Vec<String>) {
    let ignored = [
        ("loadBalancerIP", !spec.child("loadBalancerIP").text().is_empty()),
        ("externalIPs", !spec.child("externalIPs").is_empty()),
        ("SessionAffinity", spec.child("sessionAffinity").text() != "None"),
    ];
    for (field, _) in ignored.iter().filter(|(_, set)| *set) {
        warnings.push(format!("spec.{field} is ignored for headless services"));
    }
}

fn external_addresses(spec: &Place<'_>, headless: bool, warnings: &mut Vec<String>) {
    let addresses = spec.child("externalIPs");
    addresses.items().for_each(|ip| warn_ip(&ip, warnings));
    if !addresses.is_empty() && !headless && !is_a_name(spec) {
        let what = "is deprecated and may no longer be implemented in some clusters";
        warnings.push(format!("spec.externalIPs {what}"));
    }
}

fn names_of_others(spec: &Place<'_>, warnings: &mut Vec<String>) {
    if is_a_name(spec) && !spec.child("externalIPs").is_empty() {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !is_a_name(spec) && !spec.child("externalName").text().is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
}

/// Whether the Service is only another name of something.
fn is_a_name(spec: &Place<'_>) -> bool {
    spec.child("type").text() == "ExternalName"
}
