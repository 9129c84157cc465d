//! What a Service gets that says nothing.

use serde_json::{Value, json};

use super::{is_external, is_headless, service_type};
use crate::object::Object;

/// How long `sessionAffinity: ClientIP` lasts, in seconds: three hours.
const AFFINITY_SECONDS: i64 = 10_800;

/// The defaults that need no knowledge of the cluster.
pub(super) fn apply(object: &mut Object) {
    text(object, &["spec", "type"], "ClusterIP");
    text(object, &["spec", "sessionAffinity"], "None");
    affinity(object);
    if let Some(Value::Array(ports)) = object.slot(&["spec", "ports"]) {
        ports.iter_mut().for_each(port);
    } else {
        object.remove(&["spec", "ports"]);
    }
    if is_external(object) {
        text(object, &["spec", "externalTrafficPolicy"], "Cluster");
    }
    if matches!(service_type(object), "ClusterIP" | "NodePort" | "LoadBalancer") {
        text(object, &["spec", "internalTrafficPolicy"], "Cluster");
    }
    if service_type(object) == "LoadBalancer" {
        absent(object, &["spec", "allocateLoadBalancerNodePorts"], json!(true));
        ingress_modes(object);
    }
}

/// One family, IPv4, unless the Service says otherwise or has an address of the other.
pub(super) fn ip_families(object: &mut Object) {
    if service_type(object) == "ExternalName" {
        return;
    }
    absent(object, &["spec", "ipFamilyPolicy"], json!("SingleStack"));
    if object.list(&["spec", "ipFamilies"]).is_empty() {
        let ip = object.text(&["spec", "clusterIP"]);
        let family = if !is_headless(object) && ip.contains(':') { "IPv6" } else { "IPv4" };
        object.set(&["spec", "ipFamilies"], json!([family]));
    }
}

fn affinity(object: &mut Object) {
    match object.text(&["spec", "sessionAffinity"]) {
        "None" => drop(object.remove(&["spec", "sessionAffinityConfig"])),
        "ClientIP" => {
            let path = ["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"];
            absent(object, &path, json!(AFFINITY_SECONDS));
        }
        _ => {}
    }
}

fn port(port: &mut Value) {
    let Value::Object(fields) = port else { return };
    let number = fields.get("port").cloned().unwrap_or_else(|| json!(0));
    match fields.get("targetPort") {
        None | Some(Value::Null) => drop(fields.insert("targetPort".to_owned(), number)),
        Some(target) if *target == json!(0) || *target == json!("") => {
            fields.insert("targetPort".to_owned(), number);
        }
        Some(_) => {}
    }
    if fields.get("protocol").and_then(Value::as_str).unwrap_or_default().is_empty() {
        fields.insert("protocol".to_owned(), json!("TCP"));
    }
}

fn ingress_modes(object: &mut Object) {
    if object.list(&["status", "loadBalancer", "ingress"]).is_empty() {
        return;
    }
    let Some(Value::Array(points)) = object.slot(&["status", "loadBalancer", "ingress"]) else { return };
    for point in points {
        let has_ip = point.get("ip").and_then(Value::as_str).is_some_and(|ip| !ip.is_empty());
        if has_ip && point.get("ipMode").is_none_or(Value::is_null) {
            point["ipMode"] = json!("VIP");
        }
    }
}

fn text(object: &mut Object, path: &[&str], value: &str) {
    if object.text(path).is_empty() {
        object.set(path, value);
    }
}

fn absent(object: &mut Object, path: &[&str], value: Value) {
    if object.get(path).is_none() {
        object.set(path, value);
    }
}
