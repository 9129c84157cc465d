//! Service: types, ports, addresses, and what it claims in the cluster.
//!
//! Deliberately absent: which addresses and ports are free, which the server's allocator knows. It fills in what is
//! missing when the object is written, after validation.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::{
    field::FieldError,
    object::Object,
    strategy::{Claim, Strategy},
};

mod columns;
mod default;
mod update;
mod validation;
mod warnings;

#[cfg(test)]
mod tests;

pub use columns::COLUMNS;
pub(super) use validation::{port_number_or_name, protocol};

/// The value of `clusterIP` that asks for none.
pub const NO_CLUSTER_IP: &str = "None";

/// The rules of Services.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], json!({"loadBalancer": {}}));
        let ip = object.text(&["spec", "clusterIP"]).to_owned();
        if !ip.is_empty() && object.list(&["spec", "clusterIPs"]).is_empty() {
            object.set(&["spec", "clusterIPs"], json!([ip]));
        }
        default::ip_families(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        match old.get(&["status"]) {
            Some(status) => object.set(&["status"], status.clone()),
            None => drop(object.remove(&["status"])),
        }
        update::keep_allocated(object, old);
        update::drop_what_the_new_type_has_not(object, old);
        update::follow_cluster_ip(object, old);
        default::ip_families(object);
    }

    fn default(&self, object: &mut Object) {
        default::apply(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        validation::validate(object)
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        update::validate(object, old)
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        validation::validate_status(object)
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        warnings::of_service(object)
    }

    fn status_warnings(&self, object: &Object) -> Vec<String> {
        warnings::of_status(object)
    }

    fn check_name(&self, name: &str) -> Vec<String> {
        keelson_api_schema::format::check_dns1035_label(name)
    }

    fn creates_on_update(&self) -> bool {
        true
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }

    fn claims(&self, object: &Object) -> Vec<Claim> {
        let mut claims: Vec<Claim> = cluster_ips(object).map(|ip| ip_claim(object, ip)).collect();
        let ports = object.list(&["spec", "ports"]);
        for (at, port) in ports.iter().enumerate() {
            if let Some(number) = port.get("nodePort").and_then(Value::as_i64).filter(|number| *number != 0) {
                claims.push(port_claim(&format!("spec.ports[{at}].nodePort"), number));
            }
        }
        if let Some(number) = object.integer(&["spec", "healthCheckNodePort"]).filter(|number| *number != 0) {
            claims.push(port_claim("spec.healthCheckNodePort", number));
        }
        // TCP and UDP of one Service may share a number.
        claims.sort_by(|one, other| one.key.cmp(&other.key));
        claims.dedup_by(|one, other| one.key == other.key);
        claims
    }
}

/// The addresses that a Service has, `None` left out.
pub fn cluster_ips(object: &Object) -> impl Iterator<Item = &str> {
    let ips = object.list(&["spec", "clusterIPs"]).iter().filter_map(Value::as_str);
    ips.filter(|ip| !ip.is_empty() && *ip != NO_CLUSTER_IP)
}

/// Whether the type is one that has cluster addresses.
pub fn needs_cluster_ip(object: &Object) -> bool {
    matches!(service_type(object), "ClusterIP" | "NodePort" | "LoadBalancer")
}

/// Whether the type is one whose ports are open on every node.
pub fn needs_node_ports(object: &Object) -> bool {
    match service_type(object) {
        "NodePort" => true,
        "LoadBalancer" => {
            object.get(&["spec", "allocateLoadBalancerNodePorts"]).and_then(Value::as_bool).unwrap_or(true)
        }
        _ => false,
    }
}

/// Whether load balancers need a port to ask which nodes have endpoints.
pub fn needs_health_check_port(object: &Object) -> bool {
    service_type(object) == "LoadBalancer" && object.text(&["spec", "externalTrafficPolicy"]) == "Local"
}

/// Whether it asks for no cluster address.
pub fn is_headless(object: &Object) -> bool {
    let ips = object.list(&["spec", "clusterIPs"]);
    matches!(ips, [only] if only == NO_CLUSTER_IP)
}

/// Whether it can be reached from outside of the cluster.
fn is_external(object: &Object) -> bool {
    match service_type(object) {
        "NodePort" | "LoadBalancer" => true,
        "ClusterIP" => !object.list(&["spec", "externalIPs"]).is_empty(),
        _ => false,
    }
}

fn service_type(object: &Object) -> &str {
    object.text(&["spec", "type"])
}

/// An address is claimed by the IPAddress object of its name.
fn ip_claim(service: &Object, ip: &str) -> Claim {
    // One address has one name, however it was written.
    let ip = &ip.parse().map_or_else(|_| ip.to_owned(), |ip: IpAddr| ip.to_string());
    let detail = format!("failed to allocate IP {ip}: provided IP is already allocated");
    let family = if ip.contains(':') { "IPv6" } else { "IPv4" };
    let object = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {
            "name": ip,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"
            }
        },
        "spec": {
            "parentRef": {"resource": "services", "namespace": service.namespace(), "name": service.name()}
        }
    });
    Claim {
        key: format!("ipaddresses/{ip}"),
        taken: FieldError::invalid("spec.clusterIPs", json!([ip]), detail),
        object: Some(Object(object)),
    }
}

fn port_claim(path: &str, number: i64) -> Claim {
    Claim {
        key: format!("nodeports/{number}"),
        taken: FieldError::invalid(path, number, "provided port is already allocated"),
        object: None,
    }
}
