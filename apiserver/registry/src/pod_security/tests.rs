//! Pods, levels, and what is told.

use serde_json::json;

use super::*;

fn told(level: Level, spec: &Value) -> String {
    violations(level, &json!({}), spec).unwrap_or_default()
}

fn with(field: &str, value: &Value) -> Value {
    json!({"containers": [{"name": "a", "securityContext": {field: value}}]})
}

fn behaved() -> Value {
    json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "a", "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        }}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    })
}

#[test]
fn levels_are_labels_and_unknown_ones_allow_the_least() {
    for (label, level) in [
        ("", Level::Privileged),
        ("baseline", Level::Baseline),
        ("restricted", Level::Restricted),
        ("x", Level::Restricted),
    ] {
        assert_eq!(Level::parse(label), level);
    }
    assert!(Level::Privileged < Level::Baseline && Level::Baseline < Level::Restricted);
}

#[test]
fn an_ordinary_pod_keeps_the_baseline_and_breaks_what_is_restricted() {
    let plain = json!({"containers": [{"name": "test"}]});
    assert_eq!(told(Level::Baseline, &plain), "");
    assert_eq!(
        told(Level::Restricted, &plain),
        "allowPrivilegeEscalation != false (container \"test\" must set securityContext.allowPrivilegeEscalation=false), \
         unrestricted capabilities (container \"test\" must set securityContext.capabilities.drop=[\"ALL\"]), \
         runAsNonRoot != true (pod or container \"test\" must set securityContext.runAsNonRoot=true), \
         seccompProfile (pod or container \"test\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    assert_eq!(told(Level::Restricted, &behaved()), "");
}

#[test]
fn ways_out_of_a_pod_break_the_baseline() {
    let cases = [
        (json!({"hostNetwork": true, "hostPID": true}), "host namespaces (hostNetwork=true, hostPID=true)"),
        (json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}), "hostPath volumes (volume \"v\")"),
        (
            json!({"containers": [{"name": "a", "ports": [{"hostPort": 80}]}, {"name": "b", "ports": [{"hostPort": 81}]}]}),
            "hostPort (containers \"a\", \"b\" use hostPorts 80, 81)",
        ),
        (
            with("privileged", &json!(true)),
            "privileged (container \"a\" must not set securityContext.privileged=true)",
        ),
        (
            with("capabilities", &json!({"add": ["NET_ADMIN", "CHOWN"]})),
            "non-default capabilities (container \"a\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)",
        ),
        (
            with("procMount", &json!("Unmasked")),
            "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            with("seLinuxOptions", &json!({"type": "spc_t", "user": "u"})),
            "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set)",
        ),
        (
            json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
            "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")",
        ),
        (
            json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}),
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            with("appArmorProfile", &json!({"type": "Unconfined"})),
            "forbidden AppArmor profile (container \"a\" must not set AppArmor profile type to \"Unconfined\")",
        ),
        (
            json!({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}]}),
            "probe or lifecycle host (container \"a\" uses probe or lifecycle host \"10.0.0.1\")",
        ),
    ];
    for (spec, text) in cases {
        assert_eq!(told(Level::Baseline, &spec), text);
    }
}

#[test]
fn who_says_the_opposite_is_told_not_to() {
    let mut spec = behaved();
    spec["securityContext"]["runAsNonRoot"] = false.into();
    spec["securityContext"]["runAsUser"] = 0.into();
    spec["volumes"][0] = json!({"name": "v", "nfs": {"server": "a"}});
    assert_eq!(
        told(Level::Restricted, &spec),
        "restricted volume types (volume \"v\" uses restricted volume type \"nfs\"), \
         runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false), \
         runAsUser=0 (pod must not set runAsUser=0)"
    );
    let windows = json!({"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": true}, "containers": [{"name": "a"}]});
    assert_eq!(told(Level::Restricted, &windows), "");
}
