//! The objects are well formed, refer to each other, and reconcile.

use std::collections::BTreeSet;

use keelson_api_schema::{builtin, decode_value};

use super::*;

fn all() -> Vec<Object> {
    [cluster_roles(), cluster_role_bindings(), roles(), role_bindings()].concat()
}

fn find<'o>(objects: &'o [Object], name: &str) -> &'o Object {
    objects.iter().find(|object| object.name() == name).unwrap_or_else(|| panic!("{name} exists"))
}

#[test]
fn objects_are_what_the_schema_says() {
    for object in all() {
        let kind = object.text(&["kind"]).to_owned();
        let ty = builtin().lookup_kind(GROUP, "v1", &kind).unwrap();
        let decoded = decode_value(builtin(), ty, object.0.clone()).unwrap();
        let strict = keelson_api_schema::FieldValidation::Strict;
        decoded.enforce(strict).unwrap_or_else(|error| panic!("{}: {error}", object.name()));
    }
}

#[test]
fn names_are_unique_and_bindings_refer_to_roles() {
    let mut seen = BTreeSet::new();
    for object in all() {
        assert!(
            seen.insert((object.text(&["kind"]).to_owned(), object.name().to_owned())),
            "{}",
            object.name()
        );
    }
    for binding in [cluster_role_bindings(), role_bindings()].concat() {
        let role =
            (binding.text(&["roleRef", "kind"]).to_owned(), binding.text(&["roleRef", "name"]).to_owned());
        assert!(seen.contains(&role), "{role:?}");
    }
}

#[test]
fn the_controllers_of_the_control_plane_have_roles_and_accounts() {
    let bindings = cluster_role_bindings();
    for name in [
        "namespace-controller",
        "service-account-controller",
        "root-ca-cert-publisher",
        "generic-garbage-collector",
        "replicaset-controller",
        "deployment-controller",
        "job-controller",
        "endpoint-controller",
        "endpointslice-controller",
        "node-controller",
    ] {
        let binding = find(&bindings, &format!("system:controller:{name}"));
        let subject = json!([{"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}]);
        assert_eq!(binding.0["subjects"], subject);
    }
}

#[test]
fn aggregated_roles_hold_from_the_start() {
    let roles = cluster_roles();
    let count = |name: &str| find(&roles, name).list(&["rules"]).len();
    assert_eq!(count("edit"), count("view") + count("system:aggregate-to-edit"));
    assert_eq!(count("admin"), count("edit") + count("system:aggregate-to-admin"));
    let view = find(&roles, "view");
    let label = "rbac.authorization.k8s.io/aggregate-to-edit";
    assert_eq!(view.text(&["metadata", "labels", label]), "true");
    let reads_secrets = |role: &Object| {
        role.list(&["rules"]).iter().any(|rule| rule["resources"].to_string().contains("\"secrets\""))
    };
    assert!(!reads_secrets(view));
    assert!(reads_secrets(find(&roles, "edit")));
}

#[test]
fn what_is_missing_is_added_and_nothing_taken_away() {
    let wanted = find(&cluster_roles(), "system:kube-dns").clone();
    assert_eq!(reconciled(&wanted, &wanted), None);

    let mut poorer = wanted.clone();
    let own = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
    let reordered =
        json!({"verbs": ["watch", "list"], "apiGroups": [""], "resources": ["services", "endpoints"]});
    poorer.set(&["rules"], json!([own, reordered]));
    poorer.remove(&["metadata", "labels"]);
    let repaired = reconciled(&poorer, &wanted).unwrap();
    assert_eq!(repaired.0["rules"], json!([own, reordered, wanted.0["rules"][1]]));
    assert_eq!(repaired.labels(), wanted.labels());

    poorer.set(&["metadata", "annotations", AUTO_UPDATE], "false");
    assert_eq!(reconciled(&poorer, &wanted), None);
}

#[test]
fn bindings_get_their_subjects_and_role_back() {
    let wanted = find(&cluster_role_bindings(), "system:public-info-viewer").clone();
    let mut other = wanted.clone();
    other.set(&["subjects"], json!([{"kind": "User", "apiGroup": GROUP, "name": "alice"}]));
    other.set(&["roleRef", "name"], "view");
    let repaired = reconciled(&other, &wanted).unwrap();
    assert_eq!(repaired.list(&["subjects"]).len(), 3);
    assert_eq!(repaired.0["roleRef"], wanted.0["roleRef"]);
}
