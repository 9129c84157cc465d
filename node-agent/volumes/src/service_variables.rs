//! The environment variables by which a container finds Services without DNS. Pure.
//!
//! In: Services. Out: `REDIS_SERVICE_HOST`, `REDIS_PORT_6379_TCP_ADDR` and their like. Services without an address of
//! their own (headless, ExternalName) have none.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{Service, ServicePort};

/// The Service that every container is told of.
const MASTER: &str = "kubernetes";

/// All variables for a Pod that sees the Services `own` of its namespace, if it wants to, and the master Service out
/// of those of the namespace `default`.
pub(crate) fn service_variables(
    own: &[Arc<Service>],
    of_default: &[Arc<Service>],
    wants_own: bool,
) -> Vec<(String, String)> {
    let mut chosen: BTreeMap<&str, (&Service, &str)> = BTreeMap::new();
    let master = of_default.iter().filter(|service| service.metadata.name.as_deref() == Some(MASTER));
    let own = own.iter().filter(|_| wants_own);
    for service in master.chain(own) {
        if let (Some(name), Some(address)) = (service.metadata.name.as_deref(), address(service)) {
            chosen.insert(name, (service, address));
        }
    }
    chosen
        .into_iter()
        .flat_map(|(name, (service, address))| of_service(name, address, ports(service)))
        .collect()
}

fn of_service(name: &str, address: &str, ports: &[ServicePort]) -> Vec<(String, String)> {
    let prefix = variable_name(name);
    let mut variables = vec![(format!("{prefix}_SERVICE_HOST"), address.to_owned())];
    let Some(first) = ports.first() else { return variables };
    variables.push((format!("{prefix}_SERVICE_PORT"), first.port.to_string()));
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            variables.push((format!("{prefix}_SERVICE_PORT_{}", variable_name(name)), port.port.to_string()));
        }
    }
    variables.push((format!("{prefix}_PORT"), url(address, first)));
    for port in ports {
        let of_port = format!("{prefix}_PORT_{}_{}", port.port, protocol(port).to_uppercase());
        variables.push((of_port.clone(), url(address, port)));
        variables.push((format!("{of_port}_PROTO"), protocol(port).to_lowercase()));
        variables.push((format!("{of_port}_PORT"), port.port.to_string()));
        variables.push((format!("{of_port}_ADDR"), address.to_owned()));
    }
    variables
}

fn address(service: &Service) -> Option<&str> {
    let address = service.spec.as_ref()?.cluster_ip.as_deref()?;
    (!address.is_empty() && address != "None").then_some(address)
}

fn ports(service: &Service) -> &[ServicePort] {
    service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default()
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().filter(|protocol| !protocol.is_empty()).unwrap_or("TCP")
}

fn url(address: &str, port: &ServicePort) -> String {
    let protocol = protocol(port).to_lowercase();
    let port = port.port;
    if address.contains(':') {
        return format!("{protocol}://[{address}]:{port}");
    }
    format!("{protocol}://{address}:{port}")
}

fn variable_name(name: &str) -> String {
    let name = name.replace(['-', '.'], "_").to_uppercase();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, spec: &Value) -> Arc<Service> {
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap())
    }

    fn text(variables: &[(String, String)]) -> Vec<String> {
        variables.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_service_with_two_ports_has_all_its_variables() {
        let ports = json!([{"name": "p-1", "port": 80}, {"name": "q", "port": 53, "protocol": "UDP"}]);
        let service = service("foo.bar-1", &json!({"clusterIP": "10.0.0.1", "ports": ports}));
        assert_eq!(
            text(&service_variables(&[service], &[], true)),
            [
                "FOO_BAR_1_SERVICE_HOST=10.0.0.1",
                "FOO_BAR_1_SERVICE_PORT=80",
                "FOO_BAR_1_SERVICE_PORT_P_1=80",
                "FOO_BAR_1_SERVICE_PORT_Q=53",
                "FOO_BAR_1_PORT=tcp://10.0.0.1:80",
                "FOO_BAR_1_PORT_80_TCP=tcp://10.0.0.1:80",
                "FOO_BAR_1_PORT_80_TCP_PROTO=tcp",
                "FOO_BAR_1_PORT_80_TCP_PORT=80",
                "FOO_BAR_1_PORT_80_TCP_ADDR=10.0.0.1",
                "FOO_BAR_1_PORT_53_UDP=udp://10.0.0.1:53",
                "FOO_BAR_1_PORT_53_UDP_PROTO=udp",
                "FOO_BAR_1_PORT_53_UDP_PORT=53",
                "FOO_BAR_1_PORT_53_UDP_ADDR=10.0.0.1",
            ]
        );
    }

    #[test]
    fn names_and_addresses_are_made_fit() {
        let service = service("3com", &json!({"clusterIP": "fd00::1", "ports": [{"port": 80}]}));
        let variables = text(&service_variables(&[service], &[], true));
        assert_eq!(variables[0], "_3COM_SERVICE_HOST=fd00::1");
        assert!(variables.contains(&"_3COM_PORT=tcp://[fd00::1]:80".to_owned()), "{variables:?}");
    }

    #[test]
    fn the_master_service_is_always_there_and_the_own_namespaces_wins() {
        let master = service("kubernetes", &json!({"clusterIP": "10.0.0.1", "ports": [{"port": 443}]}));
        let other = service("other", &json!({"clusterIP": "10.0.0.2", "ports": [{"port": 1}]}));
        let own = service("kubernetes", &json!({"clusterIP": "10.0.0.3", "ports": [{"port": 443}]}));
        let hosts = |own: &[Arc<Service>], wants: bool| -> Vec<String> {
            let variables = text(&service_variables(own, &[master.clone(), other.clone()], wants));
            variables.into_iter().filter(|it| it.contains("_HOST=")).collect()
        };
        assert_eq!(hosts(&[], true), ["KUBERNETES_SERVICE_HOST=10.0.0.1"]);
        assert_eq!(hosts(&[own.clone(), other.clone()], false), ["KUBERNETES_SERVICE_HOST=10.0.0.1"]);
        assert_eq!(
            hosts(&[own, other.clone()], true),
            ["KUBERNETES_SERVICE_HOST=10.0.0.3", "OTHER_SERVICE_HOST=10.0.0.2"]
        );
    }

    #[test]
    fn services_without_an_address_have_no_variables() {
        for spec in [json!({"clusterIP": "None"}), json!({"clusterIP": ""}), json!({}), Value::Null] {
            assert!(service_variables(&[service("s", &spec)], &[], true).is_empty());
        }
        let portless = service("s", &json!({"clusterIP": "10.0.0.1"}));
        assert_eq!(text(&service_variables(&[portless], &[], true)), ["S_SERVICE_HOST=10.0.0.1"]);
    }
}
