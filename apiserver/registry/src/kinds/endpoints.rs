//! Endpoints: the older list of who stands behind a Service.

use keelson_api_schema::format::{
    check_dns1123_label, check_dns1123_subdomain, check_port_number, check_qualified_name,
};
use serde_json::Value;

use crate::{
    columns::{AGE, NAME, NONE},
    field::FieldError,
    kinds::{
        address::{check_ip, check_ordinary_ip, warn_ip},
        metadata::semantically_equal,
        service,
    },
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The label of whoever keeps them, and the controller, which writes addresses in their usual form.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpoint-controller";

/// How many a cell names; of the others it tells the number.
const SHOWN: usize = 3;

/// The columns of Endpoints.
pub const COLUMNS: &[Column] =
    &[NAME, Column::new("Endpoints", "string", |object, _| endpoints(object).into()), AGE];

/// The rules of Endpoints.
pub struct Rules;

impl Strategy for Rules {
    fn creates_on_update(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Object) {
        let subsets = object.0.get_mut("subsets").and_then(Value::as_array_mut);
        let ports = subsets.into_iter().flatten().filter_map(|subset| subset.get_mut("ports"));
        for port in ports.filter_map(Value::as_array_mut).flatten().filter_map(Value::as_object_mut) {
            let protocol = port.entry("protocol").or_insert_with(|| "TCP".into());
            if protocol.is_null() {
                *protocol = "TCP".into();
            }
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for subset in Place::at(object, &["subsets"]).items() {
            let (ready, not_ready) = (subset.child("addresses"), subset.child("notReadyAddresses"));
            if ready.is_empty() && not_ready.is_empty() {
                errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
            }
            for address in ready.items().chain(not_ready.items()) {
                check_address(&address, &mut errors);
            }
            let ports = subset.child("ports");
            for port in ports.items() {
                check_port(&port, ports.len() > 1, &mut errors);
            }
        }
        errors
    }

    /// There may be many of them, so that they are not looked up one by one, but as a whole.
    fn forgive(&self, errors: &mut Vec<FieldError>, object: &Object, old: &Object) {
        if !errors.is_empty() && semantically_equal(object.get(&["subsets"]), old.get(&["subsets"])) {
            errors.retain(|error| !error.path.starts_with("subsets"));
        }
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        if object.text(&["metadata", "labels", MANAGED_BY]) == CONTROLLER {
            return warnings;
        }
        for subset in Place::at(object, &["subsets"]).items() {
            for list in ["addresses", "notReadyAddresses"] {
                subset.child(list).items().for_each(|it| warn_ip(&it.child("ip"), &mut warnings));
            }
        }
        warnings
    }
}

fn check_address(address: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_ip(&address.child("ip"), errors);
    let (host, node) = (address.child("hostname"), address.child("nodeName"));
    if !host.text().is_empty() {
        errors.extend(host.each_invalid(check_dns1123_label(host.text())));
    }
    if node.is_set() {
        errors.extend(node.each_invalid(check_dns1123_subdomain(node.text())));
    }
    check_ordinary_ip(&address.child("ip"), errors);
}

fn check_port(port: &Place<'_>, named: bool, errors: &mut Vec<FieldError>) {
    let (name, number, application) = (port.child("name"), port.child("port"), port.child("appProtocol"));
    if !name.text().is_empty() {
        errors.extend(name.each_invalid(check_dns1123_label(name.text())));
    } else if named {
        errors.push(name.required(""));
    }
    errors.extend(number.each_invalid(check_port_number(number.integer().unwrap_or(0))));
    service::protocol(&port.child("protocol"), errors);
    if application.is_set() {
        errors.extend(application.each_invalid(check_qualified_name(application.text())));
    }
}

fn endpoints(object: &Object) -> String {
    let mut all = Vec::new();
    for subset in object.list(&["subsets"]) {
        let items = |list: &str| subset[list].as_array().map_or(&[][..], Vec::as_slice).iter();
        let ips = || items("addresses").filter_map(|address| address["ip"].as_str());
        if items("ports").next().is_none() {
            all.extend(ips().map(str::to_owned));
        }
        for port in items("ports").filter_map(|port| port["port"].as_i64()) {
            all.extend(ips().map(|ip| host_and_port(ip, port)));
        }
    }
    if object.list(&["subsets"]).is_empty() { NONE.to_owned() } else { abridged(&all) }
}

fn host_and_port(ip: &str, port: i64) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// The first few of many, and how many more there are.
pub(super) fn abridged(all: &[String]) -> String {
    let shown = all[..all.len().min(SHOWN)].join(",");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// The texts of a list, numbers included.
pub(super) fn texts(list: &[Value]) -> impl Iterator<Item = String> + '_ {
    list.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_without_a_protocol_is_one_of_tcp() {
        let mut object =
            Object(json!({"subsets": [{"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}, {}]}));
        Rules.default(&mut object);
        let ports = json!([{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]);
        assert_eq!(object.0["subsets"][0]["ports"], ports);
    }

    #[test]
    fn addresses_and_ports_are_checked() {
        let object = Object(json!({"subsets": [
            {"ports": [{"port": 80, "protocol": "TCP"}]},
            {"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 0, "protocol": "TCP"}, {"port": 1, "name": "a"}]}
        ]}));
        let texts: Vec<_> = Rules.validate(&object).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
                "subsets[1].addresses[0].ip: Invalid value: \"127.0.0.1\": \
                 may not be in the loopback range (127.0.0.0/8, ::1/128)",
                "subsets[1].ports[0].name: Required value",
                "subsets[1].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "subsets[1].ports[1].protocol: Required value",
            ]
        );
    }

    #[test]
    fn cells_name_three() {
        let ips: Vec<_> = (1..=5).map(|last| json!({"ip": format!("10.0.0.{last}")})).collect();
        let object = Object(json!({"subsets": [{"addresses": ips, "ports": [{"port": 80}]}]}));
        assert_eq!(endpoints(&object), "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...");
        assert_eq!(endpoints(&Object(json!({}))), "<none>");
        let object =
            Object(json!({"subsets": [{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}]}));
        assert_eq!(endpoints(&object), "[fd00::1]:80");
    }

    #[test]
    fn unusual_addresses_are_warned_of() {
        let addresses = json!([{"ip": "10.0.0.1"}, {"ip": "FD00::1"}]);
        let mut object =
            Object(json!({"subsets": [{}, {"addresses": addresses, "notReadyAddresses": addresses}]}));
        let what = "IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")";
        let expected =
            ["addresses", "notReadyAddresses"].map(|list| format!("subsets[1].{list}[1].ip: {what}"));
        assert_eq!(Rules.warnings(&object, None), expected);
        object.set(&["metadata", "labels", MANAGED_BY], CONTROLLER);
        assert_eq!(Rules.warnings(&object, None), [""; 0]);
    }
}
