//! Nobody gives away what they do not have: the check on writing roles and bindings.
//!
//! In: who writes, the role or binding, and the one that it replaces. Out: nothing, or a refusal that lists what
//! the writer lacks. Free of it are `system:masters`, who may `escalate` the role, and who may `bind` it.
//!
//! Source: `k8s.io/kubernetes/pkg/registry/rbac/*/policybased`, `k8s.io/component-helpers/auth/rbac/validation`.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use keelson_api_registry::{object::Object, resources::ResourceInfo, status::ApiError};
use serde_json::Value;

use super::{
    Authorizer, MASTERS,
    attributes::{self, Attributes, ResourceAttributes},
    policy::{Policy, RoleName},
    rbac::{Rule, url_matches},
};
use crate::authn::User;

/// The API group of roles and bindings.
const GROUP: &str = "rbac.authorization.k8s.io";

/// How many single permissions are compared one by one: every further one would cost all other requests some time.
const MAX_PERMISSIONS: usize = 50_000;

/// How many of those that are lacking are told.
const MAX_TOLD: usize = 1000;

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
    let lacking = lacking(&held, wanted)?;
    if lacking.is_empty() {
        return Ok(());
    }
    let mut descriptions: Vec<_> = lacking.iter().map(describe).collect();
    descriptions.sort();
    descriptions.dedup();
    let more = descriptions.len().saturating_sub(MAX_TOLD);
    descriptions.truncate(MAX_TOLD);
    if more > 0 {
        descriptions.push(format!("and {more} more"));
    }
    Err(format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        quoted(&user.groups),
        descriptions.join("\n")
    ))
}

/// What of `wanted` no rule of `held` covers: for each thing the verbs that are lacking.
///
/// # Errors
/// There are too many single permissions to look at each.
fn lacking(held: &[&Rule], wanted: &[Rule]) -> Result<Vec<Rule>, String> {
    let held: Vec<Held<'_>> = held.iter().map(|rule| Held::new(rule)).collect();
    // Most rules are held as a whole, by one rule that is as wide or wider.
    let doubtful: Vec<&Rule> = wanted.iter().filter(|rule| !held.iter().any(|it| it.covers(rule))).collect();
    let count = doubtful.iter().fold(0_usize, |sum, rule| sum.saturating_add(permissions(rule)));
    if count > MAX_PERMISSIONS {
        return Err(format!(
            "its rules spell out {count} permissions, too many to compare each with those that are held: at most \
             {MAX_PERMISSIONS} are"
        ));
    }
    Ok(compact(doubtful.into_iter().flat_map(things).filter_map(|thing| lacking_of(&held, thing))))
}

/// How many single permissions a rule spells out.
fn permissions(rule: &Rule) -> usize {
    let objects = [rule.groups.len(), rule.resources.len(), rule.names.len().max(1)];
    let objects = objects.into_iter().fold(1, usize::saturating_mul);
    rule.verbs.len().saturating_mul(objects.saturating_add(rule.urls.len()))
}

/// A rule as rules for one thing each, with all its verbs.
fn things(rule: &Rule) -> impl Iterator<Item = Rule> {
    let one = |text: &String| vec![text.clone()];
    // No names means all: one rule without a name.
    let names: Vec<Vec<String>> =
        if rule.names.is_empty() { vec![Vec::new()] } else { rule.names.iter().map(one).collect() };
    let objects = rule.resources.iter().flat_map(move |resource| {
        let names = names.clone();
        rule.groups.iter().flat_map(move |group| {
            names.clone().into_iter().map(move |names| Rule {
                verbs: rule.verbs.clone(),
                groups: one(group),
                resources: one(resource),
                names,
                urls: Vec::new(),
            })
        })
    });
    let paths = rule.urls.iter().map(move |url| Rule {
        verbs: rule.verbs.clone(),
        urls: one(url),
        ..Rule::default()
    });
    objects.chain(paths)
}

/// The rule with those verbs only that nobody holds for it; `None` if all are held.
fn lacking_of(held: &[Held<'_>], mut thing: Rule) -> Option<Rule> {
    let about: Vec<&Held<'_>> = held.iter().filter(|rule| rule.is_about(&thing)).collect();
    thing.verbs.retain(|verb| !about.iter().any(|rule| rule.verbs.has(verb)));
    (!thing.verbs.is_empty()).then_some(thing)
}

/// A rule that somebody holds, to be asked many times.
struct Held<'r> {
    verbs: Words<'r>,
    groups: Words<'r>,
    resources: Words<'r>,
    names: Words<'r>,
    urls: &'r [String],
}

/// Words of a rule, of which `*` may be one.
struct Words<'r>(HashSet<&'r str>);

impl<'r> Words<'r> {
    fn new(words: &'r [String]) -> Self {
        Self(words.iter().map(String::as_str).collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains("*") || self.0.contains(word)
    }
}

impl<'r> Held<'r> {
    fn new(rule: &'r Rule) -> Self {
        Self {
            verbs: Words::new(&rule.verbs),
            groups: Words::new(&rule.groups),
            resources: Words::new(&rule.resources),
            names: Words::new(&rule.names),
            urls: &rule.urls,
        }
    }

    /// Whether one who holds this holds all of `rule`.
    fn covers(&self, rule: &Rule) -> bool {
        self.is_about(rule) && rule.verbs.iter().all(|verb| self.verbs.has(verb))
    }

    /// Whether this is about all things that `rule` is about.
    fn is_about(&self, rule: &Rule) -> bool {
        let names_match = self.names.0.is_empty()
            || (!rule.names.is_empty() && rule.names.iter().all(|name| self.names.0.contains(name.as_str())));
        names_match
            && rule.groups.iter().all(|group| self.groups.has(group))
            && rule.resources.iter().all(|resource| self.has_resource(resource))
            && rule.urls.iter().all(|url| self.urls.iter().any(|pattern| url_matches(pattern, url)))
    }

    /// As [`resource_matches`](super::rbac::resource_matches) for each.
    fn has_resource(&self, resource: &str) -> bool {
        let below = resource.split_once('/').map(|(_, below)| below);
        self.resources.has(resource)
            || below.is_some_and(|below| self.resources.0.contains(format!("*/{below}").as_str()))
    }
}

/// Puts the verbs of rules together that differ in nothing else.
fn compact(rules: impl Iterator<Item = Rule>) -> Vec<Rule> {
    let mut compacted: Vec<Rule> = Vec::new();
    let mut places: HashMap<Rule, usize> = HashMap::new();
    for mut rule in rules {
        let thing = Rule { verbs: Vec::new(), ..rule.clone() };
        match places.entry(thing) {
            Entry::Occupied(twin) => compacted[*twin.get()].verbs.append(&mut rule.verbs),
            Entry::Vacant(place) => {
                place.insert(compacted.len());
                compacted.push(rule);
            }
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
            let lacks = lacking(&[held], std::slice::from_ref(wanted)).unwrap();
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
        assert_eq!(lacking(&held, &[wanted]), Ok(Vec::new()));
    }

    #[test]
    fn what_a_few_words_spell_out_is_bounded() {
        let words =
            |letter: &str, count: usize| (0..count).map(|i| format!("{letter}{i}")).collect::<Vec<_>>();
        let wanted = |count: usize| Rule {
            verbs: words("v", count),
            groups: words("g", count),
            resources: words("r", count),
            ..Rule::default()
        };
        let pods = rule(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}));
        assert_eq!(lacking(&[&pods], &[wanted(30)]).unwrap().len(), 900);
        let refused = lacking(&[&pods], &[wanted(100)]).unwrap_err();
        assert!(
            refused.starts_with("its rules spell out 1000000 permissions, too many to compare"),
            "{refused}"
        );
        let all = rule(&json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        assert_eq!(
            lacking(&[&all], &[wanted(1000)]),
            Ok(Vec::new()),
            "what one rule covers needs no comparing"
        );
        let user = User { name: "jane".into(), ..User::default() };
        let told = require(&Policy::default(), &user, "", &[wanted(36)]).unwrap_err();
        assert!(told.ends_with("\nand 296 more"), "{}", &told[told.len() - 40..]);
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
