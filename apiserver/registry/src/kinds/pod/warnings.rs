//! Warnings about pods: what is accepted, but hardly meant, or is on its way out of the API.
//!
//! In: a pod, or a template of pods and where it is. Out: upstream's words, in upstream's order.
//!
//! Deliberately absent: changes of pods, of which upstream warns nobody, since hardly a person makes them.
//!
//! Source: `pkg/api/pod/warnings.go`, `pkg/registry/core/pod/strategy.go`.

mod annotation;
mod container;
mod overlap;
mod port;
mod scheduling;
mod volume;

use std::collections::BTreeSet;

use keelson_api_schema::format::check_dns1123_label;

use super::resources::warn_fractional;
use crate::{kinds::address::warn_ip, object::Object, place::Place};

#[cfg(test)]
mod tests;

/// Warnings about a new pod as it came, with profiles in annotations that become fields.
pub(super) fn of_draft(object: &Object) -> Vec<String> {
    annotation::apparmor_of_pod(&Place::root(object))
}

/// Warnings about a new pod.
pub(super) fn of_pod(object: &Object) -> Vec<String> {
    let pod = Place::root(object);
    let mut warnings = Vec::new();
    let wrong = check_dns1123_label(object.name());
    if !wrong.is_empty() {
        let why = "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
                   recommended";
        warnings.push(format!("metadata.name: {why}: [{}]", wrong.join(" ")));
    }
    common(&pod, &mut warnings);
    warnings
}

/// Warnings about a pod's status: addresses that are written unusually.
pub(super) fn of_status(object: &Object) -> Vec<String> {
    let mut warnings = Vec::new();
    for list in ["podIPs", "hostIPs"] {
        Place::at(object, &["status", list]).items().for_each(|it| warn_ip(&it.child("ip"), &mut warnings));
    }
    warnings
}

/// Warnings about a `PodTemplateSpec`; none where there is no template.
pub(in crate::kinds) fn of_template(template: &Place<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if template.is_set() {
        common(template, &mut warnings);
    }
    warnings
}

/// What pods and their templates have in common. Only a pod has an empty path.
fn common(pod: &Place<'_>, warnings: &mut Vec<String>) {
    let spec = pod.child("spec");
    scheduling::nodes(&spec, warnings);
    annotation::without_function(pod, warnings);
    spec.child("volumes").items().for_each(|volume| volume::deprecated(&volume, warnings));
    spec.child("volumes").items().for_each(|volume| overlap::paths(&volume, warnings));
    repeated(&spec.child("hostAliases"), "ip", warnings);
    pull_secrets(&spec.child("imagePullSecrets"), warnings);
    for name in ["memory", "ephemeral-storage"] {
        warn_fractional(&spec.child("overhead").key(name), warnings);
    }
    annotation::seccomp_of_pod(pod, warnings);
    let containers = containers(&spec);
    for container in &containers {
        annotation::of_container(pod, container, warnings);
        container::resources(container, warnings);
        container::environment(container, warnings);
    }
    port::definitions(&containers, warnings);
    port::names(&containers, warnings);
    let patience = spec.child("terminationGracePeriodSeconds");
    if patience.integer().is_some_and(|seconds| seconds < 0) {
        let what = "must be >= 0; negative values are invalid and will be treated as 1";
        warnings.push(format!("{}: {what}", patience.path()));
    }
    scheduling::pods(&spec, warnings);
    spec.child("dnsConfig").child("nameservers").items().for_each(|server| warn_ip(&server, warnings));
    spec.child("hostAliases").items().for_each(|alias| warn_ip(&alias.child("ip"), warnings));
}

/// Containers of all sorts, in the order in which upstream visits them.
fn containers<'v>(spec: &Place<'v>) -> Vec<Place<'v>> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].map(|list| spec.child(list));
    lists.iter().flat_map(Place::items).collect()
}

/// Warns of items that have a field's value in common with an earlier one.
fn repeated(items: &Place<'_>, field: &str, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for item in items.items() {
        let place = item.child(field);
        if !seen.insert(place.text()) {
            warnings.push(format!("{}: duplicate {field} {:?}", place.path(), place.text()));
        }
    }
}

fn pull_secrets(secrets: &Place<'_>, warnings: &mut Vec<String>) {
    repeated(secrets, "name", warnings);
    for secret in secrets.items() {
        let name = secret.child("name");
        if name.text().is_empty() {
            warnings.push(format!("{}: invalid empty name \"\"", name.path()));
        }
    }
}
