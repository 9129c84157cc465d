//! What is wrong with a Service.

use std::{collections::BTreeSet, net::IpAddr};

use keelson_api_schema::format::{
    check_dns1123_label, check_dns1123_subdomain, check_port_name, check_port_number, check_qualified_name,
};
use serde_json::{Value, json};

use super::{NO_CLUSTER_IP, is_external, is_headless, needs_health_check_port, service_type};
use crate::{
    field::FieldError,
    kinds::{
        address::{check_ip, check_ordinary_ip, cidr_problem},
        metadata,
    },
    object::Object,
    place::Place,
};

/// Where a load balancer class or a list of source ranges is out of place.
const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";

/// The annotation that is read where `loadBalancerSourceRanges` is empty.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// The longest `sessionAffinity: ClientIP`, in seconds: a day.
const MAX_AFFINITY_SECONDS: i64 = 86_400;

pub(super) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

pub(super) fn validate(object: &Object) -> Vec<FieldError> {
    let spec = Place::at(object, &["spec"]);
    let mut errors = Vec::new();
    let portless = is_headless(object) || service_type(object) == "ExternalName";
    if spec.child("ports").is_empty() && !portless {
        errors.push(spec.child("ports").required(""));
    }
    by_type(object, &spec, &mut errors);
    ports(&spec.child("ports"), &mut errors);
    metadata::labels(&spec.child("selector"), &mut errors);
    affinity(&spec, &mut errors);
    if service_type(object) != "ExternalName" {
        cluster_ips(object, &spec, &mut errors);
    }
    for ip in spec.child("externalIPs").items() {
        let before = errors.len();
        check_ip(&ip, &mut errors);
        if errors.len() == before {
            check_ordinary_ip(&ip, &mut errors);
        }
    }
    spec.child("type").one_of(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], &mut errors);
    node_ports(service_type(object), &spec.child("ports"), &mut errors);
    load_balancer(object, &spec, &mut errors);
    traffic_policies(object, &spec, &mut errors);
    errors
}

pub(super) fn validate_status(object: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let points = Place::at(object, &["status", "loadBalancer", "ingress"]);
    if !points.is_empty() && service_type(object) != "LoadBalancer" {
        errors.push(points.forbidden("may only be used when `spec.type` is \"LoadBalancer\""));
        return errors;
    }
    for point in points.items() {
        let host = point.child("hostname");
        check_point_ip(&point, &mut errors);
        if host.is_set() && host.text().parse::<IpAddr>().is_ok() {
            errors.push(host.invalid("must be a DNS name, not an IP address"));
        } else if host.is_set() {
            errors.extend(host.each_invalid(check_dns1123_subdomain(host.text())));
        }
    }
    errors
}

/// An address of a load balancer, and whether connections to it end there.
fn check_point_ip(point: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (ip, mode) = (point.child("ip"), point.child("ipMode"));
    let has_ip = !ip.text().is_empty();
    if has_ip {
        check_ip(&ip, errors);
    }
    match (has_ip, mode.is_set()) {
        (true, true) => mode.one_of(&["Proxy", "VIP"], errors),
        (true, false) => errors.push(mode.required("must be specified when `ip` is set")),
        (false, true) => errors.push(mode.forbidden("may not be specified when `ip` is not set")),
        (false, false) => {}
    }
}

fn by_type(object: &Object, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    match service_type(object) {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(object) => {
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid("spec.clusterIPs[0]", NO_CLUSTER_IP, detail));
        }
        "ExternalName" => external_name(spec, errors),
        _ => {}
    }
}

fn external_name(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    for field in ["clusterIPs", "ipFamilies"] {
        if !spec.child(field).is_empty() {
            errors.push(spec.child(field).forbidden("may not be set for ExternalName services"));
        }
    }
    if spec.child("ipFamilyPolicy").is_set() {
        errors.push(spec.child("ipFamilyPolicy").forbidden("may not be set for ExternalName services"));
    }
    let name = spec.child("externalName");
    match name.text().strip_suffix('.').unwrap_or_else(|| name.text()) {
        "" => errors.push(name.required("")),
        host => {
            let wrong = check_dns1123_subdomain(host).into_iter();
            errors.extend(wrong.map(|detail| FieldError::invalid(name.path(), host, detail)));
        }
    }
}

fn ports(ports: &Place<'_>, errors: &mut Vec<FieldError>) {
    let several = ports.len() > 1;
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for port in ports.items() {
        let name = port.child("name");
        if name.text().is_empty() {
            if several {
                errors.push(name.required(""));
            }
        } else {
            errors.extend(name.each_invalid(check_dns1123_label(name.text())));
            if !names.insert(name.text()) {
                errors.push(name.duplicate());
            }
        }
        one_port(&port, errors);
        let key = (port.child("protocol").text(), port.child("port").integer());
        if !numbers.insert(key) {
            let value = json!({"Protocol": key.0, "Port": key.1});
            errors.push(FieldError::duplicate(port.path(), value));
        }
    }
}

fn one_port(port: &Place<'_>, errors: &mut Vec<FieldError>) {
    let number = port.child("port");
    for detail in check_port_number(number.integer().unwrap_or(0)) {
        errors.push(FieldError::invalid(number.path(), number.integer().unwrap_or(0), detail));
    }
    protocol(&port.child("protocol"), errors);
    port_number_or_name(&port.child("targetPort"), errors);
    let application = port.child("appProtocol");
    if application.is_set() {
        errors.extend(application.each_invalid(check_qualified_name(application.text())));
    }
}

/// One of the protocols that ports speak.
pub(crate) fn protocol(protocol: &Place<'_>, errors: &mut Vec<FieldError>) {
    if protocol.text().is_empty() {
        errors.push(protocol.required(""));
    } else {
        protocol.one_of(PROTOCOLS, errors);
    }
}

/// A port by its number or by its name.
pub(crate) fn port_number_or_name(port: &Place<'_>, errors: &mut Vec<FieldError>) {
    match port.value() {
        Some(Value::String(name)) => errors.extend(port.each_invalid(check_port_name(name))),
        value => {
            let number = value.and_then(Value::as_i64).unwrap_or(0);
            let wrong = check_port_number(number).into_iter();
            errors.extend(wrong.map(|detail| FieldError::invalid(port.path(), number, detail)));
        }
    }
}

fn affinity(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (kind, config) = (spec.child("sessionAffinity"), spec.child("sessionAffinityConfig"));
    match kind.text() {
        "" => errors.push(kind.required("")),
        "None" if config.is_set() => {
            errors.push(config.forbidden("must not be set when session affinity is None"));
        }
        "None" => {}
        "ClientIP" => {
            let seconds = config.child("clientIP").child("timeoutSeconds");
            match seconds.integer() {
                None => errors.push(seconds.required("when session affinity type is ClientIP")),
                Some(1..=MAX_AFFINITY_SECONDS) => {}
                Some(_) => errors.push(
                    seconds.invalid(format!("must be greater than 0 and less than {MAX_AFFINITY_SECONDS}")),
                ),
            }
        }
        _ => errors.push(kind.not_supported(&["ClientIP", "None"])),
    }
}

fn cluster_ips(object: &Object, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (one, all) = (spec.child("clusterIP").text(), spec.child("clusterIPs"));
    let first = all.items().next();
    match (one.is_empty(), &first) {
        (false, None) => errors.push(all.required("")),
        (false, Some(first)) if first.text() != one => {
            errors.push(all.invalid("first value must match `clusterIP`"));
        }
        (true, Some(_)) => errors.push(all.invalid("must be empty when `clusterIP` is not specified")),
        _ => {}
    }
    families(spec, errors);
    let before = errors.len();
    for (at, ip) in all.items().enumerate() {
        if at == 0 && ip.text() == NO_CLUSTER_IP {
            if all.len() > 1 {
                errors.push(all.invalid("'None' must be the first and only value"));
            }
        } else {
            check_ip(&ip, errors);
        }
    }
    if all.len() > 2 {
        errors.push(all.invalid("may only hold up to 2 values"));
    }
    // What follows would only repeat what is wrong with them.
    let all_are_addresses = errors.len() == before;
    if all_are_addresses && !is_headless(object) {
        of_their_family(&all, &spec.child("ipFamilies"), errors);
    }
}

/// The families and how many of them; the cluster has one. Whether it is this one, the allocator knows.
fn families(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for family in spec.child("ipFamilies").items() {
        match family.text() {
            "IPv4" | "IPv6" => {}
            _ => errors.push(family.not_supported(&["IPv4", "IPv6"])),
        }
        if !seen.insert(family.text()) {
            errors.push(family.duplicate());
        }
    }
    let policy = spec.child("ipFamilyPolicy");
    match policy.text() {
        "RequireDualStack" => {
            errors.push(policy.invalid("this cluster is not configured for dual-stack services"));
        }
        _ if policy.is_set() => {
            policy.one_of(&["PreferDualStack", "RequireDualStack", "SingleStack"], errors);
        }
        _ => {}
    }
}

fn of_their_family(ips: &Place<'_>, families: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (at, (ip, family)) in ips.items().zip(families.items()).enumerate() {
        let expected = match (family.text(), ip.text().parse::<IpAddr>()) {
            ("IPv4", Ok(IpAddr::V6(_))) => "IPv4",
            ("IPv6", Ok(IpAddr::V4(_))) => "IPv6",
            _ => continue,
        };
        errors.push(ip.invalid(format!("expected an {expected} value as indicated by `ipFamilies[{at}]`")));
    }
}

fn node_ports(kind: &str, ports: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let number = port.child("nodePort");
        let Some(value) = number.integer().filter(|value| *value != 0) else { continue };
        if kind == "ClusterIP" {
            errors.push(number.forbidden("may not be used when `type` is 'ClusterIP'"));
        }
        if !seen.insert((port.child("protocol").text(), value)) {
            errors.push(number.duplicate());
        }
    }
}

fn load_balancer(object: &Object, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let is_one = service_type(object) == "LoadBalancer";
    let (ranges, class) = (spec.child("loadBalancerSourceRanges"), spec.child("loadBalancerClass"));
    if ranges.is_empty() {
        annotated_ranges(object, is_one, errors);
    } else {
        // Upstream's name of the field.
        source_ranges(&ranges.shown_as("spec.LoadBalancerSourceRanges"), is_one, errors);
    }
    let node_ports = spec.child("allocateLoadBalancerNodePorts");
    if node_ports.is_set() && !is_one {
        errors.push(node_ports.forbidden(ONLY_LOAD_BALANCER));
    }
    match (class.is_set(), is_one) {
        (true, true) => errors.extend(class.each_invalid(check_qualified_name(class.text()))),
        (true, false) => errors.push(class.forbidden(ONLY_LOAD_BALANCER)),
        (false, _) => {}
    }
}

fn source_ranges(ranges: &Place<'_>, is_one: bool, errors: &mut Vec<FieldError>) {
    if !is_one {
        errors.push(ranges.forbidden(ONLY_LOAD_BALANCER));
    }
    for range in ranges.items() {
        one_range(range.path(), range.text(), errors);
    }
}

/// The ranges where they were before there was a field for them.
fn annotated_ranges(object: &Object, is_one: bool, errors: &mut Vec<FieldError>) {
    let annotation = Place::at(object, &["metadata", "annotations"]).key(SOURCE_RANGES);
    if !annotation.is_set() {
        return;
    }
    if !is_one {
        errors.push(annotation.forbidden(ONLY_LOAD_BALANCER));
    }
    if !annotation.text().trim().is_empty() {
        annotation.text().split(',').for_each(|range| one_range(annotation.path(), range, errors));
    }
}

/// A range, which may have blanks around it: it came from a list with commas once.
fn one_range(path: &str, range: &str, errors: &mut Vec<FieldError>) {
    let range = range.trim();
    errors.extend(cidr_problem(range).map(|rule| FieldError::invalid(path, range, rule)));
}

fn traffic_policies(object: &Object, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (external, internal) = (spec.child("externalTrafficPolicy"), spec.child("internalTrafficPolicy"));
    match (is_external(object), external.text().is_empty()) {
        (false, false) => {
            errors.push(external.invalid("may only be set for externally-accessible services"));
        }
        (true, true) => errors.push(external.required("")),
        (true, false) => external.one_of(&["Cluster", "Local"], errors),
        (false, true) => {}
    }
    let port = spec.child("healthCheckNodePort");
    match (needs_health_check_port(object), port.integer().unwrap_or(0)) {
        // The allocator gives one to those who need one and name none.
        (_, 0) => {}
        (false, _) => {
            errors.push(port.invalid(
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            ))
        }
        (true, number) => errors.extend(port.each_invalid(check_port_number(number))),
    }
    if internal.is_set() {
        internal.one_of(&["Cluster", "Local"], errors);
    } else if service_type(object) != "ExternalName" {
        errors.push(internal.required(""));
    }
    let distribution = spec.child("trafficDistribution");
    if distribution.is_set() {
        distribution.one_of(&["PreferClose", "PreferSameNode", "PreferSameZone"], errors);
    }
}
