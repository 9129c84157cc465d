//! Known-bad workspaces: each rule must find its own.

use serde_json::{Value, json};

use super::*;

/// A workspace whose packages have the given dependencies (name, kind), and foreign packages with the given ones.
fn workspace(own: &[(&str, &[(&str, Value)])], foreign: &[(&str, &[&str])]) -> Metadata {
    let package = |name: &str, dependencies: Vec<(String, Value)>| {
        let dependencies: Vec<Value> =
            dependencies.into_iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
        json!({"id": name, "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "dependencies": dependencies})
    };
    let own: Vec<(&str, Vec<(String, Value)>)> = own
        .iter()
        .map(|(name, of)| (*name, of.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect()))
        .collect();
    let foreign: Vec<(&str, Vec<(String, Value)>)> = foreign
        .iter()
        .map(|(name, of)| (*name, of.iter().map(|name| ((*name).to_owned(), Value::Null)).collect()))
        .collect();
    let all: Vec<_> = own.iter().chain(&foreign).cloned().collect();
    let node = |(name, of): &(&str, Vec<(String, Value)>)| {
        let deps: Vec<Value> =
            of.iter().map(|(name, kind)| json!({"pkg": name, "dep_kinds": [{"kind": kind}]})).collect();
        json!({"id": name, "deps": deps})
    };
    let members: Vec<&str> = own.iter().map(|(name, _)| *name).collect();
    serde_json::from_value(json!({
        "packages": all.iter().map(|(name, of)| package(name, of.clone())).collect::<Vec<_>>(),
        "workspace_members": members,
        "workspace_root": "/w",
        "resolve": {"nodes": all.iter().map(node).collect::<Vec<_>>()},
    }))
    .unwrap()
}

fn messages(metadata: &Metadata) -> Vec<String> {
    check(metadata).iter().map(ToString::to_string).collect()
}

#[test]
fn allowed_edges_are_no_problem() {
    let metadata = workspace(
        &[
            ("keelson-proto", &[("tonic", Value::Null)]),
            ("keelson-store-core", &[("bytes", Value::Null), ("proptest", json!("dev"))]),
            ("keelson-store", &[("keelson-proto", Value::Null), ("keelson-store-core", Value::Null)]),
            ("keelson", &[("keelson-store", Value::Null)]),
        ],
        &[("bytes", &[]), ("tonic", &["tokio"]), ("proptest", &["rand"])],
    );
    assert_eq!(messages(&metadata), [""; 0]);
}

#[test]
fn an_edge_up_the_layers_is_found() {
    let metadata =
        workspace(&[("keelson-store", &[]), ("keelson-proto", &[("keelson-store", Value::Null)])], &[]);
    assert_eq!(
        messages(&metadata),
        ["keelson-proto/Cargo.toml:1: keelson-proto may not depend on keelson-store: see LAYERS"]
    );
}

#[test]
fn a_pure_crate_that_gains_a_dependency_is_found() {
    let metadata = workspace(&[("keelson-store-core", &[("tokio", Value::Null)])], &[("tokio", &[])]);
    let found = messages(&metadata);
    assert!(found[0].contains("may not depend on tokio"), "{found:?}");
    let behind = workspace(
        &[("keelson-store-core", &[("bytes", Value::Null)])],
        &[("bytes", &["rand"]), ("rand", &[])],
    );
    assert!(messages(&behind)[0].contains("is pure, but rand is among"));
}

#[test]
fn the_engine_is_known_to_one_crate() {
    let metadata = workspace(&[("keelson-store", &[("rocksdb", Value::Null)])], &[("rocksdb", &[])]);
    assert!(messages(&metadata)[0].contains("keelson-store may not depend on rocksdb"));
}

#[test]
fn a_package_without_a_row_is_found() {
    let metadata = workspace(&[("keelson-new", &[])], &[]);
    assert!(messages(&metadata)[0].starts_with("keelson-new/Cargo.toml:1: no row in LAYERS"));
}
