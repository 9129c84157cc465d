//! Annotations that were fields' forerunners.

use serde_json::Value;

use crate::place::Place;

/// Those that do nothing any more, and why not.
const WITHOUT_FUNCTION: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

/// The seccomp profile of a pod, and what the name of a container is appended to for that of the container.
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const SECCOMP_WHY: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

/// What the name of a container is appended to for its AppArmor profile.
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const APPARMOR_WHY: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";

/// Warns of what does nothing any more.
pub(super) fn without_function(pod: &Place<'_>, warnings: &mut Vec<String>) {
    for (key, why) in WITHOUT_FUNCTION {
        warn(&annotation(pod, key), why, warnings);
    }
}

/// Warns of a pod's seccomp profile that is only in an annotation.
pub(super) fn seccomp_of_pod(pod: &Place<'_>, warnings: &mut Vec<String>) {
    if !profile(&pod.child("spec"), "seccompProfile").is_set() {
        warn(&annotation(pod, SECCOMP_OF_POD), SECCOMP_WHY, warnings);
    }
}

/// Warns of a container's profiles that are only in annotations. A pod's for AppArmor is looked at elsewhere.
pub(super) fn of_container(pod: &Place<'_>, container: &Place<'_>, warnings: &mut Vec<String>) {
    let name = container.child("name");
    if !profile(container, "seccompProfile").is_set() {
        warn(&annotation(pod, &format!("{SECCOMP_OF_CONTAINER}{}", name.text())), SECCOMP_WHY, warnings);
    }
    let is_template = !pod.path().is_empty();
    let has_field = [container, &pod.child("spec")].iter().any(|it| profile(it, "appArmorProfile").is_set());
    if is_template && !has_field {
        warn(&annotation(pod, &format!("{APPARMOR}{}", name.text())), APPARMOR_WHY, warnings);
    }
}

/// Warns of AppArmor profiles of a pod's containers that are in annotations and differ from what the fields say.
pub(super) fn apparmor_of_pod(pod: &Place<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let spec = pod.child("spec");
    if spec.child("os").child("name").text() == "windows" {
        return warnings;
    }
    let of_pod = profile(&spec, "appArmorProfile");
    for container in super::containers(&spec) {
        let annotated = annotation(pod, &format!("{APPARMOR}{}", container.child("name").text()));
        let has_field = profile(&container, "appArmorProfile").is_set();
        if !has_field && !says_the_same(annotated.text(), &of_pod) {
            warn(&annotated, APPARMOR_WHY, &mut warnings);
        }
    }
    warnings
}

/// Whether an annotation says of AppArmor what a field says.
fn says_the_same(annotation: &str, field: &Place<'_>) -> bool {
    let (kind, file) = match annotation {
        "runtime/default" => ("RuntimeDefault", ""),
        "unconfined" => ("Unconfined", ""),
        other => match other.strip_prefix("localhost/") {
            Some(file) if !file.is_empty() => ("Localhost", file),
            _ => return false,
        },
    };
    field.child("type").text() == kind && field.child("localhostProfile").text() == file
}

fn profile<'v>(owner: &Place<'v>, field: &str) -> Place<'v> {
    owner.child("securityContext").child(field)
}

fn annotation<'v>(pod: &Place<'v>, key: &str) -> Place<'v> {
    pod.child("metadata").child("annotations").key(key)
}

fn warn(annotation: &Place<'_>, why: &str, warnings: &mut Vec<String>) {
    if annotation.value().is_some_and(Value::is_string) {
        warnings.push(format!("{}: {why}", annotation.path()));
    }
}
