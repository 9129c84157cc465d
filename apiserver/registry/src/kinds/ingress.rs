//! Ingress: which requests from outside go to which Services.
//!
//! Deliberately absent: the default class, which is admission's, and whoever brings the requests in.
//!
//! Source: `pkg/apis/networking/validation`, `pkg/registry/networking/ingress`, `pkg/printers/internalversion`.

use std::{collections::BTreeSet, net::IpAddr};

use keelson_api_schema::format::{
    check_dns1035_label, check_dns1123_subdomain, check_path_segment_name, check_port_name,
    check_port_number, check_wildcard_dns1123_subdomain,
};
use serde_json::Value;

use super::{
    address::{check_ip, warn_ip},
    workload::{advance, begin, differs},
};
use crate::{
    columns::{AGE, NAME, NONE},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The annotation that named the class before there was a field for it.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// What a path that is compared literally cannot have in it, and at its end.
const BAD_SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_SUFFIXES: [&str; 2] = ["/..", "/."];

/// How many hosts a cell names.
const HOSTS_SHOWN: usize = 3;

/// The columns of Ingresses.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Class", "string", |object, _| {
        object.get(&["spec", "ingressClassName"]).cloned().unwrap_or_else(|| NONE.into())
    }),
    Column::new("Hosts", "string", |object, _| hosts(object).into()),
    Column::new("Address", "string", |object, _| addresses(object).into()),
    Column::new("Ports", "string", |object, _| {
        if object.list(&["spec", "tls"]).is_empty() { "80".into() } else { "80, 443".into() }
    }),
    AGE,
];

fn hosts(object: &Object) -> String {
    let rules = object.list(&["spec", "rules"]);
    let named: Vec<&str> =
        rules.iter().filter_map(|rule| rule["host"].as_str()).filter(|host| !host.is_empty()).collect();
    match named.len() {
        0 => "*".to_owned(),
        shown if shown > HOSTS_SHOWN => {
            format!("{} + {} more...", named[..HOSTS_SHOWN].join(","), rules.len() - HOSTS_SHOWN)
        }
        _ => named.join(","),
    }
}

fn addresses(object: &Object) -> String {
    let points = object.list(&["status", "loadBalancer", "ingress"]).iter();
    let text = |point: &Value, field: &str| point[field].as_str().unwrap_or_default().to_owned();
    let fields = points.flat_map(|point| [text(point, "ip"), text(point, "hostname")]);
    let sorted: BTreeSet<String> = fields.filter(|text| !text.is_empty()).collect();
    sorted.into_iter().collect::<Vec<_>>().join(",")
}

/// The rules of Ingresses.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
        object.set(&["status", "loadBalancer"], Value::Object(serde_json::Map::new()));
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn validate_create(&self, object: &Object) -> Vec<FieldError> {
        let old = Place::at(object, &["metadata", "annotations"]).key(CLASS_ANNOTATION);
        let class = Place::at(object, &["spec", "ingressClassName"]);
        if old.is_set() && class.is_set() && old.text() != class.text() {
            let old = old.shown_as(&format!("annotations.{CLASS_ANNOTATION}"));
            return vec![old.invalid("must match `ingressClassName` when both are specified")];
        }
        Vec::new()
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        let (rules, backend) = (spec.child("rules"), spec.child("defaultBackend"));
        if rules.is_empty() && !backend.is_set() {
            let detail = "either `defaultBackend` or `rules` must be specified";
            errors.push(FieldError::invalid(spec.path(), Value::Null, detail));
        }
        if backend.is_set() {
            check_backend(&backend, &mut errors);
        }
        for rule in rules.items() {
            // Upstream names the first rule, whichever it is.
            check_host(&rule.child("host"), &mut errors);
            let http = rule.child("http").shown_as(&format!("{}[0].http", rules.path()));
            if http.is_set() {
                check_paths(&http.child("paths"), &mut errors);
            }
        }
        spec.child("tls").items().for_each(|tls| check_tls(&tls, &mut errors));
        let class = spec.child("ingressClassName");
        if class.is_set() {
            errors.extend(class.each_invalid(check_dns1123_subdomain(class.text())));
        }
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for point in Place::at(object, &["status", "loadBalancer", "ingress"]).items() {
            let (ip, name) = (point.child("ip"), point.child("hostname"));
            if !ip.text().is_empty() {
                check_ip(&ip, &mut errors);
            }
            if !name.text().is_empty() {
                errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
                no_address(&name, &mut errors);
            }
        }
        errors
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        if old.is_some() {
            return Vec::new();
        }
        let annotated = object.get(&["metadata", "annotations", CLASS_ANNOTATION]).is_some();
        if annotated && object.get(&["spec", "ingressClassName"]).is_none() {
            return vec![format!(
                "annotation {CLASS_ANNOTATION:?} is deprecated, please use 'spec.ingressClassName' instead"
            )];
        }
        Vec::new()
    }

    fn status_warnings(&self, object: &Object) -> Vec<String> {
        let mut warnings = Vec::new();
        let points = Place::at(object, &["status", "loadBalancer", "ingress"]);
        points.items().for_each(|point| warn_ip(&point.child("ip"), &mut warnings));
        warnings
    }
}

fn no_address(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.text().parse::<IpAddr>().is_ok() {
        errors.push(name.invalid("must be a DNS name, not an IP address"));
    }
}

fn check_host(host: &Place<'_>, errors: &mut Vec<FieldError>) {
    if host.text().is_empty() {
        return;
    }
    no_address(host, errors);
    errors.extend(host.each_invalid(check_name(host.text())));
}

/// A name of a host, or of all hosts of a domain.
fn check_name(host: &str) -> Vec<String> {
    if host.contains('*') { check_wildcard_dns1123_subdomain(host) } else { check_dns1123_subdomain(host) }
}

fn check_tls(tls: &Place<'_>, errors: &mut Vec<FieldError>) {
    for host in tls.child("hosts").items() {
        errors.extend(host.each_invalid(check_name(host.text())));
    }
    let secret = tls.child("secretName");
    if !secret.text().is_empty() {
        errors.extend(secret.each_invalid(check_dns1123_subdomain(secret.text())));
    }
}

fn check_paths(paths: &Place<'_>, errors: &mut Vec<FieldError>) {
    if paths.is_empty() {
        errors.push(paths.required(""));
    }
    for item in paths.items() {
        let (kind, path) = (item.child("pathType"), item.child("path"));
        match kind.text() {
            "" => {
                errors.push(kind.required("pathType must be specified"));
                continue;
            }
            "Exact" | "Prefix" => check_literal(&path, errors),
            "ImplementationSpecific" => {
                if !path.text().is_empty() && !path.text().starts_with('/') {
                    errors.push(path.invalid("must be an absolute path"));
                }
            }
            _ => errors.push(kind.not_supported(&["Exact", "ImplementationSpecific", "Prefix"])),
        }
        check_backend(&item.child("backend"), errors);
    }
}

fn check_literal(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    let text = path.text();
    if !text.starts_with('/') {
        errors.push(path.invalid("must be an absolute path"));
    }
    let inside = BAD_SEQUENCES.iter().filter(|bad| text.contains(**bad));
    errors.extend(inside.map(|bad| path.invalid(format!("must not contain '{bad}'"))));
    let at_end = BAD_SUFFIXES.iter().filter(|bad| text.ends_with(**bad));
    errors.extend(at_end.map(|bad| path.invalid(format!("cannot end with '{bad}'"))));
}

fn check_backend(backend: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (resource, service) = (backend.child("resource"), backend.child("service"));
    let wrong = |detail: &str| FieldError::invalid(backend.path(), "", detail);
    match (resource.is_set(), service.is_set()) {
        (true, true) => errors.push(wrong("cannot set both resource and service backends")),
        (true, false) => check_reference(&resource, errors),
        (false, true) => check_service(&service, backend, errors),
        (false, false) => errors.push(wrong("resource or service backend is required")),
    }
}

fn check_service(service: &Place<'_>, backend: &Place<'_>, errors: &mut Vec<FieldError>) {
    let name = service.child("name");
    match name.text() {
        "" => errors.push(name.required("")),
        text => errors.extend(name.each_invalid(check_dns1035_label(text))),
    }
    let (name, number) = (service.child("port").child("name"), service.child("port").child("number"));
    match (name.text(), number.integer().unwrap_or(0)) {
        ("", 0) => errors.push(backend.required("port name or number is required")),
        ("", port) => errors.extend(number.each_invalid(check_port_number(port))),
        (text, 0) => errors.extend(name.each_invalid(check_port_name(text))),
        _ => errors.push(FieldError::invalid(backend.path(), "", "cannot set both port name & port number")),
    }
}

/// A reference to an object of some kind in the same namespace.
pub(super) fn check_reference(reference: &Place<'_>, errors: &mut Vec<FieldError>) {
    let group = reference.child("apiGroup");
    if group.is_set() {
        errors.extend(group.each_invalid(check_dns1123_subdomain(group.text())));
    }
    for field in ["kind", "name"] {
        let place = reference.child(field);
        match place.text() {
            "" => errors.push(place.required(format!("{field} is required"))),
            text => errors.extend(place.each_invalid(check_path_segment_name(text))),
        }
    }
}

#[cfg(test)]
mod tests;
