//! What a change of a Service keeps, and what it may not change.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{needs_cluster_ip, needs_health_check_port, needs_node_ports, service_type};
use crate::{field::FieldError, object::Object, place::Place};

/// Takes over allocated values that the new object does not mention, so that a manifest without them can be applied
/// again and again.
pub(super) fn keep_allocated(object: &mut Object, old: &Object) {
    if needs_cluster_ip(old) && needs_cluster_ip(object) {
        let before = old.text(&["spec", "clusterIP"]);
        if object.text(&["spec", "clusterIP"]).is_empty() && !before.is_empty() {
            object.set(&["spec", "clusterIP"], before);
        }
        let same = object.text(&["spec", "clusterIP"]) == before;
        if same && object.list(&["spec", "clusterIPs"]).is_empty() {
            take(object, old, "clusterIPs");
        }
    }
    if needs_node_ports(old) && needs_node_ports(object) {
        keep_node_ports(object, old);
    }
    let no_port = object.integer(&["spec", "healthCheckNodePort"]).unwrap_or(0) == 0;
    if needs_health_check_port(old) && needs_health_check_port(object) && no_port {
        take(object, old, "healthCheckNodePort");
    }
    if object.get(&["spec", "ipFamilyPolicy"]).is_none() {
        take(object, old, "ipFamilyPolicy");
    }
    if object.list(&["spec", "ipFamilies"]).is_empty() {
        take(object, old, "ipFamilies");
    }
}

/// Ports keep their number by their name, unless another port has it now.
fn keep_node_ports(object: &mut Object, old: &Object) {
    let (before, after) = (node_ports(old), node_ports(object));
    let mut used: BTreeSet<i64> =
        before.values().filter(|port| after.values().any(|it| it == *port)).copied().collect();
    let Some(Value::Array(ports)) = object.slot(&["spec", "ports"]) else { return };
    for port in ports {
        let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
        let known = before.get(name).copied().unwrap_or(0);
        if node_port(port) == 0 && known != 0 && used.insert(known) {
            port["nodePort"] = json!(known);
        }
    }
}

/// Removes what only the old type had, where the writer did not change it.
pub(super) fn drop_what_the_new_type_has_not(object: &mut Object, old: &Object) {
    let same = |object: &Object, field: &str| object.get(&["spec", field]) == old.get(&["spec", field]);
    let mut gone: Vec<&str> = Vec::new();
    if needs_cluster_ip(old) && !needs_cluster_ip(object) {
        gone.extend(["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]);
    }
    if needs_health_check_port(old) && !needs_health_check_port(object) {
        gone.push("healthCheckNodePort");
    }
    if service_type(old) == "LoadBalancer" && service_type(object) != "LoadBalancer" {
        gone.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if super::is_external(old) && !super::is_external(object) {
        gone.push("externalTrafficPolicy");
    }
    for field in gone {
        if same(object, field) {
            object.remove(&["spec", field]);
        }
    }
    let unneeded =
        needs_node_ports(old) && !needs_node_ports(object) && node_ports(object) == node_ports(old);
    if unneeded && let Some(Value::Array(ports)) = object.slot(&["spec", "ports"]) {
        ports.iter_mut().filter_map(Value::as_object_mut).for_each(|port| drop(port.remove("nodePort")));
    }
}

/// Writers that know `clusterIP` only mean `clusterIPs` too.
pub(super) fn follow_cluster_ip(object: &mut Object, old: &Object) {
    let ip = object.text(&["spec", "clusterIP"]).to_owned();
    let list = object.list(&["spec", "clusterIPs"]);
    let changed = ip != old.text(&["spec", "clusterIP"]);
    let stale = changed && list == old.list(&["spec", "clusterIPs"]);
    if ip.is_empty() && stale {
        object.remove(&["spec", "clusterIPs"]);
    } else if !ip.is_empty() && (stale || list.is_empty()) {
        object.set(&["spec", "clusterIPs"], json!([ip]));
    }
}

/// What is wrong with a change.
pub(super) fn validate(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if service_type(object) != "ExternalName" && service_type(old) != "ExternalName" {
        let (ips, families) = (["spec", "clusterIPs"], ["spec", "ipFamilies"]);
        first_stays(object, old, &ips, "primary clusterIP can not be unset", &mut errors);
        first_stays(object, old, &families, "primary ipFamily can not be unset", &mut errors);
    }
    if service_type(object) == "LoadBalancer" && service_type(old) == "LoadBalancer" {
        let class = Place::at(object, &["spec", "loadBalancerClass"]);
        if class.value() != old.get(&["spec", "loadBalancerClass"]) {
            errors.push(class.invalid("may not change once set"));
        }
    }
    let port = ["spec", "healthCheckNodePort"];
    if needs_health_check_port(object) && needs_health_check_port(old) && object.get(&port) != old.get(&port)
    {
        errors.push(FieldError::forbidden("spec.healthCheckNodePort", "field is immutable"));
    }
    errors
}

fn first_stays(object: &Object, old: &Object, path: &[&str], unset: &str, errors: &mut Vec<FieldError>) {
    let (now, before) = (object.list(path), old.list(path));
    let Some(first) = before.first() else { return };
    let rule = match now.first() {
        None => unset,
        Some(kept) if kept == first => return,
        Some(_) => "may not change once set",
    };
    errors.push(FieldError::invalid(format!("{}[0]", path.join(".")), now.to_vec(), rule));
}

fn node_ports<'o>(object: &'o Object) -> BTreeMap<&'o str, i64> {
    let ports = object.list(&["spec", "ports"]).iter();
    let named = |port: &'o Value| (port["name"].as_str().unwrap_or_default(), node_port(port));
    ports.map(named).filter(|(_, number)| *number != 0).collect()
}

fn node_port(port: &Value) -> i64 {
    port.get("nodePort").and_then(Value::as_i64).unwrap_or(0)
}

fn take(object: &mut Object, old: &Object, field: &str) {
    if let Some(value) = old.get(&["spec", field]) {
        object.set(&["spec", field], value.clone());
    }
}
