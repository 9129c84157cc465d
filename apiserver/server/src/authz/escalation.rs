//! Nobody gives away what they do not have: the check on writing roles and bindings.
//!
//! In: who writes, the role or binding, and the one that it replaces. Out: nothing, or a refusal that lists what
//! the writer lacks. Free of it are `system:masters`, who may `escalate` the role, and who may `bind` it.
//!
//! Source: `k8s.io/kubernetes/pkg/registry/rbac/*/policybased`, `k8s.io/component-helpers/auth/rbac/validation`.

use keelson_api_registry::{object::Object, resources::ResourceInfo, status::ApiError};
use serde_json::Value;

use super::{
    Authorizer, MASTERS,
    attributes::{self, Attributes, ResourceAttributes},
    policy::{Policy, RoleName},
    rbac::{Rule, resource_matches, url_matches},
};
use crate::authn::User;

/// The API group of roles and bindings.
const GROUP: &str = "rbac.authorization.k8s.io";

/// A role or binding that is about to be written.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// Of which of the four resources it is.
    pub resource: &'static ResourceInfo,
    /// As it is to be.
    pub object: &'a Object,
    /// As it is; `None` when it is new.
    pub old: Option<&'a Object>,
}

/// Whether `user` may write that. Resources other than roles and bindings pass.
///
/// # Errors
/// 403 with the rules that the writer lacks, 404 for a binding's role that does not exist.
pub fn check(authorizer: &Authorizer, user: &User, change: Change<'_>) -> Result<(), ApiError> {
    if change.resource.group != GROUP || user.is_in(MASTERS) {
        return Ok(());
    }
    match change.resource.kind {
        "Role" | "ClusterRole" => check_role(authorizer, user, change),
        "RoleBinding" | "ClusterRoleBinding" => check_binding(authorizer, user, change),
        _ => Ok(()),
    }
}

fn check_role(authorizer: &Authorizer, user: &User, change: Change<'_>) -> Result<(), ApiError> {
    if is_same(change, &["rules", "aggregationRule"]) {
        return Ok(());
    }
    let namespace = change.object.namespace();
    let escalation = Attributes {
        verb: "escalate",
        object: attributes::Object::Resource(ResourceAttributes {
            group: GROUP,
            resource: change.resource.plural,
            namespace,
            name: change.object.name(),
            ..Default::default()
        }),
    };
    if authorizer.allows(user, &escalation) {
        return Ok(());
    }
    let mut wanted = Rule::parse_all(&change.object.0);
    if change.object.get(&["aggregationRule"]).is_some() {
        wanted.extend(everything());
    }
    require(&authorizer.policy(), user, namespace, &wanted)
        .map_err(|why| ApiError::forbidden_object(change.resource, change.object.name(), why))
}

fn check_binding(authorizer: &Authorizer, user: &User, change: Change<'_>) -> Result<(), ApiError> {
    if is_same(change, &["roleRef", "subjects"]) {
        return Ok(());
    }
    let namespace = change.object.namespace();
    let reference = change.object.get(&["roleRef"]).unwrap_or(&Value::Null);
    let role = RoleName::of_reference(reference, namespace);
    let resource = if role.namespace.is_empty() { "clusterroles" } else { "roles" };
    let bind = Attributes {
        verb: "bind",
        object: attributes::Object::Resource(ResourceAttributes {
            group: GROUP,
            resource,
            namespace,
            name: &role.name,
            ..Default::default()
        }),
    };
    if authorizer.allows(user, &bind) {
        return Ok(());
    }
    let policy = authorizer.policy();
    let Some(found) = policy.role(&role) else {
        let message = format!("{resource}.{GROUP} {:?} not found", role.name);
        return Err(ApiError::new(http::StatusCode::NOT_FOUND, "NotFound", message)
            .about(GROUP, resource, &role.name));
    };
    require(&policy, user, namespace, &found.rules)
        .map_err(|why| ApiError::forbidden_object(change.resource, change.object.name(), why))
}

/// Whether an update leaves all these fields as they were.
fn is_same(change: Change<'_>, fields: &[&str]) -> bool {
    change.old.is_some_and(|old| fields.iter().all(|field| old.get(&[field]) == change.object.get(&[field])))
}

/// What an aggregated role may come to hold.
fn everything() -> [Rule; 2] {
    let all = || vec!["*".to_owned()];
    [
        Rule { verbs: all(), groups: all(), resources: all(), ..Rule::default() },
        Rule { verbs: all(), urls: all(), ..Rule::default() },
    ]
}

/// Whether `user` holds all of `wanted`; the error is upstream's text.
fn require(policy: &Policy, user: &User, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
    let (held, _) = policy.rules_for(user, namespace);
    let lacking = lacking(&held, wanted);
    if lacking.is_empty() {
        return Ok(());
    }
    let mut descriptions: Vec<_> = compact(lacking).iter().map(describe).collect();
    descriptions.sort();
    descriptions.dedup();
    Err(format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        quoted(&user.groups),
        descriptions.join("\n")
    ))
}

/// The single permissions of `wanted` that no rule of `held` covers.
fn lacking(held: &[&Rule], wanted: &[Rule]) -> Vec<Rule> {
    let single = wanted.iter().flat_map(break_down);
    single.filter(|single| !held.iter().any(|rule| covers(rule, single))).collect()
}

/// A rule as rules of one verb for one thing each.
fn break_down(rule: &Rule) -> Vec<Rule> {
    let mut single = Vec::new();
    let one = |text: &String| vec![text.clone()];
    // No names means all: one rule without a name.
    let names: Vec<Vec<String>> =
        if rule.names.is_empty() { vec![Vec::new()] } else { rule.names.iter().map(one).collect() };
    for verb in rule.verbs.iter().map(one) {
        for resources in rule.resources.iter().map(one) {
            for groups in rule.groups.iter().map(one) {
                single.extend(names.iter().map(|names| Rule {
                    verbs: verb.clone(),
                    groups: groups.clone(),
                    resources: resources.clone(),
                    names: names.clone(),
                    urls: Vec::new(),
                }));
            }
        }
        let urls = rule.urls.iter().map(one);
        single.extend(urls.map(|urls| Rule { verbs: verb.clone(), urls, ..Rule::default() }));
    }
    single
}

/// Whether one who holds `rule` holds the permission `single`.
fn covers(rule: &Rule, single: &Rule) -> bool {
    let has = |list: &[String], wanted: &String| list.iter().any(|item| item == "*" || item == wanted);
    let names_match = rule.names.is_empty()
        || (!single.names.is_empty() && single.names.iter().all(|name| rule.names.contains(name)));
    let resource_covered = |wanted: &String| {
        let below = wanted.split_once('/').map_or("", |(_, below)| below);
        rule.resources.iter().any(|pattern| resource_matches(pattern, wanted, below))
    };
    single.verbs.iter().all(|verb| has(&rule.verbs, verb))
        && single.groups.iter().all(|group| has(&rule.groups, group))
        && single.resources.iter().all(resource_covered)
        && single.urls.iter().all(|url| rule.urls.iter().any(|pattern| url_matches(pattern, url)))
        && names_match
}

/// Puts the verbs of rules together that differ in nothing else.
fn compact(rules: Vec<Rule>) -> Vec<Rule> {
    let mut compacted: Vec<Rule> = Vec::new();
    for mut rule in rules {
        let twin = compacted.iter_mut().find(|other| {
            other.groups == rule.groups
                && other.resources == rule.resources
                && other.names == rule.names
                && other.urls == rule.urls
        });
        match twin {
            Some(twin) => twin.verbs.append(&mut rule.verbs),
            None => compacted.push(rule),
        }
    }
    compacted
}

fn describe(rule: &Rule) -> String {
    let fields = [
        ("APIGroups", &rule.groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.urls),
        ("ResourceNames", &rule.names),
        ("Verbs", &rule.verbs),
    ];
    let shown = fields.iter().filter(|(_, list)| !list.is_empty());
    let shown: Vec<_> = shown.map(|(name, list)| format!("{name}:{}", quoted(list))).collect();
    format!("{{{}}}", shown.join(", "))
}

/// A list as Go's `%q` shows it.
fn quoted(list: &[String]) -> String {
    let quoted: Vec<_> = list.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(rule: &Value) -> Rule {
        Rule::parse(rule)
    }

    #[test]
    fn coverage_follows_wildcards_names_and_subresources() {
        let all = rule(&json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        let get_pods = rule(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}));
        let get_one = rule(
            &json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}),
        );
        let scales = rule(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["*/scale"]}));
        let scale = rule(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods/scale"]}));
        let all_urls = rule(&json!({"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}));
        let url = rule(&json!({"verbs": ["get"], "nonResourceURLs": ["/healthz/etcd"]}));
        let cases = [
            (&all, &get_pods, true),
            (&get_pods, &all, false),
            (&get_pods, &get_one, true),
            (&get_one, &get_pods, false),
            (&scales, &scale, true),
            (&scales, &get_pods, false),
            (&get_pods, &scale, false),
            (&all_urls, &url, true),
            (&url, &all_urls, false),
            (&all, &url, false),
            (&url, &get_pods, false),
        ];
        for (held, wanted, enough) in cases {
            let lacks = lacking(&[held], std::slice::from_ref(wanted));
            assert_eq!(lacks.is_empty(), enough, "{held:?} {wanted:?}");
        }
    }

    #[test]
    fn two_rules_together_cover_one() {
        let held = [
            rule(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]})),
            rule(&json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]})),
        ];
        let held: Vec<_> = held.iter().collect();
        let wanted = rule(&json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}));
        assert_eq!(lacking(&held, &[wanted]), []);
    }

    #[test]
    fn what_is_lacking_is_told_as_upstream_tells_it() {
        let user = User { name: "jane".into(), groups: vec!["a".into(), "b".into()], ..User::default() };
        let wanted =
            rule(&json!({"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods"]}));
        let refused = require(&Policy::default(), &user, "", &[wanted]).unwrap_err();
        assert_eq!(
            refused,
            "user \"jane\" (groups=[\"a\" \"b\"]) is attempting to grant RBAC permissions not currently held:\n\
             {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}\n\
             {APIGroups:[\"apps\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}"
        );
    }
}
