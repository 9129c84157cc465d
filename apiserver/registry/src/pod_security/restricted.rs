//! What well-behaved pods have to do beside keeping the baseline.

use serde_json::Value;

use super::{
    Pod, Rule,
    baseline::{added, seccomp_type},
    distinct, listed, name, quoted,
};

/// Volumes that lead nowhere that the pod's namespace does not.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
];

/// Rules of the baseline that are stricter here.
pub(super) const REPLACES: [&str; 2] = ["non-default capabilities", "seccompProfile"];

/// The rules, in the order in which upstream tells what breaks them.
pub(super) const RULES: [Rule; 6] = [
    ("allowPrivilegeEscalation != false", escalation),
    ("unrestricted capabilities", capabilities),
    ("restricted volume types", volumes),
    ("runAsNonRoot != true", non_root),
    ("runAsUser=0", root),
    ("seccompProfile", seccomp),
];

fn escalation(pod: &Pod<'_>) -> Option<String> {
    if pod.is_windows() {
        return None;
    }
    let names = pod.named(|container| container["securityContext"]["allowPrivilegeEscalation"] != false);
    let containers = listed("container", &names);
    (!names.is_empty())
        .then(|| format!("{containers} must set securityContext.allowPrivilegeEscalation=false"))
}

fn capabilities(pod: &Pod<'_>) -> Option<String> {
    if pod.is_windows() {
        return None;
    }
    let drops_all = |container: &Value| {
        let dropped = container["securityContext"]["capabilities"]["drop"].as_array();
        dropped.is_some_and(|dropped| dropped.iter().any(|it| it == "ALL"))
    };
    let bad = |container: &Value| -> Vec<String> {
        added(container).into_iter().filter(|it| *it != "NET_BIND_SERVICE").map(str::to_owned).collect()
    };
    let (keeping, adding) =
        (pod.named(|container| !drops_all(container)), pod.named(|container| !bad(container).is_empty()));
    let mut parts = Vec::new();
    if !keeping.is_empty() {
        let containers = listed("container", &keeping);
        parts.push(format!("{containers} must set securityContext.capabilities.drop=[\"ALL\"]"));
    }
    if !adding.is_empty() {
        let mut words = distinct(pod.containers().flat_map(bad).collect());
        words.sort();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let containers = listed("container", &adding);
        parts.push(format!(
            "{containers} must not include {} in securityContext.capabilities.add",
            quoted(&words)
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn volumes(pod: &Pod<'_>) -> Option<String> {
    let kind = |volume: &Value| -> Option<String> {
        let fields = volume.as_object()?.iter();
        let source =
            fields.filter(|(field, value)| *field != "name" && value.is_object()).map(|(field, _)| field);
        source.into_iter().find(|field| !VOLUMES.contains(&field.as_str())).cloned()
    };
    let bad: Vec<(&str, String)> =
        pod.volumes().filter_map(|volume| Some((name(volume), kind(volume)?))).collect();
    let names: Vec<&str> = bad.iter().map(|(name, _)| *name).collect();
    let mut kinds = distinct(bad.iter().map(|(_, kind)| kind.clone()).collect());
    kinds.sort();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let (verb, plural) =
        (if names.len() == 1 { "uses" } else { "use" }, if kinds.len() == 1 { "" } else { "s" });
    let volumes = listed("volume", &names);
    (!names.is_empty()).then(|| format!("{volumes} {verb} restricted volume type{plural} {}", quoted(&kinds)))
}

/// What containers must do that do not leave it to the pod.
fn must(
    pod: &Pod<'_>,
    what: &str,
    on_pod: Option<bool>,
    of: impl Fn(&Value) -> Option<bool>,
) -> Option<String> {
    let explicit = pod.named(|container| of(container) == Some(false));
    let implicit = pod.named(|container| of(container).is_none());
    let mut parts = Vec::new();
    if on_pod == Some(false) {
        parts.push(format!("pod must {what}"));
    }
    if !explicit.is_empty() {
        parts.push(format!("{} must {what}", listed("container", &explicit)));
    }
    if on_pod.is_none() && !implicit.is_empty() {
        parts.push(format!("pod or {} must {what}", listed("container", &implicit)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn non_root(pod: &Pod<'_>) -> Option<String> {
    if pod.spec["hostUsers"] == false {
        return None;
    }
    let of = |holder: &Value| holder["securityContext"]["runAsNonRoot"].as_bool();
    let what = |detail: &str| must(pod, detail, of(pod.spec), of);
    let wrong = pod.named(|container| of(container) == Some(false));
    let is_said = of(pod.spec) == Some(false) || !wrong.is_empty();
    let text = what("set securityContext.runAsNonRoot=true")?;
    // Who says the opposite is told not to.
    Some(if is_said {
        text.replace(
            "must set securityContext.runAsNonRoot=true",
            "must not set securityContext.runAsNonRoot=false",
        )
    } else {
        text
    })
}

fn root(pod: &Pod<'_>) -> Option<String> {
    if pod.spec["hostUsers"] == false {
        return None;
    }
    let is_root = |holder: &Value| holder["securityContext"]["runAsUser"] == 0;
    let who = super::setters(is_root(pod.spec), &pod.named(is_root))?;
    Some(format!("{who} must not set runAsUser=0"))
}

fn seccomp(pod: &Pod<'_>) -> Option<String> {
    if pod.is_windows() {
        return None;
    }
    let of = |holder: &Value| match seccomp_type(holder) {
        "" => None,
        kind => Some(matches!(kind, "RuntimeDefault" | "Localhost")),
    };
    must(
        pod,
        "set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        of(pod.spec),
        of,
    )
}
