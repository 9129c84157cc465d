//! Probes.

use std::fs;

use serde_json::{Value, json};

use crate::api::container;
use crate::lab::Lab;

fn id(pod: &Value) -> &Value {
    &container(pod, "a")["containerID"]
}

#[test]
fn a_container_that_is_not_alive_any_more_is_restarted() {
    let Some(lab) = Lab::ready("a_container_that_is_not_alive_any_more_is_restarted") else { return };
    let folder = lab.path("state");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("alive"), "").unwrap();
    let main = json!({"name": "a", "image": "busybox:1.36", "command": ["sleep", "1000"],
        "livenessProbe": {"exec": {"command": ["cat", "/state/alive"]}, "periodSeconds": 1, "failureThreshold": 2},
        "volumeMounts": [{"name": "state", "mountPath": "/state"}]});
    let spec = json!({"containers": [main], "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "state", "hostPath": {"path": folder}}]});
    lab.api.run("web", spec);
    let before = lab.api.until_ready("web");
    fs::remove_file(folder.join("alive")).unwrap();
    let message = "Liveness probe failed: cat: can't open '/state/alive': No such file or directory\n";
    lab.api.until_told("web", "Unhealthy", message);
    lab.api.until_told("web", "Killing", "Container a failed liveness probe, will be restarted");
    fs::write(folder.join("alive"), "").unwrap();
    let after = lab.api.until_pod("web runs again", "web", |pod| {
        container(pod, "a")["restartCount"] == 1 && !container(pod, "a")["state"]["running"].is_null()
    });
    assert_ne!(id(&after), id(&before));
    assert_eq!(container(&after, "a")["lastState"]["terminated"]["exitCode"], 137);
}

#[test]
fn readiness_follows_what_the_container_answers_over_http() {
    let Some(lab) = Lab::ready("readiness_follows_what_the_container_answers_over_http") else { return };
    let folder = lab.path("www");
    fs::create_dir(&folder).unwrap();
    let main = json!({"name": "a", "image": "busybox:1.36", "command": ["httpd", "-f", "-p", "8080", "-h", "/www"],
        "ports": [{"name": "web", "containerPort": 8080}],
        "startupProbe": {"tcpSocket": {"port": "web"}, "periodSeconds": 1},
        "readinessProbe": {"httpGet": {"port": "web", "path": "/ready"}, "periodSeconds": 1, "failureThreshold": 1},
        "volumeMounts": [{"name": "www", "mountPath": "/www"}]});
    let spec = json!({"containers": [main], "volumes": [{"name": "www", "hostPath": {"path": folder}}]});
    lab.api.run("web", spec);
    let pod = lab.api.until_pod("web is started", "web", |pod| container(pod, "a")["started"] == true);
    assert_eq!(container(&pod, "a")["ready"], false);
    lab.api.until_told("web", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404");
    fs::write(folder.join("ready"), "yes").unwrap();
    let pod = lab.api.until_ready("web");
    fs::remove_file(folder.join("ready")).unwrap();
    let after = lab.api.until_pod("web is not ready", "web", |pod| container(pod, "a")["ready"] == false);
    // It is the same container all the time.
    assert_eq!(id(&after), id(&pod));
}
