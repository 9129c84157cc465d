//! What containers get: resources, rights, namespaces; and what keeps them from starting.

use std::fs;

use serde_json::{Value, json};

use crate::api::{condition, container};
use crate::lab::Lab;
use crate::wait;

fn sleeper(name: &str) -> Value {
    json!({"name": name, "image": "busybox:1.36", "command": ["sleep", "1000"]})
}

fn id(pod: &Value, name: &str) -> String {
    container(pod, name)["containerID"].as_str().unwrap().trim_start_matches("containerd://").to_owned()
}

#[test]
fn limits_reach_the_kernel_and_who_takes_more_memory_is_killed() {
    let Some(lab) = Lab::ready("limits_reach_the_kernel_and_who_takes_more_memory_is_killed") else { return };
    let mut main = sleeper("a");
    main["resources"] = json!({"requests": {"cpu": "250m"}, "limits": {"cpu": "500m", "memory": "32Mi"}});
    lab.api.run("bounded", json!({"containers": [main]}));
    let pod = lab.api.until_ready("bounded");
    assert_eq!(pod["status"]["qosClass"], "Burstable");
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let groups = lab.cgroups(&format!("kubepods/burstable/pod{uid}"));
    let read = |names: [&str; 2]| {
        groups
            .iter()
            .flat_map(|group| names.map(|name| group.join(name)))
            .find_map(|file| fs::read_to_string(file).ok())
    };
    let memory = read(["memory.limit_in_bytes", "memory.max"]).unwrap();
    assert_eq!(memory.trim(), (32 << 20).to_string());
    assert!(read(["cpu.cfs_quota_us", "cpu.max"]).unwrap().starts_with("50000"));
    let hungry = json!({"name": "a", "image": "busybox:1.36", "resources": {"limits": {"memory": "16Mi"}},
        "command": ["tail", "/dev/zero"]});
    lab.api.run("hungry", json!({"restartPolicy": "Never", "containers": [hungry]}));
    let pod = lab.api.until_pod("hungry was killed", "hungry", |pod| pod["status"]["phase"] == "Failed");
    let end = &container(&pod, "a")["state"]["terminated"];
    assert_eq!((&end["reason"], &end["exitCode"]), (&json!("OOMKilled"), &json!(137)));
}

#[test]
fn containers_run_as_who_they_shall() {
    let Some(lab) = Lab::ready("containers_run_as_who_they_shall") else { return };
    let mut main = sleeper("a");
    main["securityContext"] = json!({"runAsUser": 1234, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]}});
    let context = json!({"runAsGroup": 2345, "fsGroup": 3456, "supplementalGroups": [4567],
        "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}]});
    let spec = json!({"containers": [main, sleeper("b")], "securityContext": context, "hostname": "other",
        "shareProcessNamespace": true});
    lab.api.run("modest", spec);
    let pod = lab.api.until_ready("modest");
    let a = id(&pod, "a");
    assert_eq!(lab.exec(&a, &["id", "-u"]), "1234\n");
    assert_eq!(lab.exec(&a, &["id", "-G"]), "2345 3456 4567\n");
    assert_eq!(lab.exec(&a, &["hostname"]), "other\n");
    assert!(lab.exec(&a, &["touch", "/x"]).contains("Read-only file system"));
    let status = lab.exec(&a, &["cat", "/proc/self/status"]);
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("CapEff:\t0000000000000000"), "{status}");
    assert_eq!(lab.exec(&a, &["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]), "80\n");
    // The sandbox' process is the first one of all.
    assert!(lab.exec(&id(&pod, "b"), &["cat", "/proc/1/cmdline"]).starts_with("/pause"));
}

#[test]
fn a_pod_on_the_nodes_network_has_the_nodes_address() {
    let Some(lab) = Lab::ready("a_pod_on_the_nodes_network_has_the_nodes_address") else { return };
    lab.api.run("host", json!({"hostNetwork": true, "containers": [sleeper("a")]}));
    let pod = lab.api.until_ready("host");
    assert_eq!(
        (&pod["status"]["podIP"], &pod["status"]["hostIP"]),
        (&json!("127.0.0.1"), &json!("127.0.0.1"))
    );
    assert!(lab.exec(&id(&pod, "a"), &["ip", "link"]).contains("lo"));
}

#[test]
fn what_is_missing_is_waited_for() {
    let Some(lab) = Lab::ready("what_is_missing_is_waited_for") else { return };
    let mut main = sleeper("a");
    main["env"] = json!([{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "k"}}}]);
    lab.api.run("env", json!({"containers": [main]}));
    let mut main = sleeper("a");
    main["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    lab.api.run(
        "volume",
        json!({"containers": [main], "volumes": [{"name": "v", "secret": {"secretName": "late"}}]}),
    );
    let pod = lab.api.until_pod("env says what it lacks", "env", |pod| {
        container(pod, "a")["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    });
    assert_eq!(container(&pod, "a")["state"]["waiting"]["message"], "configmap \"late\" not found");
    assert_eq!(lab.api.until_event("env", "Failed"), "Error: configmap \"late\" not found");
    let message = lab.api.until_event("volume", "FailedMount");
    assert_eq!(message, "MountVolume.SetUp failed for volume \"v\" : secret \"late\" not found");
    lab.api.put("configmaps", json!({"metadata": {"namespace": "shop", "name": "late"}, "data": {"k": "v"}}));
    lab.api.put("secrets", json!({"metadata": {"namespace": "shop", "name": "late"}, "data": {"k": "dg=="}}));
    for name in ["env", "volume"] {
        lab.api.until_ready(name);
    }
}

#[test]
fn an_ephemeral_container_may_be_the_first_to_use_a_volume() {
    let Some(lab) = Lab::ready("an_ephemeral_container_may_be_the_first_to_use_a_volume") else { return };
    lab.api.run("web", json!({"containers": [sleeper("a")], "volumes": [{"name": "v", "emptyDir": {}}]}));
    lab.api.until_ready("web");
    let mut look = sleeper("look");
    look["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    lab.api.patch("pods", "shop", "web", &json!({"spec": {"ephemeralContainers": [look]}}));
    let pod = lab.api.until_pod("the ephemeral container runs", "web", |pod| {
        !container(pod, "look")["state"]["running"].is_null()
    });
    assert!(lab.exec(&id(&pod, "look"), &["ls", "-d", "/v"]).starts_with("/v"));
}

#[test]
fn a_command_that_is_not_there_is_told() {
    let Some(lab) = Lab::ready("a_command_that_is_not_there_is_told") else { return };
    let main = json!({"name": "a", "image": "busybox:1.36", "command": ["/nobody"]});
    lab.api.run("bad", json!({"containers": [main]}));
    let is_told = |pod: &Value| {
        let state = &container(pod, "a")["state"]["waiting"];
        state["reason"] == "RunContainerError" || state["reason"] == "CrashLoopBackOff"
    };
    let pod = lab.api.until_pod("bad cannot start", "bad", is_told);
    assert_eq!(condition(&pod, "Ready")["status"], "False");
    let event = lab.api.until_event("bad", "Failed");
    assert!(
        event.starts_with("Error: failed to create containerd task") && event.contains("/nobody"),
        "{event}"
    );
    let pod = lab.api.until_pod("bad shows how it ended", "bad", |pod| {
        container(pod, "a")["lastState"]["terminated"]["reason"] == "StartError"
    });
    assert_eq!(container(&pod, "a")["lastState"]["terminated"]["exitCode"], 128);
}

#[test]
fn a_log_that_grows_is_moved_aside() {
    let Some(lab) = Lab::ready("a_log_that_grows_is_moved_aside") else { return };
    let script = "yes 0123456789012345678901234567890123456789 | head -c 12000000; while true; do echo after; sleep 1; done";
    let main = json!({"name": "a", "image": "busybox:1.36", "command": ["sh", "-c", script]});
    lab.api.run("loud", json!({"containers": [main]}));
    let pod = lab.api.until_ready("loud");
    let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
    let folder = lab.path(&format!("logs/shop_loud_{uid}/a"));
    wait::until_true("the log was moved aside and goes on", || {
        let files = fs::read_dir(&folder).unwrap().count();
        files > 1 && lab.log(&pod, "a", 0).ends_with("after\n")
    });
    assert!(fs::metadata(folder.join("0.log")).unwrap().len() < 10 << 20);
}
