//! What no pod may do that is not privileged.

use serde_json::Value;

use super::{Pod, Rule, distinct, listed, name, quoted, setters};

/// Capabilities that containers may add.
const CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "NET_RAW",
];

/// Kernel parameters that concern the pod alone.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// Types of SELinux contexts that containers may have.
const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// How annotations name the profile of a container.
const APPARMOR_PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The rules, in the order in which upstream tells what breaks them.
pub(super) const RULES: [Rule; 12] = [
    ("forbidden AppArmor profile", app_armor),
    ("non-default capabilities", capabilities),
    ("host namespaces", host_namespaces),
    ("hostPath volumes", host_paths),
    ("hostPort", host_ports),
    ("probe or lifecycle host", probe_hosts),
    ("privileged", privileged),
    ("procMount", proc_mount),
    ("seLinuxOptions", se_linux),
    ("seccompProfile", seccomp),
    ("forbidden sysctls", sysctls),
    ("hostProcess", host_process),
];

fn app_armor(pod: &Pod<'_>) -> Option<String> {
    let is_bad = |holder: &Value| holder["securityContext"]["appArmorProfile"]["type"] == "Unconfined";
    let who = setters(is_bad(pod.spec), &pod.named(is_bad));
    let set = who.map(|who| format!("{who} must not set AppArmor profile type to \"Unconfined\""));
    let allowed = |profile: &str| {
        profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/")
    };
    let annotations = pod.annotations.as_object().into_iter().flatten();
    let bad = annotations
        .filter(|(key, value)| key.starts_with(APPARMOR_PREFIX) && !value.as_str().is_some_and(allowed));
    let bad: Vec<String> = bad.map(|(key, value)| format!("{key}={value}")).collect();
    let annotated = (!bad.is_empty()).then(|| {
        let plural = if bad.len() == 1 { "" } else { "s" };
        format!("annotation{plural} {}", bad.join(", "))
    });
    let parts: Vec<String> = set.into_iter().chain(annotated).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What a container adds to its capabilities.
pub(super) fn added(container: &Value) -> Vec<&str> {
    let list = container["securityContext"]["capabilities"]["add"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn capabilities(pod: &Pod<'_>) -> Option<String> {
    let bad = |container: &Value| -> Vec<String> {
        added(container).into_iter().filter(|it| !CAPABILITIES.contains(it)).map(str::to_owned).collect()
    };
    let names = pod.named(|container| !bad(container).is_empty());
    let mut words = distinct(pod.containers().flat_map(bad).collect());
    words.sort();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        let containers = listed("container", &names);
        format!("{containers} must not include {} in securityContext.capabilities.add", quoted(&words))
    })
}

fn host_namespaces(pod: &Pod<'_>) -> Option<String> {
    let fields = ["hostNetwork", "hostPID", "hostIPC"].into_iter();
    let set: Vec<String> =
        fields.filter(|field| pod.spec[field] == true).map(|field| format!("{field}=true")).collect();
    (!set.is_empty()).then(|| set.join(", "))
}

fn host_paths(pod: &Pod<'_>) -> Option<String> {
    let bad: Vec<&str> = pod.volumes().filter(|volume| volume["hostPath"].is_object()).map(name).collect();
    (!bad.is_empty()).then(|| listed("volume", &bad))
}

fn host_ports(pod: &Pod<'_>) -> Option<String> {
    let ports = |container: &Value| -> Vec<i64> {
        let ports = container["ports"].as_array().into_iter().flatten();
        ports.filter_map(|port| port["hostPort"].as_i64()).filter(|port| *port != 0).collect()
    };
    let names = pod.named(|container| !ports(container).is_empty());
    let mut all: Vec<i64> = pod.containers().flat_map(ports).collect();
    all.sort_unstable();
    all.dedup();
    let plural = if all.len() == 1 { "" } else { "s" };
    let numbers: Vec<String> = all.iter().map(ToString::to_string).collect();
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let containers = listed("container", &names);
    (!names.is_empty()).then(|| format!("{containers} {verb} hostPort{plural} {}", numbers.join(", ")))
}

fn probe_hosts(pod: &Pod<'_>) -> Option<String> {
    let hosts = |container: &Value| -> Vec<String> {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| &container[probe]);
        let hooks = ["postStart", "preStop"].map(|hook| &container["lifecycle"][hook]);
        let actions = probes.into_iter().chain(hooks);
        let hosts = actions.flat_map(|action| ["httpGet", "tcpSocket"].map(|kind| &action[kind]["host"]));
        hosts.filter_map(Value::as_str).filter(|host| !host.is_empty()).map(str::to_owned).collect()
    };
    let names = pod.named(|container| !hosts(container).is_empty());
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let mut words = distinct(pod.containers().flat_map(hosts).collect());
    words.sort();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let containers = listed("container", &names);
    (!names.is_empty()).then(|| format!("{containers} {verb} probe or lifecycle host {}", quoted(&words)))
}

fn privileged(pod: &Pod<'_>) -> Option<String> {
    let names = pod.named(|container| container["securityContext"]["privileged"] == true);
    let containers = listed("container", &names);
    (!names.is_empty()).then(|| format!("{containers} must not set securityContext.privileged=true"))
}

fn proc_mount(pod: &Pod<'_>) -> Option<String> {
    // In a user namespace of its own a pod sees no more than that.
    if pod.spec["hostUsers"] == false {
        return None;
    }
    let kind = |container: &Value| {
        container["securityContext"]["procMount"].as_str().unwrap_or("Default").to_owned()
    };
    let names = pod.named(|container| kind(container) != "Default");
    let words = distinct(pod.containers().map(kind).filter(|kind| kind != "Default").collect());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        let containers = listed("container", &names);
        format!("{containers} must not set securityContext.procMount to {}", quoted(&words))
    })
}

fn se_linux(pod: &Pod<'_>) -> Option<String> {
    let options = |holder: &Value| {
        let text = |field: &str| {
            holder["securityContext"]["seLinuxOptions"][field].as_str().unwrap_or_default().to_owned()
        };
        let kind = Some(text("type")).filter(|kind| !SELINUX_TYPES.contains(&kind.as_str()));
        (kind, !text("user").is_empty(), !text("role").is_empty())
    };
    let is_bad = |holder: &Value| options(holder) != (None, false, false);
    let who = setters(is_bad(pod.spec), &pod.named(is_bad))?;
    let all: Vec<_> = std::iter::once(options(pod.spec)).chain(pod.containers().map(options)).collect();
    let kinds = distinct(all.iter().filter_map(|(kind, _, _)| kind.clone()).collect());
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let mut parts = Vec::new();
    if !kinds.is_empty() {
        let plural = if kinds.len() == 1 { "" } else { "s" };
        parts.push(format!("type{plural} {}", quoted(&kinds)));
    }
    if all.iter().any(|(_, user, _)| *user) {
        parts.push("user may not be set".to_owned());
    }
    if all.iter().any(|(_, _, role)| *role) {
        parts.push("role may not be set".to_owned());
    }
    Some(format!("{who} set forbidden securityContext.seLinuxOptions: {}", parts.join("; ")))
}

/// The profile of the system calls that a pod or a container may make.
pub(super) fn seccomp_type(holder: &Value) -> &str {
    holder["securityContext"]["seccompProfile"]["type"].as_str().unwrap_or_default()
}

fn seccomp(pod: &Pod<'_>) -> Option<String> {
    let is_bad = |holder: &Value| seccomp_type(holder) == "Unconfined";
    let who = setters(is_bad(pod.spec), &pod.named(is_bad))?;
    Some(format!("{who} must not set securityContext.seccompProfile.type to \"Unconfined\""))
}

fn sysctls(pod: &Pod<'_>) -> Option<String> {
    let all = pod.spec["securityContext"]["sysctls"].as_array().into_iter().flatten().map(name);
    let bad: Vec<&str> = all.filter(|name| !SYSCTLS.contains(name)).collect();
    (!bad.is_empty()).then(|| bad.join(", "))
}

fn host_process(pod: &Pod<'_>) -> Option<String> {
    let is_bad = |holder: &Value| holder["securityContext"]["windowsOptions"]["hostProcess"] == true;
    let who = setters(is_bad(pod.spec), &pod.named(is_bad))?;
    Some(format!("{who} must not set securityContext.windowsOptions.hostProcess=true"))
}
