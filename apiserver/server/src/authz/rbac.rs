//! RBAC's rules: what one rule allows. Pure.
//!
//! Source: `k8s.io/component-helpers/auth/rbac`, `k8s.io/kubernetes/pkg/apis/rbac/v1/evaluation_helpers.go`.

use serde_json::{Value, json};

use super::attributes::{Attributes, Object, ResourceAttributes};

/// Stands for everything, in each list of a rule but the names.
const ALL: &str = "*";

/// One rule of a Role or ClusterRole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    /// What may be done.
    pub verbs: Vec<String>,
    /// In which API groups.
    pub groups: Vec<String>,
    /// With which resources: `pods`, `pods/log`, `*/scale`.
    pub resources: Vec<String>,
    /// With which objects; empty for all.
    pub names: Vec<String>,
    /// With which paths that are no resources: `/healthz`, `/healthz/*`.
    pub urls: Vec<String>,
}

impl Rule {
    /// Reads a `PolicyRule`.
    pub fn parse(rule: &Value) -> Self {
        let texts = |field: &str| texts(&rule[field]);
        Self {
            verbs: texts("verbs"),
            groups: texts("apiGroups"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            urls: texts("nonResourceURLs"),
        }
    }

    /// Reads the rules of a Role or ClusterRole.
    pub fn parse_all(role: &Value) -> Vec<Self> {
        role["rules"].as_array().into_iter().flatten().map(Self::parse).collect()
    }

    /// Whether the rule allows that.
    pub fn allows(&self, asked: &Attributes<'_>) -> bool {
        let verb_matches = self.verbs.iter().any(|verb| verb == ALL || verb == asked.verb);
        verb_matches
            && match &asked.object {
                Object::Resource(resource) => self.covers_resource(resource),
                Object::Path(path) => self.urls.iter().any(|pattern| url_matches(pattern, path)),
            }
    }

    fn covers_resource(&self, asked: &ResourceAttributes<'_>) -> bool {
        let group_matches = self.groups.iter().any(|group| group == ALL || group == asked.group);
        let name_matches = self.names.is_empty() || self.names.iter().any(|name| name == asked.name);
        let combined = asked.combined();
        group_matches
            && name_matches
            && self.resources.iter().any(|resource| resource_matches(resource, &combined, asked.subresource))
    }

    /// The `ResourceRule` or `NonResourceRule` of a `SubjectRulesReviewStatus`.
    pub fn review(&self) -> Value {
        if self.resources.is_empty() {
            return json!({"verbs": self.verbs, "nonResourceURLs": self.urls});
        }
        let mut rule = json!({"verbs": self.verbs, "apiGroups": self.groups, "resources": self.resources});
        if !self.names.is_empty() {
            rule["resourceNames"] = json!(self.names);
        }
        rule
    }

    /// Whether it speaks of resources, not of paths.
    pub fn is_about_resources(&self) -> bool {
        !self.resources.is_empty()
    }
}

/// Whether `pattern` of a rule stands for a resource.
pub(super) fn resource_matches(pattern: &str, combined: &str, subresource: &str) -> bool {
    pattern == ALL
        || pattern == combined
        || (!subresource.is_empty() && pattern.strip_prefix("*/") == Some(subresource))
}

/// Whether `pattern` of a rule stands for a path.
pub(super) fn url_matches(pattern: &str, path: &str) -> bool {
    pattern == ALL
        || pattern == path
        || (pattern.ends_with('*') && path.starts_with(pattern.trim_end_matches('*')))
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks<'a>(verb: &'a str, group: &'a str, resource: &'a str, name: &'a str) -> Attributes<'a> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let namespace = "shop";
        let object = Object::Resource(ResourceAttributes {
            group,
            resource,
            subresource,
            namespace,
            name,
            selector: None,
        });
        Attributes { verb, object }
    }

    #[test]
    fn rules_about_resources() {
        let reader = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]});
        let named = json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["a"]});
        let scaler = json!({"verbs": ["update"], "apiGroups": ["*"], "resources": ["*/scale"]});
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        let urls = json!({"verbs": ["*"], "nonResourceURLs": ["*"]});
        let cases = [
            (&reader, asks("get", "", "pods", "web"), true),
            (&reader, asks("list", "", "pods", ""), true),
            (&reader, asks("get", "", "pods/log", "web"), true),
            (&reader, asks("get", "", "pods/exec", "web"), false),
            (&reader, asks("delete", "", "pods", "web"), false),
            (&reader, asks("get", "apps", "pods", "web"), false),
            (&named, asks("patch", "apps", "deployments", "a"), true),
            (&named, asks("patch", "apps", "deployments", "b"), false),
            (&named, asks("list", "apps", "deployments", ""), false),
            (&named, asks("get", "apps", "deployments/scale", "a"), false),
            (&scaler, asks("update", "apps", "deployments/scale", "a"), true),
            (&scaler, asks("update", "apps", "deployments", "a"), false),
            (&scaler, asks("update", "apps", "deployments/status", "a"), false),
            (&all, asks("escalate", "x.example", "things/deep", "a"), true),
            (&urls, asks("get", "", "pods", "web"), false),
        ];
        for (rule, asked, allowed) in cases {
            assert_eq!(Rule::parse(rule).allows(&asked), allowed, "{rule} {asked:?}");
        }
    }

    #[test]
    fn rules_about_paths() {
        let health = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez/*"]});
        let resources = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        let cases = [
            (&health, "get", "/healthz", true),
            (&health, "get", "/healthz/etcd", false),
            (&health, "get", "/livez/etcd", true),
            (&health, "get", "/livez", false),
            (&health, "post", "/healthz", false),
            (&resources, "get", "/healthz", false),
        ];
        for (rule, verb, path, allowed) in cases {
            let asked = Attributes { verb, object: Object::Path(path) };
            assert_eq!(Rule::parse(rule).allows(&asked), allowed, "{verb} {path}");
        }
    }
}
