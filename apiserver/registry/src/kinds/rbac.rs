//! Role, ClusterRole, RoleBinding, ClusterRoleBinding: who may do what.
//!
//! Deliberately absent: whether the writer has what it gives away, which is the authorizer's.
//!
//! Source: `pkg/apis/rbac/{v1/defaults,validation}`, `pkg/registry/rbac`.

use keelson_api_schema::format::{check_dns1123_subdomain, check_path_segment_name};
use serde_json::Value;

use super::metadata::label_selector;
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::{Column, Scope},
    strategy::Strategy,
};

/// The API group of roles, users and groups.
const GROUP: &str = "rbac.authorization.k8s.io";

/// The columns of bindings.
pub const BINDING_COLUMNS: &[Column] = &[
    NAME,
    Column::new("Role", "string", |object, _| {
        let reference = |field| object.text(&["roleRef", field]);
        format!("{}/{}", reference("kind"), reference("name")).into()
    }),
    AGE,
    Column::wide("Users", "string", |object, _| subjects(object, "User").into()),
    Column::wide("Groups", "string", |object, _| subjects(object, "Group").into()),
    Column::wide("ServiceAccounts", "string", |object, _| subjects(object, "ServiceAccount").into()),
];

/// The names of the subjects of a kind, service accounts with their namespaces.
fn subjects(object: &Object, kind: &str) -> String {
    let field = |subject: &Value, name: &str| subject[name].as_str().unwrap_or_default().to_owned();
    let named = object.list(&["subjects"]).iter().filter(|subject| subject["kind"] == kind);
    let names = named.map(|subject| match kind {
        "ServiceAccount" => format!("{}/{}", field(subject, "namespace"), field(subject, "name")),
        _ => field(subject, "name"),
    });
    names.collect::<Vec<String>>().join(", ")
}

/// The rules of Roles and ClusterRoles.
pub struct RoleRules(pub Scope);

impl Strategy for RoleRules {
    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for rule in Place::at(object, &["rules"]).items() {
            policy_rule(&rule, self.0, &mut errors);
        }
        let aggregation = Place::at(object, &["aggregationRule"]);
        if aggregation.is_set() {
            let selectors = aggregation.child("clusterRoleSelectors");
            if selectors.is_empty() {
                errors.push(
                    selectors
                        .required("at least one clusterRoleSelector required if aggregationRule is non-nil"),
                );
            }
            selectors.items().for_each(|selector| label_selector(&selector, &mut errors));
        }
        errors
    }

    fn check_name(&self, name: &str) -> Vec<String> {
        check_path_segment_name(name)
    }

    fn creates_on_update(&self) -> bool {
        true
    }
}

fn policy_rule(rule: &Place<'_>, scope: Scope, errors: &mut Vec<FieldError>) {
    let verbs = rule.child("verbs");
    if verbs.is_empty() {
        errors.push(verbs.required("verbs must contain at least one value"));
    }
    let (groups, resources) = (rule.child("apiGroups"), rule.child("resources"));
    let paths = rule.child("nonResourceURLs");
    if paths.is_empty() {
        if groups.is_empty() {
            errors.push(groups.required("resource rules must supply at least one api group"));
        }
        if resources.is_empty() {
            errors.push(resources.required("resource rules must supply at least one resource"));
        }
        return;
    }
    if scope == Scope::Namespaced {
        errors.push(paths.invalid("namespaced rules cannot apply to non-resource URLs"));
    }
    if !groups.is_empty() || !resources.is_empty() || !rule.child("resourceNames").is_empty() {
        errors.push(paths.invalid("rules cannot apply to both regular resources and non-resource URLs"));
    }
}

/// The rules of RoleBindings and ClusterRoleBindings.
pub struct BindingRules(pub Scope);

impl Strategy for BindingRules {
    fn default(&self, object: &mut Object) {
        if object.get(&["roleRef"]).is_some() && object.text(&["roleRef", "apiGroup"]).is_empty() {
            object.set(&["roleRef", "apiGroup"], GROUP);
        }
        if object.get(&["subjects"]).is_none() {
            return;
        }
        let subjects = object.slot(&["subjects"]).and_then(Value::as_array_mut);
        for subject in subjects.into_iter().flatten() {
            let unset = subject["apiGroup"].as_str().unwrap_or_default().is_empty();
            if unset && matches!(subject["kind"].as_str(), Some("User" | "Group")) {
                subject["apiGroup"] = GROUP.into();
            }
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        role_reference(&Place::at(object, &["roleRef"]), self.0, &mut errors);
        for subject in Place::at(object, &["subjects"]).items() {
            self.subject(&subject, &mut errors);
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let path = ["roleRef"];
        if object.get(&path) == old.get(&path) {
            return Vec::new();
        }
        vec![Place::at(object, &path).invalid("cannot change roleRef")]
    }

    fn check_name(&self, name: &str) -> Vec<String> {
        check_path_segment_name(name)
    }

    fn creates_on_update(&self) -> bool {
        true
    }
}

impl BindingRules {
    fn subject(&self, subject: &Place<'_>, errors: &mut Vec<FieldError>) {
        let (name, group) = (subject.child("name"), subject.child("apiGroup"));
        if name.text().is_empty() {
            errors.push(name.required(""));
        }
        match subject.child("kind").text() {
            "ServiceAccount" => {
                if !name.text().is_empty() {
                    errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
                }
                group.one_of(&[""], errors);
                let namespace = subject.child("namespace");
                if self.0 == Scope::Cluster && namespace.text().is_empty() {
                    errors.push(namespace.required(""));
                }
            }
            "User" | "Group" => group.one_of(&[GROUP], errors),
            _ => errors.push(subject.child("kind").not_supported(&["ServiceAccount", "User", "Group"])),
        }
    }
}

fn role_reference(reference: &Place<'_>, scope: Scope, errors: &mut Vec<FieldError>) {
    reference.child("apiGroup").one_of(&[GROUP], errors);
    let kinds: &[&str] = match scope {
        Scope::Namespaced => &["Role", "ClusterRole"],
        Scope::Cluster => &["ClusterRole"],
    };
    reference.child("kind").one_of(kinds, errors);
    let name = reference.child("name");
    if name.text().is_empty() {
        errors.push(name.required(""));
    } else {
        errors.extend(name.each_invalid(check_path_segment_name(name.text())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::texts;

    fn rules(scope: Scope, rule: &Value) -> Vec<String> {
        texts(&RoleRules(scope).validate(&Object(json!({"rules": [rule]}))))
    }

    #[test]
    fn a_rule_is_about_resources_or_about_paths() {
        let resources = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        assert_eq!(rules(Scope::Namespaced, &resources), [""; 0]);
        let paths = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz"]});
        assert_eq!(rules(Scope::Cluster, &paths), [""; 0]);
        assert_eq!(
            rules(Scope::Namespaced, &paths),
            [
                "rules[0].nonResourceURLs: Invalid value: [\"/healthz\"]: namespaced rules cannot apply to non-resource URLs"
            ]
        );
        assert_eq!(
            rules(Scope::Cluster, &json!({})),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ]
        );
        let both = json!({"verbs": ["*"], "nonResourceURLs": ["*"], "resources": ["pods"]});
        assert_eq!(rules(Scope::Cluster, &both).len(), 1);
    }

    fn binding(kind: &str, subject: &Value) -> Object {
        let mut object = Object(json!({"roleRef": {"kind": kind, "name": "view"}, "subjects": [subject]}));
        BindingRules(Scope::Cluster).default(&mut object);
        object
    }

    #[test]
    fn groups_are_filled_in_and_checked() {
        let object = binding("ClusterRole", &json!({"kind": "User", "name": "alice"}));
        assert_eq!(object.text(&["roleRef", "apiGroup"]), GROUP);
        assert_eq!(object.0["subjects"][0]["apiGroup"], GROUP);
        assert_eq!(BindingRules(Scope::Cluster).validate(&object), []);

        let role = binding("Role", &json!({"kind": "ServiceAccount", "name": "web"}));
        assert_eq!(
            texts(&BindingRules(Scope::Cluster).validate(&role)),
            [
                "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                "subjects[0].namespace: Required value",
            ]
        );
        assert_eq!(BindingRules(Scope::Namespaced).validate(&role), []);
    }

    #[test]
    fn a_binding_stays_with_its_role() {
        let old = binding("ClusterRole", &json!({"kind": "User", "name": "alice"}));
        let mut new = old.clone();
        new.set(&["roleRef", "name"], "edit");
        let found = texts(&BindingRules(Scope::Cluster).validate_update(&new, &old));
        assert!(
            found[0].starts_with("roleRef: Invalid value: ") && found[0].ends_with(": cannot change roleRef")
        );
        assert_eq!(BindingRules(Scope::Cluster).validate_update(&old, &old), []);
    }

    #[test]
    fn subjects_are_listed_by_kind() {
        let object = Object(json!({"subjects": [
            {"kind": "User", "name": "alice"},
            {"kind": "User", "name": "bob"},
            {"kind": "ServiceAccount", "namespace": "shop", "name": "web"},
        ]}));
        assert_eq!(subjects(&object, "User"), "alice, bob");
        assert_eq!(subjects(&object, "ServiceAccount"), "shop/web");
    }
}
