//! EndpointSlice: some of those who stand behind a Service.
//!
//! Source: `pkg/apis/discovery/validation`, `pkg/registry/discovery/endpointslice`.

use std::collections::BTreeSet;

use keelson_api_schema::format::{
    check_dns1123_label, check_dns1123_subdomain, check_port_number, check_qualified_name,
};
use serde_json::{Value, json};

use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::{
        address::{check_ip, check_ordinary_ip, warn_ip},
        endpoints::{abridged, texts},
        metadata::{self, semantically_equal},
        service,
        workload::differs,
    },
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// Most of what one slice may list.
const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 100;
const MAX_TOPOLOGY: usize = 16;
const MAX_HINTS: usize = 8;

/// The label of whoever keeps a slice, and those who write addresses in their usual form whatever they get.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLERS: [&str; 2] =
    ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

/// What a cell says of an empty list.
const UNSET: &str = "<unset>";

/// The columns of EndpointSlices.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("AddressType", "string", |object, _| object.text(&["addressType"]).into()),
    Column::new("Ports", "string", |object, _| ports(object).into()),
    Column::new("Endpoints", "string", |object, _| endpoints(object).into()),
    AGE,
];

/// The rules of EndpointSlices.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let counted: [&[&str]; 4] = [&["addressType"], &["endpoints"], &["ports"], &["metadata", "labels"]];
        let changed = counted.iter().any(|path| differs(object, old, path));
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn default(&self, object: &mut Object) {
        if object.list(&["ports"]).is_empty() {
            return;
        }
        let Some(Value::Array(ports)) = object.slot(&["ports"]) else { return };
        for port in ports.iter_mut().filter_map(Value::as_object_mut) {
            for (field, value) in [("name", ""), ("protocol", "TCP")] {
                if port.get(field).is_none_or(Value::is_null) {
                    port.insert(field.to_owned(), json!(value));
                }
            }
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let root = Place::root(object);
        let (kind, endpoints) = (root.child("addressType"), root.child("endpoints"));
        let mut errors = Vec::new();
        match kind.text() {
            "" => errors.push(kind.required("")),
            _ => kind.one_of(&["FQDN", "IPv4", "IPv6"], &mut errors),
        }
        if endpoints.len() > MAX_ENDPOINTS {
            errors.push(FieldError::too_many(endpoints.path(), endpoints.len(), MAX_ENDPOINTS));
        } else {
            endpoints.items().for_each(|endpoint| check_endpoint(&endpoint, kind.text(), &mut errors));
        }
        check_ports(&root.child("ports"), &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &["addressType"]).unchanged(&Place::at(old, &["addressType"]), &mut errors);
        errors
    }

    /// There may be many of them, so that they are not looked up one by one, but as a whole.
    fn forgive(&self, errors: &mut Vec<FieldError>, object: &Object, old: &Object) {
        if !errors.is_empty() && semantically_equal(object.get(&["endpoints"]), old.get(&["endpoints"])) {
            errors.retain(|error| !error.path.starts_with("endpoints"));
        }
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        if old.is_none() && object.text(&["addressType"]) == "FQDN" {
            // Upstream's path for the field.
            warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        if !CONTROLLERS.contains(&object.text(&["metadata", "labels", MANAGED_BY])) {
            for endpoint in Place::at(object, &["endpoints"]).items() {
                endpoint.child("addresses").items().for_each(|ip| warn_ip(&ip, &mut warnings));
            }
        }
        warnings
    }
}

fn check_endpoint(endpoint: &Place<'_>, kind: &str, errors: &mut Vec<FieldError>) {
    let addresses = endpoint.child("addresses");
    match addresses.len() {
        0 => errors.push(addresses.required("must contain at least 1 address")),
        1..=MAX_ADDRESSES => {}
        actual => errors.push(FieldError::too_many(addresses.path(), actual, MAX_ADDRESSES)),
    }
    for address in addresses.items() {
        check_address(&address, kind, errors);
    }
    let topology = endpoint.child("deprecatedTopology");
    if topology.len() > MAX_TOPOLOGY {
        errors.push(FieldError::too_many(topology.path(), topology.len(), MAX_TOPOLOGY));
    }
    metadata::labels(&topology, errors);
    let (host, node) = (endpoint.child("hostname"), endpoint.child("nodeName"));
    if host.is_set() {
        errors.extend(host.each_invalid(check_dns1123_label(host.text())));
    }
    if node.is_set() {
        errors.extend(node.each_invalid(check_dns1123_subdomain(node.text())));
    }
    for list in ["forZones", "forNodes"] {
        check_hints(&endpoint.child("hints").child(list), errors);
    }
}

fn check_address(address: &Place<'_>, kind: &str, errors: &mut Vec<FieldError>) {
    let text = address.text();
    match kind {
        "IPv4" | "IPv6" => {
            let before = errors.len();
            check_ip(address, errors);
            if errors.len() == before && text.contains(':') != (kind == "IPv6") {
                errors.push(address.invalid(format!("must be an {kind} address")));
            }
            check_ordinary_ip(address, errors);
        }
        "FQDN" => {
            let name = text.strip_suffix('.').unwrap_or(text);
            errors.extend(address.each_invalid(check_dns1123_subdomain(name)));
            if !name.contains('.') {
                errors
                    .push(address.invalid("should be a domain with at least two segments separated by dots"));
            }
        }
        _ => {}
    }
}

fn check_hints(hints: &Place<'_>, errors: &mut Vec<FieldError>) {
    if hints.len() > MAX_HINTS {
        errors.push(FieldError::too_many(hints.path(), hints.len(), MAX_HINTS));
        return;
    }
    let mut seen = BTreeSet::new();
    for hint in hints.items() {
        let name = hint.child("name");
        if !seen.insert(name.text()) {
            errors.push(FieldError::duplicate(name.path(), name.text()));
        }
        if name.text().is_empty() {
            errors.push(name.required(""));
        } else {
            errors.extend(name.each_invalid(check_qualified_name(name.text())));
        }
    }
}

fn check_ports(ports: &Place<'_>, errors: &mut Vec<FieldError>) {
    if ports.len() > MAX_PORTS {
        errors.push(FieldError::too_many(ports.path(), ports.len(), MAX_PORTS));
        return;
    }
    let mut names = BTreeSet::new();
    for port in ports.items() {
        let (name, number, application) = (port.child("name"), port.child("port"), port.child("appProtocol"));
        if !name.text().is_empty() {
            errors.extend(name.each_invalid(check_dns1123_label(name.text())));
        }
        if !names.insert(name.text()) {
            errors.push(name.duplicate());
        }
        if let Some(value) = number.integer() {
            errors.extend(number.each_invalid(check_port_number(value)));
        }
        service::protocol(&port.child("protocol"), errors);
        if application.is_set() {
            errors.extend(application.each_invalid(check_qualified_name(application.text())));
        }
    }
}

fn ports(object: &Object) -> String {
    let number =
        |port: &Value| port["port"].as_i64().map_or_else(|| "*".to_owned(), |number| number.to_string());
    listed(&object.list(&["ports"]).iter().map(number).collect::<Vec<_>>())
}

fn endpoints(object: &Object) -> String {
    let lists = object.list(&["endpoints"]).iter().filter_map(|endpoint| endpoint["addresses"].as_array());
    listed(&lists.flat_map(|addresses| texts(addresses)).collect::<Vec<_>>())
}

fn listed(all: &[String]) -> String {
    if all.is_empty() { UNSET.to_owned() } else { abridged(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_completed_and_counted() {
        let mut object = Object(json!({"addressType": "IPv4", "ports": [{"port": 80}]}));
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        assert_eq!(object.0["ports"], json!([{"port": 80, "name": "", "protocol": "TCP"}]));
        let mut same = object.clone();
        same.set(&["metadata", "annotations"], json!({"a": "b"}));
        Rules.prepare_update(&mut same, &object);
        assert_eq!(same.generation(), 1);
        let mut other = object.clone();
        other.set(&["endpoints"], json!([{"addresses": ["10.0.0.1"]}]));
        Rules.prepare_update(&mut other, &object);
        assert_eq!(other.generation(), 2);
        let mut labelled = object.clone();
        labelled.set(&["metadata", "labels", "a"], "b");
        Rules.prepare_update(&mut labelled, &object);
        assert_eq!(labelled.generation(), 2, "labels say whose it is");
        assert_eq!(Rules.validate(&other), []);
    }

    #[test]
    fn addresses_are_of_their_type() {
        let object = Object(
            json!({"addressType": "IPv6", "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": []}]}),
        );
        let texts: Vec<_> = Rules.validate(&object).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "endpoints[0].addresses[0]: Invalid value: \"10.0.0.1\": must be an IPv6 address",
                "endpoints[1].addresses: Required value: must contain at least 1 address",
            ]
        );
    }

    #[test]
    fn cells_are_upstreams() {
        let object = Object(json!({
            "ports": [{"port": 80}, {}],
            "endpoints": [{"addresses": ["a", "b"]}, {"addresses": ["c", "d"]}]
        }));
        assert_eq!(ports(&object), "80,*");
        assert_eq!(endpoints(&object), "a,b,c + 1 more...");
        assert_eq!(ports(&Object(json!({}))), "<unset>");
    }

    #[test]
    fn names_and_unusual_addresses_are_warned_of() {
        let mut object =
            Object(json!({"addressType": "FQDN", "endpoints": [{"addresses": ["a.example.com"]}]}));
        assert_eq!(Rules.warnings(&object, None), ["spec.addressType: FQDN endpoints are deprecated"]);
        assert_eq!(Rules.warnings(&object, Some(&object)), [""; 0]);
        object = Object(json!({"addressType": "IPv6", "endpoints": [{"addresses": ["fd00::1", "FD00::1"]}]}));
        let what = "IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")";
        assert_eq!(Rules.warnings(&object, Some(&object)), [format!("endpoints[0].addresses[1]: {what}")]);
        object.set(&["metadata", "labels", MANAGED_BY], "endpointslice-controller.k8s.io");
        assert_eq!(Rules.warnings(&object, None), [""; 0]);
    }
}
