//! What is wrong with pods that say for which operating system they are, and with the options that Windows has.
//!
//! In: a spec, or `windowsOptions`. Out: what is wrong with it, in upstream's words.
//!
//! Deliberately absent: the signals by which containers stop; those are with the lifecycle.

use keelson_api_schema::format::check_dns1123_subdomain;

use super::spec::each_container;
use crate::{field::FieldError, place::Place};

/// How long a credential specification may be.
const CREDENTIALS_KIB: usize = 64;
/// How long the names of a domain and of a user may be, in bytes.
const DOMAIN_MAX: usize = 256;
const USER_MAX: usize = 104;
/// How long a name may be in NetBIOS, in characters.
const NETBIOS_MAX: usize = 15;

/// What the security context of a pod for Windows may not have.
pub(super) const NOT_FOR_PODS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];

/// What the security context of its containers may not have.
pub(super) const NOT_FOR_CONTAINERS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// `spec.os`, and what does not go with it.
pub(super) fn system(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let system = spec.child("os");
    let name = system.child("name");
    match name.text() {
        _ if !system.is_set() => {}
        "" => errors.push(name.required("")),
        "linux" => for_linux(spec, errors),
        "windows" => for_windows(spec, errors),
        // Upstream leaves the field out of this path.
        _ => errors.push(name.shown_as(system.path()).not_supported(&["linux", "windows"])),
    }
}

fn for_linux(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let containers: Vec<Place<'_>> = each_container(spec);
    for owner in std::iter::once(spec).chain(&containers) {
        let options = owner.child("securityContext").child("windowsOptions");
        if options.is_set() {
            errors.push(options.forbidden("windows options cannot be set for a linux pod"));
        }
    }
}

fn for_windows(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    const WRONG: &str = "cannot be set for a windows pod";
    let context = spec.child("securityContext");
    let set = |field: &Place<'_>| field.is_set() && field.value() != Some(&serde_json::json!([]));
    let of_pod = NOT_FOR_PODS.iter().map(|field| context.child(field)).filter(|field| set(field));
    errors.extend(of_pod.map(|field| field.forbidden(WRONG)));
    for (field, even_if_false) in
        [("hostUsers", true), ("hostPID", false), ("hostIPC", false), ("shareProcessNamespace", true)]
    {
        let field = spec.child(field);
        if field.flag() || (even_if_false && field.is_set()) {
            errors.push(field.forbidden(WRONG));
        }
    }
    for container in each_container(spec) {
        let context = container.child("securityContext");
        let wrong = NOT_FOR_CONTAINERS.iter().map(|field| context.child(field)).filter(Place::is_set);
        errors.extend(wrong.map(|field| field.forbidden(WRONG)));
    }
}

/// `windowsOptions` of a pod or a container.
pub(super) fn options(options: &Place<'_>, errors: &mut Vec<FieldError>) {
    let [name, credentials, user] =
        ["gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName"].map(|field| options.child(field));
    if name.is_set() {
        errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
    }
    if credentials.is_set() {
        match credentials.text().len() {
            0 => errors.push(credentials.invalid("gmsaCredentialSpec cannot be an empty string")),
            size if size > CREDENTIALS_KIB * 1024 => {
                let detail = format!("gmsaCredentialSpec size must be under {CREDENTIALS_KIB} KiB");
                errors.push(credentials.invalid(detail));
            }
            _ => {}
        }
    }
    if user.is_set() {
        errors.extend(user.each_invalid(wrong_with_user(user.text())));
    }
}

/// A user, with or without a domain before a backslash.
fn wrong_with_user(name: &str) -> Vec<String> {
    let one = |why: &str| vec![why.to_owned()];
    let mut parts = name.split('\\');
    match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
        _ if name.is_empty() => one("runAsUserName cannot be an empty string"),
        _ if name.chars().any(|c| c.is_ascii_control()) => {
            one("runAsUserName cannot contain control characters")
        }
        (_, _, Some(_)) => one("runAsUserName cannot contain more than one backslash"),
        (domain, Some(user), None) => {
            let mut wrong = wrong_with_domain(domain);
            wrong.extend(wrong_with_account(user));
            wrong
        }
        (user, None, None) => wrong_with_account(user),
    }
}

fn wrong_with_domain(domain: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if domain.len() >= DOMAIN_MAX {
        wrong.push(format!("runAsUserName's Domain length must be under {DOMAIN_MAX} characters"));
    }
    let bad_in_netbios = |c: char| "\\/:*?\"<>|".contains(c);
    let is_netbios = (1..=NETBIOS_MAX).contains(&domain.chars().count())
        && !domain.starts_with('.')
        && !domain.contains(bad_in_netbios);
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        label.len() <= 63 && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_dns = domain.split('.').all(|label| !label.is_empty() && is_label(label));
    if !is_netbios && !is_dns {
        wrong.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format".to_owned());
    }
    wrong
}

fn wrong_with_account(user: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    match user.len() {
        0 => wrong.push("runAsUserName's User cannot be empty".to_owned()),
        size if size > USER_MAX => {
            wrong.push(format!("runAsUserName's User length must not be longer than {USER_MAX} characters"));
        }
        _ => {}
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        wrong.push("runAsUserName's User cannot contain only periods or spaces".to_owned());
    }
    if user.contains(|c: char| "\"/\\:;|=,+*?<>@[]".contains(c)) {
        let detail = "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]";
        wrong.push(detail.to_owned());
    }
    wrong
}

/// Whether a pod or a container is to be a process of the node.
fn wish<'v>(owner: &Place<'v>) -> Place<'v> {
    owner.child("securityContext").child("windowsOptions").child("hostProcess")
}

/// Containers that are processes of the node: all of them, or none.
pub(super) fn host_processes(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let whole = wish(spec);
    let containers = each_container(spec);
    let mut processes = 0;
    for container in &containers {
        let own = wish(container);
        if whole.is_set() && own.is_set() && whole.flag() != own.flag() {
            let detail = "pod hostProcess value must be identical if both are specified, was";
            errors.push(own.invalid(format!("{detail} {}", whole.flag())));
        }
        let counts = if own.is_set() { own.flag() } else { whole.flag() };
        processes += usize::from(counts);
    }
    if processes == 0 {
        return;
    }
    if processes != containers.len() {
        let detail =
            "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(FieldError::invalid(spec.path(), "", detail));
    }
    let network = spec.child("hostNetwork");
    if !network.flag() {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(FieldError::invalid(network.path(), false, detail));
    }
}
