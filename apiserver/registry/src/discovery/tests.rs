//! Documents as upstream writes them.

use super::*;
use crate::resources::{Scope, find};

fn content(path: &str, form: Form) -> Value {
    let (document, _) = builtin().document(path, form).unwrap_or_else(|| panic!("{path} exists"));
    serde_json::from_slice(&document.body).unwrap()
}

#[test]
fn core_version_and_resources() {
    assert_eq!(content("/api", Form::Plain)["versions"], json!(["v1"]));
    let list = content("/api/v1/", Form::Plain);
    assert_eq!(list["groupVersion"], "v1");
    let resources = list["resources"].as_array().unwrap();
    let configmaps = resources.iter().find(|entry| entry["name"] == "configmaps").unwrap();
    assert_eq!(
        *configmaps,
        json!({
            "name": "configmaps",
            "singularName": "configmap",
            "namespaced": true,
            "kind": "ConfigMap",
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            "shortNames": ["cm"],
            "storageVersionHash": "qFsyl6wFWjQ=",
        })
    );
    let names: Vec<&str> = resources.iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
}

/// A resource with everything, so that the test does not depend on what the table has.
fn example() -> ResourceInfo {
    ResourceInfo {
        group: "apps",
        version: "v1",
        kind: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short_names: &["deploy"],
        categories: &["all"],
        scope: Scope::Namespaced,
        verbs: &[Verb::Get, Verb::Create],
        subresources: &[Subresource {
            name: "scale",
            group_version: Some(("autoscaling", "v1")),
            kind: "Scale",
            verbs: &[Verb::Update, Verb::Get],
        }],
        storage: Storage::Stored("deployments"),
        columns: &[],
        selectable: &[],
        strategy: &crate::strategy::Plain,
    }
}

#[test]
fn named_groups_and_subresources() {
    let discovery = Discovery::of(&[&example()]);
    let read = |path: &str, form| -> Value {
        serde_json::from_slice(&discovery.document(path, form).unwrap().0.body).unwrap()
    };
    let version = json!({"groupVersion": "apps/v1", "version": "v1"});
    assert_eq!(
        read("/apis/apps", Form::Plain),
        json!({
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": "apps",
            "versions": [version],
            "preferredVersion": version,
        })
    );
    assert_eq!(
        read("/apis/apps/v1", Form::Plain)["resources"][1],
        json!({
            "name": "deployments/scale",
            "singularName": "",
            "namespaced": true,
            "group": "autoscaling",
            "version": "v1",
            "kind": "Scale",
            "verbs": ["get", "update"],
        })
    );
    let item = &read("/apis", Form::Aggregated)["items"][0];
    assert_eq!(item["metadata"]["name"], "apps");
    assert_eq!(
        item["versions"][0]["resources"][0],
        json!({
            "resource": "deployments",
            "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "scope": "Namespaced",
            "singularResource": "deployment",
            "verbs": ["create", "get"],
            "shortNames": ["deploy"],
            "categories": ["all"],
            "subresources": [{
                "subresource": "scale",
                "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                "verbs": ["get", "update"],
            }],
        })
    );
    assert!(discovery.document("/apis/batch", Form::Plain).is_none());
}

#[test]
fn aggregated_documents_exist_at_the_two_roots_only() {
    let (aggregated, _) = builtin().document("/api", Form::Aggregated).unwrap();
    assert_eq!(aggregated.media_type, AGGREGATED);
    assert_eq!(builtin().document("/api/v1", Form::Aggregated).unwrap().0.media_type, JSON);
    assert_eq!(content("/api", Form::Aggregated)["kind"], "APIGroupDiscoveryList");
}

#[test]
fn the_table_is_told_whole() {
    for resource in RESOURCES {
        let root = if resource.group.is_empty() { "/api" } else { "/apis" };
        let list = content(&format!("{root}/{}", resource.api_version()), Form::Plain);
        let entries = list["resources"].as_array().unwrap();
        assert!(entries.iter().any(|entry| entry["name"] == resource.plural), "{}", resource.qualified());
    }
    assert!(find("", "v1", "configmaps").is_some());
}

#[test]
fn etags_depend_on_the_content_alone() {
    let again = Discovery::of(&RESOURCES.iter().collect::<Vec<_>>());
    for path in ["/api", "/apis", "/api/v1"] {
        let etag = |discovery: &Discovery| discovery.document(path, Form::Plain).unwrap().0.etag();
        assert_eq!(etag(&again), etag(builtin()));
    }
    let fewer = Discovery::of(&[&example()]);
    let etag = |discovery: &Discovery| discovery.document("/apis", Form::Aggregated).unwrap().0.etag();
    assert_ne!(etag(&fewer), etag(builtin()));
}

#[test]
fn the_accept_header_chooses_the_form() {
    let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    let in_protobuf = v2.replace("json", "vnd.kubernetes.protobuf");
    let kubectl = format!("{v2},{v2beta1},application/json");
    let cases = [
        (Some(kubectl.as_str()), Some((Form::Aggregated, Encoding::Json))),
        (Some("application/json"), Some((Form::Plain, Encoding::Json))),
        (Some("application/json, */*"), Some((Form::Plain, Encoding::Json))),
        (Some(v2beta1), Some((Form::Plain, Encoding::Json))),
        (Some("application/yaml"), Some((Form::Plain, Encoding::Yaml))),
        (Some(in_protobuf.as_str()), Some((Form::Aggregated, Encoding::Protobuf))),
        (None, Some((Form::Plain, Encoding::Json))),
        (Some(""), Some((Form::Plain, Encoding::Json))),
        (Some("application/cbor"), None),
    ];
    for (accept, form) in cases {
        assert_eq!(Form::accepted(accept), form, "{accept:?}");
    }
}
