//! Pods that say for which system they are, what goes with it, and what is the system's: hosts' names, signals.

use super::*;

/// A pod with these fields.
fn pod_of(system: Option<&str>, fields: Value, container: Value) -> Value {
    let mut spec = with(container);
    if let Some(system) = system {
        spec["os"] = json!({"name": system});
    }
    let (Value::Object(all), Value::Object(more)) = (&mut spec, fields) else { panic!("objects") };
    all.extend(more);
    spec
}

#[test]
fn pods_for_windows_have_nothing_of_linux() {
    let context = json!({
        "runAsUser": 1, "runAsGroup": 1, "fsGroup": 1, "seLinuxOptions": {}, "supplementalGroups": [1],
        "sysctls": [{"name": "vm.overcommit", "value": "1"}], "seccompProfile": {"type": "Unconfined"},
        "appArmorProfile": {"type": "Unconfined"}, "fsGroupChangePolicy": "Always", "supplementalGroupsPolicy": "Merge",
        "seLinuxChangePolicy": "Recursive"
    });
    let fields = json!({"hostPID": true, "hostIPC": true, "hostUsers": true, "shareProcessNamespace": false,
        "securityContext": context});
    let container = json!({"securityContext": {
        "privileged": false, "capabilities": {}, "readOnlyRootFilesystem": false, "allowPrivilegeEscalation": true,
        "procMount": "Default", "runAsUser": 1, "runAsGroup": 1, "seLinuxOptions": {},
        "seccompProfile": {"type": "Unconfined"}, "appArmorProfile": {"type": "Unconfined"}
    }});
    let of_pod = super::super::windows::NOT_FOR_PODS.iter().map(|field| format!("securityContext.{field}"));
    let whole = ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"].map(str::to_owned);
    let of_container = super::super::windows::NOT_FOR_CONTAINERS
        .iter()
        .map(|field| format!("containers[0].securityContext.{field}"));
    let wanted: Vec<String> = of_pod
        .chain(whole)
        .chain(of_container)
        .map(|field| format!("spec.{field}: Forbidden: cannot be set for a windows pod"))
        .collect();
    assert_eq!(wrong(pod_of(Some("windows"), fields, container)), wanted);
}

#[test]
fn pods_for_linux_have_nothing_of_windows() {
    let options = json!({"securityContext": {"windowsOptions": {}}});
    let text = "windows options cannot be set for a linux pod";
    assert_eq!(wrong(pod_of(None, options.clone(), options.clone())), [""; 0]);
    assert_eq!(
        wrong(pod_of(Some("linux"), options.clone(), options)),
        [
            format!("spec.securityContext.windowsOptions: Forbidden: {text}"),
            format!("spec.containers[0].securityContext.windowsOptions: Forbidden: {text}"),
        ]
    );
    assert_eq!(wrong(pod_of(Some(""), json!({}), json!({}))), ["spec.os.name: Required value"]);
    assert_eq!(
        wrong(pod_of(Some("beos"), json!({}), json!({}))),
        ["spec.os: Unsupported value: \"beos\": supported values: \"linux\", \"windows\""]
    );
}

#[test]
fn options_of_windows_are_checked() {
    let of = |options: Value| {
        let texts = wrong(pod_of(None, json!({"securityContext": {"windowsOptions": options}}), json!({})));
        let place = "spec.securityContext.windowsOptions.";
        texts.iter().map(|text| text.strip_prefix(place).unwrap_or(text).to_owned()).collect::<Vec<_>>()
    };
    let of_user = |name: &str| {
        let start = format!("runAsUserName: Invalid value: {name:?}: ");
        let texts = of(json!({"runAsUserName": name}));
        texts.iter().map(|text| text.strip_prefix(&start).unwrap_or(text).to_owned()).collect::<Vec<_>>()
    };
    let found = of(json!({"gmsaCredentialSpecName": "", "gmsaCredentialSpec": ""}));
    assert!(
        found[0].starts_with("gmsaCredentialSpecName: Invalid value: \"\": a lowercase RFC 1123 subdomain")
    );
    assert_eq!(
        found[1..],
        ["gmsaCredentialSpec: Invalid value: \"\": gmsaCredentialSpec cannot be an empty string"]
    );
    let long = of(json!({"gmsaCredentialSpec": "x".repeat(65537)}));
    assert!(long[0].ends_with("gmsaCredentialSpec size must be under 64 KiB"));
    for good in ["User", "NT AUTHORITY\\NETWORK SERVICE", "example.com\\user"] {
        assert_eq!(of_user(good), [""; 0], "{good}");
    }
    let characters = "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]";
    for (name, why) in [
        ("", "runAsUserName cannot be an empty string"),
        ("a\tb", "runAsUserName cannot contain control characters"),
        ("a\\b\\c", "runAsUserName cannot contain more than one backslash"),
        ("a\\", "runAsUserName's User cannot be empty"),
        ("..", "runAsUserName's User cannot contain only periods or spaces"),
        ("a@b", characters),
        (".\\a", "runAsUserName's Domain doesn't match the NetBios nor the DNS format"),
        (&"u".repeat(105), "runAsUserName's User length must not be longer than 104 characters"),
    ] {
        assert_eq!(of_user(name), [why]);
    }
    assert_eq!(
        of_user(&format!("{}\\u", "d".repeat(256))),
        [
            "runAsUserName's Domain length must be under 256 characters",
            "runAsUserName's Domain doesn't match the NetBios nor the DNS format",
        ]
    );
}

#[test]
fn all_containers_are_processes_of_the_node_or_none_is() {
    let process = |wish: bool| json!({"securityContext": {"windowsOptions": {"hostProcess": wish}}});
    assert_eq!(wrong(pod_of(None, json!({"hostNetwork": true}), process(true))), [""; 0]);
    let mut spec = pod_of(None, json!({}), process(true));
    spec["containers"].as_array_mut().unwrap().push(json!({"name": "b", "image": "x:1"}));
    assert_eq!(
        wrong(spec),
        [
            "spec: Invalid value: \"\": If pod contains any hostProcess containers then all containers must be \
             HostProcess containers",
            "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
        ]
    );
    assert_eq!(
        wrong(pod_of(None, process(true), process(false))),
        [
            "spec.containers[0].securityContext.windowsOptions.hostProcess: Invalid value: false: pod hostProcess value \
          must be identical if both are specified, was true"
        ]
    );
}

#[test]
fn signals_are_those_of_the_system() {
    // New pods lose their signals, which are off; those that have them keep them.
    let of = |system: Option<&str>, signal: &str| {
        let mut object = made(pod_of(system, json!({}), json!({})));
        object.0["spec"]["containers"][0]["lifecycle"] = json!({"stopSignal": signal});
        texts(&Rules.validate(&object))
    };
    let place = "spec.containers[0].lifecycle.stopSignal";
    assert_eq!(
        of(None, "SIGTERM"),
        [format!("{place}: Forbidden: may not be set for containers with empty `spec.os.name`")]
    );
    assert_eq!(of(Some("linux"), "SIGRTMIN+15"), [""; 0]);
    assert_eq!(of(Some("linux"), "SIGRTMAX-14"), [""; 0]);
    let start = format!(
        "{place}: Unsupported value: \"SIGFOO\": supported values: \"SIGABRT\", \"SIGALRM\", \"SIGBUS\", "
    );
    assert!(of(Some("linux"), "SIGFOO")[0].starts_with(&start));
    assert_eq!(
        of(Some("windows"), "SIGHUP"),
        [format!("{place}: Unsupported value: \"SIGHUP\": supported values: \"SIGKILL\", \"SIGTERM\"")]
    );
}

#[test]
fn names_of_hosts_are_checked() {
    let name = format!("a{}", "b".repeat(64));
    let found = wrong(pod_of(
        None,
        json!({"hostnameOverride": name, "hostNetwork": true, "setHostnameAsFQDN": true}),
        json!({}),
    ));
    assert_eq!(
        found,
        [
            "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
            "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
            "spec.hostnameOverride: Too long: may not be more than 64 bytes",
        ]
    );
    let found = wrong(pod_of(None, json!({"hostnameOverride": "A_"}), json!({})));
    assert!(
        found[0].starts_with("spec.hostnameOverride: Invalid value: \"A_\": a lowercase RFC 1123 subdomain")
    );
    let found =
        wrong(pod_of(None, json!({"dnsConfig": {"searches": ["_ldap._tcp.a", "a_", "."]}}), json!({})));
    assert_eq!(
        found,
        [
            "spec.dnsConfig.searches[1]: Invalid value: \"a_\": a lowercase RFC 1123 subdomain must consist of lower case \
          alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. \
          'example.com', regex used for validation is \
          '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')"
        ]
    );
}

#[test]
fn users_of_their_own_come_without_namespaces_and_devices_of_the_node() {
    let mut spec = pod_of(
        None,
        json!({"hostUsers": false, "hostNetwork": true, "hostPID": true, "hostIPC": true}),
        json!({"volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]}),
    );
    spec["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
    let text = "when `hostUsers` is false";
    assert_eq!(
        wrong(spec),
        [
            format!("spec.hostNetwork: Forbidden: {text}"),
            format!("spec.HostPID: Forbidden: {text}"),
            format!("spec.HostIPC: Forbidden: {text}"),
            format!("spec.containers[0].volumeDevices: Forbidden: {text}"),
        ]
    );
    let shared = pod_of(None, json!({"hostPID": true, "shareProcessNamespace": true}), json!({}));
    assert_eq!(
        wrong(shared),
        [
            "spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"
        ]
    );
}
