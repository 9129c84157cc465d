//! All roles and bindings, indexed by who they are for. Pure.
//!
//! In: Role, ClusterRole, RoleBinding and ClusterRoleBinding objects. Out: decisions, and the rules that hold
//! for a user. A binding costs nothing to those whom it does not name.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::{attributes::Attributes, attributes::Object, rbac::Rule};
use crate::authn::User;

/// What RBAC says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule allows it; which one is the reason, for reviews.
    Allowed {
        /// `RBAC: allowed by …`.
        reason: String,
    },
    /// No rule allows it.
    Denied {
        /// What stands in the way of knowing more: roles that bindings name and that do not exist.
        reason: String,
    },
}

/// A Role's or ClusterRole's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleName {
    /// Empty for a ClusterRole.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A Role or ClusterRole.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// What it allows.
    pub rules: Vec<Rule>,
}

/// A RoleBinding or ClusterRoleBinding.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Empty for a ClusterRoleBinding.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it gives.
    pub role: RoleName,
    /// To whom.
    pub subjects: Vec<Subject>,
}

/// Whom a binding names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user, or a service account.
    User {
        /// The name under which the user is authenticated.
        name: String,
        /// `User "jane"`, `ServiceAccount "default/shop"`.
        description: String,
    },
    /// All members of a group.
    Group(String),
}

/// All roles and bindings.
#[derive(Debug, Default)]
pub struct Policy {
    roles: HashMap<RoleName, Arc<Role>>,
    cluster: Grants,
    namespaces: HashMap<String, Grants>,
}

/// Bindings of one scope, by whom they name.
#[derive(Debug, Default)]
struct Grants {
    users: HashMap<String, Vec<Grant>>,
    groups: HashMap<String, Vec<Grant>>,
}

/// One subject of one binding.
#[derive(Debug)]
struct Grant {
    /// `ClusterRoleBinding "x" of ClusterRole "y" to Group "z"`.
    description: String,
    role: Result<Arc<Role>, Missing>,
}

/// What upstream says of a role that a binding names and that does not exist.
#[derive(Clone, Debug)]
struct Missing(String);

impl Role {
    /// Reads a Role or ClusterRole.
    pub fn parse(role: &Value) -> Self {
        let metadata = &role["metadata"];
        let name = RoleName { namespace: text(&metadata["namespace"]), name: text(&metadata["name"]) };
        Self { name, rules: Rule::parse_all(role) }
    }
}

impl Binding {
    /// Reads a RoleBinding or ClusterRoleBinding.
    pub fn parse(binding: &Value) -> Self {
        let namespace = text(&binding["metadata"]["namespace"]);
        let role = RoleName::of_reference(&binding["roleRef"], &namespace);
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        let subjects = subjects.filter_map(|subject| Subject::parse(subject, &namespace)).collect();
        Self { namespace, name: text(&binding["metadata"]["name"]), role, subjects }
    }

    fn description(&self, subject: &Subject) -> String {
        let (binding, name) = match self.namespace.as_str() {
            "" => ("ClusterRoleBinding", self.name.clone()),
            namespace => ("RoleBinding", format!("{}/{namespace}", self.name)),
        };
        let role = &self.role;
        format!("{binding} {name:?} of {} {:?} to {}", role.kind(), role.name, subject.description())
    }
}

impl RoleName {
    /// The role that a `roleRef` names in a binding of that namespace.
    pub fn of_reference(reference: &Value, namespace: &str) -> Self {
        let namespace = if reference["kind"] == "Role" { namespace } else { "" };
        Self { namespace: namespace.to_owned(), name: text(&reference["name"]) }
    }

    fn kind(&self) -> &'static str {
        if self.namespace.is_empty() { "ClusterRole" } else { "Role" }
    }

    /// The words of upstream's authorizer for a role that is not there; it says the singular.
    fn not_found(&self) -> String {
        format!("{}.rbac.authorization.k8s.io {:?} not found", self.kind().to_ascii_lowercase(), self.name)
    }
}

impl Subject {
    fn parse(subject: &Value, binding_namespace: &str) -> Option<Self> {
        let name = text(&subject["name"]);
        match subject["kind"].as_str()? {
            "User" => Some(Self::User { description: format!("User {name:?}"), name }),
            "Group" => Some(Self::Group(name)),
            "ServiceAccount" => {
                let own = text(&subject["namespace"]);
                let namespace = if own.is_empty() { binding_namespace } else { &own };
                let description = format!("ServiceAccount {:?}", format!("{name}/{namespace}"));
                Some(Self::User { name: format!("system:serviceaccount:{namespace}:{name}"), description })
            }
            _ => None,
        }
    }

    fn description(&self) -> String {
        match self {
            Self::User { description, .. } => description.clone(),
            Self::Group(name) => format!("Group {name:?}"),
        }
    }
}

impl Policy {
    /// Indexes roles and bindings.
    pub fn new<'p>(
        roles: impl IntoIterator<Item = Arc<Role>>,
        bindings: impl IntoIterator<Item = &'p Binding>,
    ) -> Self {
        let roles = roles.into_iter().map(|role| (role.name.clone(), role)).collect();
        let mut policy = Self { roles, ..Self::default() };
        bindings.into_iter().for_each(|binding| policy.add(binding));
        policy
    }

    fn add(&mut self, binding: &Binding) {
        let role = self.role(&binding.role).cloned();
        let grants = match binding.namespace.as_str() {
            "" => &mut self.cluster,
            namespace => self.namespaces.entry(namespace.to_owned()).or_default(),
        };
        for subject in &binding.subjects {
            let grant = Grant {
                description: binding.description(subject),
                role: role.clone().ok_or_else(|| Missing(binding.role.not_found())),
            };
            let list = match subject {
                Subject::User { name, .. } => grants.users.entry(name.clone()),
                Subject::Group(name) => grants.groups.entry(name.clone()),
            };
            list.or_default().push(grant);
        }
    }

    /// A role by its name.
    pub fn role(&self, name: &RoleName) -> Option<&Arc<Role>> {
        self.roles.get(name)
    }

    /// Whether any rule allows `user` that.
    pub fn decide(&self, user: &User, asked: &Attributes<'_>) -> Decision {
        let namespace = match &asked.object {
            Object::Resource(resource) => resource.namespace,
            Object::Path(_) => "",
        };
        let mut missing = Vec::new();
        for grant in self.grants(user, namespace) {
            match &grant.role {
                Ok(role) if role.rules.iter().any(|rule| rule.allows(asked)) => {
                    return Decision::Allowed { reason: format!("RBAC: allowed by {}", grant.description) };
                }
                Ok(_) => {}
                Err(Missing(text)) => missing.push(text.as_str()),
            }
        }
        Decision::Denied { reason: missing_text(&missing) }
    }

    /// All rules that hold for `user` in a namespace, or at the cluster scope when that is empty; and what is
    /// missing.
    pub fn rules_for(&self, user: &User, namespace: &str) -> (Vec<&Rule>, String) {
        let mut rules = Vec::new();
        let mut missing = Vec::new();
        for grant in self.grants(user, namespace) {
            match &grant.role {
                Ok(role) => rules.extend(&role.rules),
                Err(Missing(text)) => missing.push(text.as_str()),
            }
        }
        (rules, missing_text(&missing))
    }

    fn grants<'p>(&'p self, user: &User, namespace: &str) -> impl Iterator<Item = &'p Grant> {
        let inside = self.namespaces.get(namespace);
        std::iter::once(&self.cluster).chain(inside).flat_map(move |grants| grants.of(user))
    }
}

impl Grants {
    fn of<'p>(&'p self, user: &User) -> impl Iterator<Item = &'p Grant> {
        let own = self.users.get(&user.name).into_iter().flatten();
        own.chain(user.groups.iter().filter_map(|group| self.groups.get(group)).flatten())
    }
}

fn missing_text(missing: &[&str]) -> String {
    match missing {
        [] => String::new(),
        [one] => format!("RBAC: {one}"),
        many => format!("RBAC: [{}]", many.join(", ")),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
