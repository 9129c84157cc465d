//! The objects that every cluster begins with, in the order in which they are made.
//!
//! Source: `pkg/controlplane/controller/*`, `pkg/registry/rbac/rest`, `pkg/registry/scheduling/rest` of Kubernetes.

use keelson_api_registry::{
    bootstrap_roles,
    kinds::{flow_control, priority_class},
    object::Object,
};
use serde_json::json;
use time::OffsetDateTime;

use super::ensure::Wanted;
use crate::{server::ServerOptions, write::identity::timestamp};

/// Objects of one sort.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) objects: Vec<Wanted>,
}

/// The namespaces of the system.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// The config map that tells extension API servers whose client certificates to believe.
const AUTHENTICATION: &str = "extension-apiserver-authentication";

/// The key of the certificates in it.
const CLIENT_CA: &str = "client-ca-file";

/// Everything.
pub(super) fn stages(options: &ServerOptions) -> Vec<Stage> {
    let fixed = |objects: Vec<Object>| objects.into_iter().map(Wanted::once).collect();
    let roles = [
        bootstrap_roles::cluster_roles(),
        bootstrap_roles::cluster_role_bindings(),
        bootstrap_roles::roles(),
        bootstrap_roles::role_bindings(),
    ];
    let roles = roles.into_iter().flatten();
    let roles = roles.map(|object| Wanted { object, merge: bootstrap_roles::reconciled }).collect();
    let flow = flow_control::objects().into_iter();
    let flow = flow.map(|object| Wanted { object, merge: flow_control::reconciled }).collect();
    let authentication = Wanted { object: authentication(options), merge: add_authorities };
    vec![
        Stage { name: "namespaces", objects: fixed(NAMESPACES.map(namespace).to_vec()) },
        Stage { name: "roles", objects: roles },
        Stage { name: "priority classes", objects: fixed(priority_class::system_classes()) },
        Stage { name: "flow control", objects: flow },
        Stage { name: "authentication", objects: vec![authentication] },
        Stage { name: "service addresses", objects: fixed(vec![service_cidr(options)]) },
        Stage { name: "the Service kubernetes", objects: fixed(service(options).into_iter().collect()) },
        Stage { name: "the Service kube-dns", objects: fixed(dns_service(options).into_iter().collect()) },
    ]
}

fn namespace(name: &str) -> Object {
    Object(json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}))
}

fn authentication(options: &ServerOptions) -> Object {
    Object(json!({
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": AUTHENTICATION, "namespace": "kube-system"},
        "data": {CLIENT_CA: options.client_ca_pem},
    }))
}

/// Adds this server's authorities to those of others, which may be older or newer while certificates rotate.
fn add_authorities(existing: &Object, wanted: &Object) -> Option<Object> {
    let path = ["data", CLIENT_CA];
    let (known, own) = (existing.text(&path), wanted.text(&path));
    let missing: Vec<&str> =
        certificates(own).filter(|own| !certificates(known).any(|known| known == *own)).collect();
    if missing.is_empty() {
        return None;
    }
    let mut merged = existing.clone();
    let all: Vec<&str> = certificates(known).chain(missing).collect();
    merged.set(&path, all.join("\n") + "\n");
    Some(merged)
}

/// The certificates of a PEM file, without the space around them.
fn certificates(pem: &str) -> impl Iterator<Item = &str> {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END).map(str::trim).filter(|part| part.ends_with(END))
}

fn service_cidr(options: &ServerOptions) -> Object {
    let now = (options.clock)();
    Object(json!({
        "kind": "ServiceCIDR",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [options.service_cluster_ip_range.to_string()]},
        "status": {"conditions": [ready(now)]},
    }))
}

fn ready(now: OffsetDateTime) -> serde_json::Value {
    json!({
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": timestamp(now),
    })
}

/// The Service by which pods find the API. None where the range has no address for it.
pub(super) fn service(options: &ServerOptions) -> Option<Object> {
    let range = options.service_cluster_ip_range;
    let ip = range.nth(1)?.to_string();
    let port = json!({"name": "https", "port": 443, "protocol": "TCP", "targetPort": options.secure_port});
    Some(Object(json!({
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ipFamilies": [family(options)],
            "ipFamilyPolicy": "SingleStack",
            "ports": [port],
        },
    })))
}

/// The Service at whose address pods ask for names. Nodes answer there themselves, each for its own pods, so it selects
/// nothing. The address is the tenth by custom; nodes take it for granted. None where the range is too small.
fn dns_service(options: &ServerOptions) -> Option<Object> {
    let ip = options.service_cluster_ip_range.nth(10)?.to_string();
    let port = |name: &str, protocol: &str| json!({"name": name, "port": 53, "protocol": protocol, "targetPort": 53});
    Some(Object(json!({
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "KeelsonDNS",
            },
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ipFamilies": [family(options)],
            "ipFamilyPolicy": "SingleStack",
            "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")],
        },
    })))
}

/// Of the Services' addresses.
fn family(options: &ServerOptions) -> &'static str {
    if options.service_cluster_ip_range.is_ipv6() { "IPv6" } else { "IPv4" }
}

#[cfg(test)]
mod tests {
    use keelson_api_registry::{kinds::metadata, resources};

    use super::*;
    use crate::bootstrap::ensure;

    fn options() -> ServerOptions {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        ServerOptions::new("one".to_owned(), "192.0.2.1".parse().unwrap(), 6443, pem.to_owned())
    }

    #[test]
    fn everything_passes_the_rules_that_clients_must_pass() {
        let now = (options().clock)();
        for wanted in stages(&options()).iter().flat_map(|stage| &stage.objects) {
            let given = &wanted.object;
            let resource = resources::find_kind(given.text(&["apiVersion"]), given.text(&["kind"])).unwrap();
            let object = ensure::born(resource, given, now);
            let name = object.name();
            assert_eq!(metadata::validate(resource, &object), [], "{name}");
            assert_eq!(resource.strategy.validate(&object), [], "{name}");
        }
    }

    #[test]
    fn the_kubernetes_service_has_the_first_address() {
        let service = service(&options()).unwrap();
        assert_eq!(service.text(&["spec", "clusterIP"]), "10.96.0.1");
    }

    #[test]
    fn names_are_asked_for_at_the_tenth_address_where_there_is_one() {
        let service = dns_service(&options()).unwrap();
        assert_eq!(service.text(&["spec", "clusterIP"]), "10.96.0.10");
        let small = ServerOptions { service_cluster_ip_range: "10.0.0.0/29".parse().unwrap(), ..options() };
        assert_eq!(dns_service(&small), None);
    }

    #[test]
    fn authorities_are_added_once() {
        let wanted = authentication(&options());
        assert_eq!(add_authorities(&wanted, &wanted), None);
        let mut other = wanted.clone();
        let foreign = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----";
        other.set(&["data", CLIENT_CA], foreign);
        let merged = add_authorities(&other, &wanted).unwrap();
        let own = wanted.text(&["data", CLIENT_CA]);
        assert_eq!(merged.text(&["data", CLIENT_CA]), format!("{foreign}\n{own}"));
        assert_eq!(add_authorities(&merged, &wanted), None);
    }
}
