//! The roles and bindings that every cluster begins with.
//!
//! In: nothing, or an object as it is in the cluster. Out: the objects as they are meant to be, and what has to be
//! added to one that has lost something.
//!
//! Names and rules are upstream's, so that components, manifests and habits made for upstream work; but rules for groups
//! that no longer exist are left out. Nobody is bound to `system:node`: what nodes may do is decided by what runs on them.
//!
//! Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy` of Kubernetes.

mod certificates;
mod components;
mod controllers;
mod namespaced;
mod users;

use serde_json::{Map, Value, json};

use crate::object::Object;

/// The annotation by which an operator keeps an object from being reconciled: `"false"`.
pub const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

const GROUP: &str = "rbac.authorization.k8s.io";

/// To look at something.
const READ: &str = "get list watch";

/// To change something.
const WRITE: &str = "create delete deletecollection patch update";

/// To do anything ordinary with something.
const READ_WRITE: &str = "create delete deletecollection get list patch update watch";

/// To tell what happens.
const EVENTS: Rule = Rule::new("create patch update", "core events.k8s.io", "events");

/// A role before it is an object.
struct Role {
    name: &'static str,
    rules: &'static [Rule],
}

/// A rule before it is an object. Texts are lists separated by spaces; `core` is the core group.
struct Rule {
    verbs: &'static str,
    groups: &'static str,
    resources: &'static str,
    names: &'static str,
    paths: &'static str,
}

impl Rule {
    /// May do these things to these resources.
    const fn new(verbs: &'static str, groups: &'static str, resources: &'static str) -> Self {
        Self { verbs, groups, resources, names: "", paths: "" }
    }

    /// The same, but only to objects of these names.
    const fn named(self, names: &'static str) -> Self {
        Self { names, ..self }
    }

    /// May do these things to these paths that are no resources.
    const fn paths(verbs: &'static str, paths: &'static str) -> Self {
        Self { verbs, groups: "", resources: "", names: "", paths }
    }

    fn value(&self) -> Value {
        let mut rule = Map::new();
        let groups = words(self.groups).into_iter().map(|group| if group == "core" { "" } else { group });
        let fields = [
            ("verbs", words(self.verbs)),
            ("apiGroups", groups.collect()),
            ("resources", words(self.resources)),
            ("resourceNames", words(self.names)),
            ("nonResourceURLs", words(self.paths)),
        ];
        for (name, values) in fields {
            if !values.is_empty() {
                rule.insert(name.to_owned(), values.into());
            }
        }
        rule.into()
    }
}

/// Who a binding is for.
#[derive(Clone, Copy)]
enum Subject {
    User(&'static str),
    Group(&'static str),
    /// A service account of `kube-system`.
    ServiceAccount(&'static str),
}

impl Subject {
    fn value(self) -> Value {
        match self {
            Self::User(name) => json!({"kind": "User", "apiGroup": GROUP, "name": name}),
            Self::Group(name) => json!({"kind": "Group", "apiGroup": GROUP, "name": name}),
            Self::ServiceAccount(name) => {
                json!({"kind": "ServiceAccount", "name": name, "namespace": "kube-system"})
            }
        }
    }
}

/// The ClusterRoles.
pub fn cluster_roles() -> Vec<Object> {
    let plain =
        users::ROLES.iter().chain(certificates::ROLES).chain(components::ROLES).chain(controllers::ROLES);
    let plain = plain.map(|role| object("ClusterRole", "", role.name, &json!({"rules": rules(role.rules)})));
    plain.chain(users::aggregated()).collect()
}

/// The ClusterRoleBindings.
pub fn cluster_role_bindings() -> Vec<Object> {
    let given = users::BINDINGS.iter().chain(certificates::BINDINGS).chain(components::BINDINGS);
    let given = given.map(|(role, subjects)| binding("", role, "ClusterRole", role, subjects));
    let own = controllers::ROLES.iter().map(|role| {
        let account = role.name.trim_start_matches(controllers::PREFIX);
        binding("", role.name, "ClusterRole", role.name, &[Subject::ServiceAccount(account)])
    });
    given.chain(own).collect()
}

/// The rules of what every node may do, as far as that does not depend on what runs on it.
pub fn node_rules() -> Vec<Value> {
    rules(components::NODE)
}

/// The Roles, each in its namespace.
pub fn roles() -> Vec<Object> {
    let roles = namespaced::ROLES.iter();
    roles
        .map(|role| object("Role", namespaced::NAMESPACE, role.name, &json!({"rules": rules(role.rules)})))
        .collect()
}

/// The RoleBindings, each in its namespace.
pub fn role_bindings() -> Vec<Object> {
    let bindings = namespaced::BINDINGS.iter();
    bindings
        .map(|(name, role, subjects)| binding(namespaced::NAMESPACE, name, "Role", role, subjects))
        .collect()
}

/// What `existing` becomes so that it has everything that `wanted` has: rules, subjects, labels, annotations.
/// Nothing is taken away. `None` when nothing is missing, or when the operator has said to leave it alone.
///
/// A binding to another role gets the wanted role: the field cannot change through the API, so somebody has
/// deleted the binding and made another one under a name that is reserved.
pub fn reconciled(existing: &Object, wanted: &Object) -> Option<Object> {
    if existing.text(&["metadata", "annotations", AUTO_UPDATE]) == "false" {
        return None;
    }
    let mut result = existing.clone();
    for field in ["labels", "annotations"] {
        for (key, value) in wanted.map(&["metadata", field]).into_iter().flatten() {
            if existing.get(&["metadata", field, key]).is_none() {
                result.set(&["metadata", field, key], value.clone());
            }
        }
    }
    for field in ["rules", "subjects"] {
        let present = existing.list(&[field]);
        let missing: Vec<Value> =
            wanted.list(&[field]).iter().filter(|item| !contains(present, item)).cloned().collect();
        if !missing.is_empty() {
            result.set(&[field], [present, &missing].concat());
        }
    }
    for field in ["roleRef", "aggregationRule"] {
        if let Some(value) = wanted.get(&[field]) {
            result.set(&[field], value.clone());
        }
    }
    (result != *existing).then_some(result)
}

/// Whether a rule or a subject is in a list, whatever the order of the words in it.
fn contains(list: &[Value], wanted: &Value) -> bool {
    list.iter().any(|item| sorted(item) == sorted(wanted))
}

fn sorted(item: &Value) -> Value {
    let sort = |value: &Value| match value {
        Value::Array(words) => {
            let mut words = words.clone();
            words.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            Value::Array(words)
        }
        other => other.clone(),
    };
    match item {
        Value::Object(fields) => {
            let present = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(present.map(|(name, value)| (name.clone(), sort(value))).collect())
        }
        other => other.clone(),
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn rules(rules: &[Rule]) -> Vec<Value> {
    rules.iter().map(Rule::value).collect()
}

fn binding(namespace: &str, name: &str, role_kind: &str, role: &str, subjects: &[Subject]) -> Object {
    let subjects: Vec<Value> = subjects.iter().map(|subject| subject.value()).collect();
    let mut content = json!({"roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role}});
    if !subjects.is_empty() {
        content["subjects"] = subjects.into();
    }
    object(&format!("{role_kind}Binding"), namespace, name, &content)
}

/// An object with the marks of a bootstrapped one.
fn object(kind: &str, namespace: &str, name: &str, content: &Value) -> Object {
    let mut object = Object(json!({
        "kind": kind,
        "apiVersion": format!("{GROUP}/v1"),
        "metadata": {"name": name},
    }));
    if !namespace.is_empty() {
        object.set(&["metadata", "namespace"], namespace);
    }
    object.set(&["metadata", "labels", "kubernetes.io/bootstrapping"], "rbac-defaults");
    object.set(&["metadata", "annotations", AUTO_UPDATE], "true");
    for (field, value) in content.as_object().into_iter().flatten() {
        object.set(&[field], value.clone());
    }
    object
}

#[cfg(test)]
mod tests;
