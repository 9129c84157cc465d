//! What an Ingress may say, what of it may change, and how its row looks.

use serde_json::json;
use time::OffsetDateTime;

use super::*;
use crate::field::texts;

fn ingress(spec: &Value) -> Object {
    let mut object = Object(json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}));
    Rules.prepare_create(&mut object);
    object
}

fn backend() -> Value {
    json!({"service": {"name": "web", "port": {"number": 80}}})
}

fn rule(path: &Value) -> Value {
    json!({"rules": [{"host": "a.example.com", "http": {"paths": [path]}}]})
}

#[test]
fn backends_are_services_or_resources_and_paths_are_absolute() {
    let path = |kind: &str, path: &str| rule(&json!({"pathType": kind, "path": path, "backend": backend()}));
    for good in [
        json!({ "defaultBackend": backend() }),
        json!({"defaultBackend": {"resource": {"apiGroup": "k.example.com", "kind": "Bucket", "name": "b"}}}),
        path("Prefix", "/shop"),
        path("ImplementationSpecific", ""),
    ] {
        assert_eq!(texts(&Rules.validate(&ingress(&good))), [""; 0], "{good}");
    }
    let cases = [
        (json!({}), "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
        (
            json!({"defaultBackend": {}}),
            "spec.defaultBackend: Invalid value: \"\": resource or service backend is required",
        ),
        (
            json!({"defaultBackend": {"service": {"name": "web"}}}),
            "spec.defaultBackend: Required value: port name or number is required",
        ),
        (
            path("Exact", "shop"),
            "spec.rules[0].http.paths[0].path: Invalid value: \"shop\": must be an absolute path",
        ),
        (
            path("Prefix", "/a//b"),
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'",
        ),
        (
            path("Prefix", "/a/.."),
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a/..\": cannot end with '/..'",
        ),
        (
            path("Regex", "/a"),
            "spec.rules[0].http.paths[0].pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"",
        ),
        (
            rule(&json!({ "backend": backend() })),
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
        ),
        (
            json!({"rules": [{"host": "10.0.0.1"}]}),
            "spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address",
        ),
    ];
    for (spec, text) in cases {
        assert_eq!(texts(&Rules.validate(&ingress(&spec))), [text]);
    }
}

#[test]
fn the_annotation_and_the_field_name_the_same_class() {
    let mut object = ingress(&json!({"defaultBackend": backend(), "ingressClassName": "a"}));
    object.set(&["metadata", "annotations", CLASS_ANNOTATION], "b");
    assert_eq!(
        texts(&Rules.validate_create(&object)),
        [
            "annotations.kubernetes.io/ingress.class: Invalid value: \"b\": must match `ingressClassName` when both are specified"
        ]
    );
    assert_eq!(Rules.warnings(&object, None), [""; 0]);
    object.remove(&["spec", "ingressClassName"]);
    assert_eq!(Rules.validate_create(&object), []);
    assert_eq!(Rules.warnings(&object, None).len(), 1);
}

#[test]
fn the_generation_counts_specs_and_the_status_is_the_controllers() {
    let old = ingress(&json!({ "defaultBackend": backend() }));
    let mut new =
        ingress(&json!({"defaultBackend": {"service": {"name": "other", "port": {"name": "http"}}}}));
    new.set(&["status", "loadBalancer", "ingress"], json!([{"ip": "192.0.2.1"}]));
    Rules.prepare_update(&mut new, &old);
    assert_eq!((old.generation(), new.generation()), (1, 2));
    assert_eq!(new.0["status"], json!({"loadBalancer": {}}));
    new.set(&["status", "loadBalancer", "ingress"], json!([{"ip": "x", "hostname": "192.0.2.1"}]));
    assert_eq!(Rules.validate_status_update(&new, &old).len(), 2);
}

#[test]
fn rows_are_upstreams() {
    let hosts: Vec<Value> = ["a", "b", "c", "d", "e"].iter().map(|host| json!({ "host": host })).collect();
    let mut object = ingress(&json!({"rules": hosts, "tls": [{"hosts": ["a"]}]}));
    object
        .set(&["status", "loadBalancer", "ingress"], json!([{"ip": "192.0.2.1"}, {"hostname": "b.example"}]));
    let row = |object: &Object| -> Vec<Value> {
        COLUMNS[1..5].iter().map(|column| (column.cell)(object, OffsetDateTime::UNIX_EPOCH)).collect()
    };
    assert_eq!(row(&object), ["<none>", "a,b,c + 2 more...", "192.0.2.1,b.example", "80, 443"]);
    let plain = ingress(&json!({"defaultBackend": backend(), "ingressClassName": "edge"}));
    assert_eq!(row(&plain), ["edge", "*", "", "80"]);
}

#[test]
fn of_a_change_nobody_is_warned() {
    let object = Object(json!({"metadata": {"annotations": {CLASS_ANNOTATION: "x"}}}));
    assert_eq!(
        Rules.warnings(&object, None),
        [
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
        ]
    );
    assert_eq!(Rules.warnings(&object, Some(&object)), [""; 0]);
}

#[test]
fn unusual_addresses_of_balancers_are_warned_of() {
    let points = json!([{"ip": "10.0.0.1"}, {"hostname": "a"}, {"ip": "FD00::1"}]);
    let what = "IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")";
    assert_eq!(
        Rules.status_warnings(&Object(json!({"status": {"loadBalancer": {"ingress": points}}}))),
        [format!("status.loadBalancer.ingress[2].ip: {what}")]
    );
}
