//! Namespaces for tests.

use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

/// A namespace in this phase, with its deletion time if that is `Terminating`.
pub(crate) fn namespace(name: &str, phase: &str) -> Namespace {
    let deleted = (phase == "Terminating").then_some("2020-01-01T00:00:00Z");
    let value: Value = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": "5", "deletionTimestamp": deleted},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": phase},
    });
    serde_json::from_value(value).expect("this is a namespace")
}
