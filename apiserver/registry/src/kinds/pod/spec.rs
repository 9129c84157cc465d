//! What is wrong with a pod's spec, in a pod or in a template.
//!
//! In: the spec. Out: what is wrong with it, in upstream's words and, as far as somebody sees it, in its order.
//!
//! Deliberately absent: what belongs to one part of it, which has a file of its own.

use keelson_api_schema::format::{
    check_dns1123_label, check_dns1123_subdomain, check_dns1123_subdomain_with_underscores,
    check_qualified_name, check_range,
};
use serde_json::Value;

use super::{
    container, default::CONTAINER_LISTS, env, pod_resources, resources, scheduling, security, volume, windows,
};
use crate::{
    field::FieldError,
    kinds::{address::check_ip, metadata},
    place::Place,
};

/// Most of what a resolver's configuration may list.
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARACTERS: usize = 2048;

/// How long a host's name may be for the kernel, in bytes.
const HOSTNAME_MAX: usize = 64;

/// What the rules of a part need to know of the whole.
pub(super) struct Context<'v> {
    /// The good ones of `spec.volumes`, by name.
    pub(super) volumes: std::collections::BTreeMap<&'v str, &'v Value>,
    /// `spec.terminationGracePeriodSeconds`.
    pub(super) grace: Option<i64>,
    /// Names of `spec.resourceClaims`.
    pub(super) claims: Vec<&'v str>,
    /// `spec.hostUsers`, which is true unless said otherwise.
    pub(super) host_users: bool,
    /// Whether it is a pod's own spec, not a template's.
    pub(super) is_pod: bool,
    /// `spec.os.name`, or `None` where the pod does not say for which system it is.
    pub(super) system: Option<&'v str>,
    /// Whether `spec.restartPolicy` is that containers stay as they end.
    pub(super) never_restarts: bool,
}

impl<'v> Context<'v> {
    fn new(spec: &Place<'v>, volumes: std::collections::BTreeMap<&'v str, &'v Value>, is_pod: bool) -> Self {
        let (claims, system) = (spec.child("resourceClaims"), spec.child("os"));
        Self {
            volumes,
            grace: spec.child("terminationGracePeriodSeconds").integer(),
            claims: claims.items().map(|claim| claim.child("name").text()).collect(),
            host_users: spec.child("hostUsers").value() != Some(&Value::Bool(false)),
            is_pod,
            system: system.is_set().then(|| system.child("name").text()),
            never_restarts: spec.child("restartPolicy").text() == "Never",
        }
    }
}

/// All containers of a spec, in the order in which they start.
pub(super) fn each_container<'v>(spec: &Place<'v>) -> Vec<Place<'v>> {
    CONTAINER_LISTS.iter().flat_map(|list| spec.child(list).items().collect::<Vec<_>>()).collect()
}

/// Checks a whole spec. `pod`: the name of the pod, `None` in a template.
pub(super) fn validate(spec: &Place<'_>, pod: Option<&str>, errors: &mut Vec<FieldError>) {
    let is_pod = pod.is_some();
    let grace = spec.child("terminationGracePeriodSeconds");
    if !grace.is_set() {
        errors.push(grace.required(""));
    }
    let volumes = volume::volumes(&spec.child("volumes"), pod, errors);
    let context = Context::new(spec, volumes, is_pod);
    resource_claims(&spec.child("resourceClaims"), errors);
    container::all(spec, &context, errors);
    pod_resources::validate(spec, &context.claims, errors);
    container::host_network(spec, is_pod, errors);
    policies(spec, errors);
    metadata::labels(&spec.child("nodeSelector"), errors);
    security::pod(spec, errors);
    scheduling::affinity(&spec.child("affinity"), errors);
    dns(spec, errors);
    readiness_gates(&spec.child("readinessGates"), errors);
    scheduling::gates(spec, errors);
    scheduling::spread(&spec.child("topologySpreadConstraints"), errors);
    windows::host_processes(spec, errors);
    security::host_users(spec, errors);
    hostname_override(spec, errors);
    names(spec, &["serviceAccountName", "nodeName"], check_dns1123_subdomain, errors);
    deadline(&spec.child("activeDeadlineSeconds"), errors);
    names(spec, &["hostname", "subdomain"], check_dns1123_label, errors);
    scheduling::tolerations(&spec.child("tolerations"), errors);
    hosts(&spec.child("hostAliases"), errors);
    names(spec, &["priorityClassName"], check_dns1123_subdomain, errors);
    runtime_class(&spec.child("runtimeClassName"), errors);
    preemption(&spec.child("preemptionPolicy"), errors);
    resources::overhead(&spec.child("overhead"), errors);
    windows::system(spec, errors);
    env::file_volumes(spec, errors);
}

fn policies(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let known: [(&str, &[&str]); 2] = [
        ("restartPolicy", &["Always", "Never", "OnFailure"]),
        ("dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ];
    for (field, values) in known {
        let policy = spec.child(field);
        if policy.text().is_empty() {
            errors.push(policy.required(""));
        } else {
            policy.one_of(values, errors);
        }
    }
}

fn deadline(deadline: &Place<'_>, errors: &mut Vec<FieldError>) {
    if let Some(seconds) = deadline.integer() {
        errors.extend(deadline.each_invalid(check_range(seconds, 1, i64::from(i32::MAX))));
    }
}

fn preemption(policy: &Place<'_>, errors: &mut Vec<FieldError>) {
    match policy.text() {
        _ if !policy.is_set() => {}
        "" => errors.push(policy.required("")),
        _ => policy.one_of(&["Never", "PreemptLowerPriority"], errors),
    }
}

/// Names that need not be there.
fn names(spec: &Place<'_>, fields: &[&str], check: fn(&str) -> Vec<String>, errors: &mut Vec<FieldError>) {
    for name in fields.iter().map(|field| spec.child(field)).filter(|name| !name.text().is_empty()) {
        errors.extend(name.each_invalid(check(name.text())));
    }
}

/// A name that is something if it is there, even if it is empty.
fn runtime_class(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.is_set() {
        errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
    }
}

fn readiness_gates(gates: &Place<'_>, errors: &mut Vec<FieldError>) {
    for gate in gates.items() {
        let kind = gate.child("conditionType");
        errors.extend(kind.each_invalid(check_qualified_name(kind.text())));
    }
}

/// A host name for the whole that is seen inside only.
fn hostname_override(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let name = spec.child("hostnameOverride");
    if !name.is_set() {
        return;
    }
    for other in ["setHostnameAsFQDN", "hostNetwork"] {
        if spec.child(other).flag() {
            errors.push(name.forbidden(format!("may not be specified when {other} is true")));
        }
    }
    if name.text().len() > HOSTNAME_MAX {
        errors.push(FieldError::too_long(name.path(), HOSTNAME_MAX));
    }
    errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
}

fn resource_claims(claims: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = Vec::new();
    for claim in claims.items() {
        let name = claim.child("name");
        if name.text().is_empty() {
            errors.push(name.required(""));
        } else if seen.contains(&name.text()) {
            errors.push(name.duplicate());
        } else {
            errors.extend(name.each_invalid(check_dns1123_label(name.text())));
            seen.push(name.text());
        }
        let (direct, template) = (claim.child("resourceClaimName"), claim.child("resourceClaimTemplateName"));
        match (direct.is_set(), template.is_set()) {
            (true, true) => errors.push(claim.invalid(
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            )),
            (false, false) => errors
                .push(claim.invalid("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")),
            _ => {}
        }
        for reference in [direct, template].iter().filter(|reference| reference.is_set()) {
            errors.extend(reference.each_invalid(check_dns1123_subdomain(reference.text())));
        }
    }
}

fn dns(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let config = spec.child("dnsConfig");
    let servers = config.child("nameservers");
    if spec.child("dnsPolicy").text() == "None" {
        if !config.is_set() {
            errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errors.push(servers.required(detail));
            return;
        }
    }
    if servers.len() > MAX_NAMESERVERS {
        errors.push(servers.invalid(format!("must not have more than {MAX_NAMESERVERS} nameservers")));
    }
    for server in servers.items() {
        check_ip(&server, errors);
    }
    searches(&config.child("searches"), errors);
    for option in config.child("options").items() {
        if option.child("name").text().is_empty() {
            errors.push(option.required("must not be empty"));
        }
    }
}

fn searches(searches: &Place<'_>, errors: &mut Vec<FieldError>) {
    if searches.len() > MAX_SEARCHES {
        errors.push(searches.invalid(format!("must not have more than {MAX_SEARCHES} search paths")));
    }
    let characters: usize = searches.items().map(|search| search.text().len() + 1).sum();
    // The spaces between them count; there is one less than there are paths.
    if characters > MAX_SEARCH_CHARACTERS + 1 {
        errors.push(searches.invalid(format!(
            "must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        )));
    }
    for search in searches.items() {
        let name = search.text().strip_suffix('.').unwrap_or_else(|| search.text());
        // Names of services like `_ldap._tcp` may be searched in.
        if search.text() != "." {
            let wrong = check_dns1123_subdomain_with_underscores(name).into_iter();
            errors.extend(wrong.map(|detail| FieldError::invalid(search.path(), name, detail)));
        }
    }
}

fn hosts(aliases: &Place<'_>, errors: &mut Vec<FieldError>) {
    for alias in aliases.items() {
        check_ip(&alias.child("ip"), errors);
        for name in alias.child("hostnames").items() {
            errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
        }
    }
}
