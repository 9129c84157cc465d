//! What is wrong with security contexts.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_range;

use super::{spec::each_container, windows};
use crate::{field::FieldError, kinds::local_path, place::Place};

/// Longest name of a sysctl, in bytes.
const SYSCTL_MAX: usize = 253;
/// Longest path of an AppArmor profile, in bytes: the longest path less its end.
pub(super) const PROFILE_MAX: usize = 4095;

/// What a profile may be: a file of the node, the runtime's own, or none.
const PROFILE_TYPES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

/// `spec.securityContext` and the namespaces that the pod shares with its node.
pub(super) fn pod(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let context = spec.child("securityContext");
    for id in ["fsGroup", "runAsUser", "runAsGroup"] {
        user_or_group(&context.child(id), errors);
    }
    for group in context.child("supplementalGroups").items() {
        user_or_group(&group, errors);
    }
    sysctls(spec, &context.child("sysctls"), errors);
    let policy = |field: &str, known: [&str; 2], errors: &mut Vec<FieldError>| {
        if context.child(field).is_set() {
            context.child(field).one_of(&known, errors);
        }
    };
    policy("fsGroupChangePolicy", ["Always", "OnRootMismatch"], errors);
    seccomp(&context.child("seccompProfile"), errors);
    windows::options(&context.child("windowsOptions"), errors);
    app_armor(&context.child("appArmorProfile"), errors);
    policy("supplementalGroupsPolicy", ["Merge", "Strict"], errors);
    policy("seLinuxChangePolicy", ["MountOption", "Recursive"], errors);
    let shared = spec.child("shareProcessNamespace");
    if shared.flag() && spec.child("hostPID").flag() {
        errors.push(shared.invalid("ShareProcessNamespace and HostPID cannot both be enabled"));
    }
}

/// A pod whose users are not the node's cannot have the node's namespaces, nor devices, whose owners stay the node's.
pub(super) fn host_users(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    const WRONG: &str = "when `hostUsers` is false";
    if spec.child("hostUsers").value() != Some(&serde_json::Value::Bool(false)) {
        return;
    }
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.child(field).flag() {
            errors.push(spec.child(shown).forbidden(WRONG));
        }
    }
    for container in each_container(spec) {
        let devices = container.child("volumeDevices");
        if !devices.is_empty() {
            errors.push(devices.forbidden(WRONG));
        }
    }
}

/// The security context of a container.
pub(super) fn container(context: &Place<'_>, host_users: bool, errors: &mut Vec<FieldError>) {
    for id in ["runAsUser", "runAsGroup"] {
        user_or_group(&context.child(id), errors);
    }
    let proc_mount = context.child("procMount");
    if proc_mount.is_set() {
        proc_mount.one_of(&["Default", "Unmasked"], errors);
        if host_users && proc_mount.text() == "Unmasked" {
            errors.push(proc_mount.invalid("`hostUsers` must be false to use `Unmasked`"));
        }
    }
    seccomp(&context.child("seccompProfile"), errors);
    escalation(context, errors);
    windows::options(&context.child("windowsOptions"), errors);
    app_armor(&context.child("appArmorProfile"), errors);
}

/// Who may not gain privileges has none to begin with.
fn escalation(context: &Place<'_>, errors: &mut Vec<FieldError>) {
    let escalation = context.child("allowPrivilegeEscalation");
    if !escalation.is_set() || escalation.flag() {
        return;
    }
    if context.child("privileged").flag() {
        errors
            .push(context.invalid("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
    }
    for _ in context.child("capabilities").child("add").items().filter(|name| name.text() == "CAP_SYS_ADMIN")
    {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        errors.push(context.invalid(detail));
    }
}

fn user_or_group(id: &Place<'_>, errors: &mut Vec<FieldError>) {
    if let Some(number) = id.integer() {
        errors.extend(id.each_invalid(check_range(number, 0, i64::from(i32::MAX))));
    }
}

fn sysctls(spec: &Place<'_>, sysctls: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for sysctl in sysctls.items() {
        let name = sysctl.child("name");
        if name.text().is_empty() {
            errors.push(name.required(""));
        } else if !is_sysctl(name.text()) {
            errors.push(name.invalid(format!(
                "must have at most {SYSCTL_MAX} characters and match regex \
                 ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            )));
        } else if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        let dotted = name.text().replace('/', ".");
        let of_ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|part| dotted.starts_with(part))
            || dotted == "kernel.sem";
        if spec.child("hostNetwork").flag() && dotted.starts_with("net.") {
            errors.push(name.invalid("may not be specified when 'hostNetwork' is true"));
        } else if spec.child("hostIPC").flag() && of_ipc {
            errors.push(name.invalid("may not be specified when 'hostIPC' is true"));
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let segment = |text: &str| {
        text.starts_with(outer)
            && text.ends_with(outer)
            && text.chars().all(|c| outer(c) || matches!(c, '-' | '_'))
    };
    name.len() <= SYSCTL_MAX && name.split(['.', '/']).all(segment)
}

/// `seccompProfile`.
fn seccomp(profile: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !profile.is_set() {
        return;
    }
    let (kind, path) = (profile.child("type"), profile.child("localhostProfile"));
    match kind.text() {
        "" => errors.push(kind.required("type is required when seccompProfile is set")),
        _ => kind.one_of(PROFILE_TYPES, errors),
    }
    match (kind.text(), path.is_set()) {
        ("Localhost", false) => errors.push(path.required("must be set when seccomp type is Localhost")),
        ("Localhost", true) => local_path::relative(path.text(), path.path(), errors),
        (_, true) => errors.push(path.invalid("can only be set when seccomp type is Localhost")),
        (_, false) => {}
    }
}

/// `appArmorProfile`.
fn app_armor(profile: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !profile.is_set() {
        return;
    }
    let (kind, path) = (profile.child("type"), profile.child("localhostProfile"));
    match kind.text() {
        "" => errors.push(kind.required("type is required when appArmorProfile is set")),
        "Localhost" if path.text().is_empty() => {
            errors.push(path.required("must be set when AppArmor type is Localhost"));
        }
        "Localhost" => app_armor_path(&path, errors),
        "RuntimeDefault" | "Unconfined" if path.is_set() => {
            errors.push(path.invalid("can only be set when AppArmor type is Localhost"));
        }
        _ => kind.one_of(PROFILE_TYPES, errors),
    }
}

fn app_armor_path(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    if path.text().trim() != path.text() {
        errors.push(path.invalid("must not be padded with whitespace"));
    }
    if path.text().len() > PROFILE_MAX {
        errors.push(FieldError::too_long(path.path(), PROFILE_MAX));
    }
}
