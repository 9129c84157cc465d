//! After something was away: the agent, the runtime, the API, a sandbox.

use serde_json::{Value, json};

use crate::api::container;
use crate::lab::Lab;
use crate::wait;

fn sleeper(name: &str) -> Value {
    json!({"name": name, "image": "busybox:1.36", "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
        "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1}})
}

fn ids(pod: &Value) -> (Value, Value) {
    (container(pod, "a")["containerID"].clone(), container(pod, "a")["restartCount"].clone())
}

#[test]
fn a_restart_of_the_agent_disturbs_nothing_and_finds_what_has_changed() {
    let Some(mut lab) = Lab::ready("a_restart_of_the_agent_disturbs_nothing_and_finds_what_has_changed")
    else {
        return;
    };
    for name in ["kept", "deleted", "vanished"] {
        lab.api.run(name, json!({"containers": [sleeper("a")], "terminationGracePeriodSeconds": 5}));
    }
    let before = lab.api.until_ready("kept");
    lab.api.until_ready("deleted");
    lab.api.until_ready("vanished");
    lab.stop_agent();
    lab.api.delete("deleted", 5);
    lab.api.remove("pods", "shop", "vanished");
    lab.start_agent();
    lab.api.until_gone("deleted");
    wait::until_true("only one pod is left in the runtime", || {
        lab.ask(async |runtime| runtime.list_pod_sandbox(None).await.unwrap().len() == 1)
    });
    let after = lab.api.pod("kept").unwrap();
    assert_eq!(ids(&after), ids(&before));
    // It was ready all the time, as far as the API was told.
    let since = |pod: &Value| crate::api::condition(pod, "Ready")["lastTransitionTime"].clone();
    assert_eq!(since(&after), since(&before));
    lab.api.delete("kept", 5);
    lab.api.until_gone("kept");
    wait::until_true("nothing is left", || lab.leftovers().is_empty());
}

#[test]
fn a_token_that_could_not_be_had_after_a_restart_is_asked_for_again() {
    let Some(mut lab) = Lab::ready("a_token_that_could_not_be_had_after_a_restart_is_asked_for_again") else {
        return;
    };
    let mut main = sleeper("a");
    main["volumeMounts"] = json!([{"name": "t", "mountPath": "/t"}]);
    let sources = json!([{"serviceAccountToken": {"path": "token"}}]);
    let volumes = json!([{"name": "t", "projected": {"sources": sources}}]);
    lab.api.run("web", json!({"containers": [main], "volumes": volumes}));
    let pod = lab.api.until_ready("web");
    lab.stop_agent();
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let volume = lab.path(&format!("root/pods/{uid}/volumes/kubernetes.io~projected/t"));
    // As if it had been written long ago.
    std::fs::write(volume.join("..data/token"), "expired").unwrap();
    lab.api.refuse_tokens(2);
    lab.start_agent();
    lab.api.until_event("web", "FailedMount");
    wait::until_true("the pod has a new token", || {
        std::fs::read_to_string(volume.join("token")).is_ok_and(|it| it == "a-token")
    });
}

#[test]
fn a_restart_of_the_runtime_disturbs_nothing() {
    let Some(lab) = Lab::ready("a_restart_of_the_runtime_disturbs_nothing") else { return };
    lab.api.run("kept", json!({"containers": [sleeper("a")]}));
    let script = "while ! test -f /go/on; do sleep 0.1; done; exit 4";
    let ends = json!({"name": "a", "image": "busybox:1.36", "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "go", "mountPath": "/go"}]});
    let folder = lab.path("go");
    std::fs::create_dir(&folder).unwrap();
    let volumes = json!([{"name": "go", "hostPath": {"path": folder}}]);
    lab.api.run("ends", json!({"restartPolicy": "Never", "containers": [ends], "volumes": volumes}));
    let before = lab.api.until_ready("kept");
    lab.api.until_ready("ends");
    lab.kill_containerd();
    std::fs::write(folder.join("on"), "").unwrap();
    lab.start_containerd();
    let ended = lab.api.until_pod("ends has failed", "ends", |pod| pod["status"]["phase"] == "Failed");
    assert_eq!(container(&ended, "a")["state"]["terminated"]["exitCode"], 4);
    assert_eq!(ids(&lab.api.pod("kept").unwrap()), ids(&before));
    lab.api.run("later", json!({"containers": [sleeper("a")]}));
    lab.api.until_ready("later");
}

#[test]
fn while_the_api_is_away_pods_are_kept_running_and_it_is_told_afterwards() {
    let Some(lab) = Lab::ready("while_the_api_is_away_pods_are_kept_running_and_it_is_told_afterwards")
    else {
        return;
    };
    lab.api.run("web", json!({"containers": [sleeper("a")]}));
    let before = lab.api.until_ready("web");
    lab.api.set_away(true);
    let id = container(&before, "a")["containerID"]
        .as_str()
        .unwrap()
        .trim_start_matches("containerd://")
        .to_owned();
    lab.ask(async |runtime| runtime.stop_container(&id, std::time::Duration::from_secs(5)).await.unwrap());
    wait::until_true("the container was restarted", || {
        let running = lab.ask(async |runtime| runtime.list_containers(None).await.unwrap());
        running.iter().any(|it| it.id != id && it.state == 1)
    });
    lab.api.set_away(false);
    let after = lab
        .api
        .until_pod("the API hears of the restart", "web", |pod| container(pod, "a")["restartCount"] == 1);
    assert_ne!(ids(&after), ids(&before));
}

#[test]
fn a_sandbox_that_dies_is_replaced() {
    let Some(lab) = Lab::ready("a_sandbox_that_dies_is_replaced") else { return };
    let init = json!({"name": "i", "image": "busybox:1.36", "command": ["true"]});
    lab.api.run("web", json!({"initContainers": [init], "containers": [sleeper("a")]}));
    let before = lab.api.until_ready("web");
    let sandbox = lab.ask(async |runtime| runtime.list_pod_sandbox(None).await.unwrap().remove(0).id);
    lab.ask(async |runtime| runtime.stop_pod_sandbox(&sandbox).await.unwrap());
    let message = lab.api.until_event("web", "SandboxChanged");
    assert_eq!(message, "Pod sandbox changed, it will be killed and re-created.");
    let after = lab.api.until_pod("web is back", "web", |pod| {
        container(pod, "a")["restartCount"] == 1 && container(pod, "a")["ready"] == true
    });
    assert_ne!(after["status"]["podIP"], before["status"]["podIP"]);
}
