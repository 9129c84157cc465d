//! Roles and bindings as they become a policy.

use serde_json::json;

use super::*;
use crate::authz::attributes::ResourceAttributes;

fn policy() -> Policy {
    let reader = json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]);
    let metrics = json!([{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]);
    let role = |name: &str, namespace: &str, rules: &Value| {
        let role = json!({"metadata": {"name": name, "namespace": namespace}, "rules": rules});
        Arc::new(Role::parse(&role))
    };
    let roles = [role("reader", "", &reader), role("local", "shop", &reader), role("metrics", "", &metrics)];
    let binding = |name: &str, namespace: &str, kind: &str, role: &str, subject: Value| {
        Binding::parse(&json!({
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [subject],
        }))
    };
    let bindings = [
        binding("all", "", "ClusterRole", "reader", json!({"kind": "User", "name": "root"})),
        binding("ops", "", "ClusterRole", "metrics", json!({"kind": "Group", "name": "ops"})),
        binding("a", "shop", "ClusterRole", "reader", json!({"kind": "Group", "name": "shopkeepers"})),
        binding("b", "shop", "Role", "local", json!({"kind": "ServiceAccount", "name": "till"})),
        binding("c", "shop", "Role", "gone", json!({"kind": "User", "name": "jane"})),
    ];
    Policy::new(roles, &bindings)
}

fn user(name: &str, groups: &[&str]) -> User {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    User { name: name.to_owned(), groups, ..User::default() }
}

fn list_pods(namespace: &str) -> Attributes<'_> {
    let object = Object::Resource(ResourceAttributes { resource: "pods", namespace, ..Default::default() });
    Attributes { verb: "list", object }
}

#[test]
fn bindings_hold_for_whom_and_where_they_say() {
    let till = "system:serviceaccount:shop:till";
    let metrics = Attributes { verb: "get", object: Object::Path("/metrics") };
    let cases = [
        (user("root", &[]), list_pods(""), true),
        (user("root", &[]), list_pods("elsewhere"), true),
        (user("jane", &["shopkeepers"]), list_pods("shop"), true),
        (user("jane", &["shopkeepers"]), list_pods("elsewhere"), false),
        (user("jane", &["shopkeepers"]), list_pods(""), false),
        (user("jane", &[]), list_pods("shop"), false),
        (user(till, &[]), list_pods("shop"), true),
        (user(till, &[]), list_pods(""), false),
        (user("jane", &["ops"]), metrics.clone(), true),
        (user("ops", &[]), metrics, false),
        // A group of that name is not a user of that name.
        (user("jane", &["root"]), list_pods(""), false),
    ];
    for (user, asked, allowed) in cases {
        let decision = policy().decide(&user, &asked);
        assert_eq!(matches!(decision, Decision::Allowed { .. }), allowed, "{user:?} {asked:?}");
    }
}

#[test]
fn reasons_name_the_binding_or_the_missing_role() {
    let allowed = |user: User, asked| match policy().decide(&user, &asked) {
        Decision::Allowed { reason } => reason,
        Decision::Denied { reason } => panic!("denied: {reason}"),
    };
    assert_eq!(
        allowed(user("root", &[]), list_pods("")),
        r#"RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "reader" to User "root""#
    );
    assert_eq!(
        allowed(user("system:serviceaccount:shop:till", &[]), list_pods("shop")),
        r#"RBAC: allowed by RoleBinding "b/shop" of Role "local" to ServiceAccount "till/shop""#
    );
    let reason = r#"RBAC: role.rbac.authorization.k8s.io "gone" not found"#.to_owned();
    assert_eq!(policy().decide(&user("jane", &[]), &list_pods("shop")), Decision::Denied { reason });
}

#[test]
fn the_rules_of_a_user_are_those_of_all_scopes_that_hold() {
    let policy = policy();
    let jane = user("jane", &["ops", "shopkeepers"]);
    assert_eq!(policy.rules_for(&jane, "shop").0.len(), 2);
    assert_eq!(policy.rules_for(&jane, "").0.len(), 1);
}
