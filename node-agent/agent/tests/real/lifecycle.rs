//! The life of a pod, from its first moment to its last.

use std::time::Instant;

use serde_json::{Value, json};

use crate::api::{condition, container};
use crate::lab::Lab;
use crate::wait;

fn busybox(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "busybox:1.36", "command": ["sh", "-c", script],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
}

#[test]
fn a_pod_runs_and_nothing_of_it_is_left_when_it_was_deleted() {
    let Some(lab) = Lab::ready("a_pod_runs_and_nothing_of_it_is_left_when_it_was_deleted") else { return };
    lab.api
        .put("configmaps", json!({"metadata": {"namespace": "shop", "name": "conf"}, "data": {"k": "v1"}}));
    let mut main = busybox("a", "echo hello $WHO from $HOSTNAME; trap 'exit 0' TERM; sleep 1000 & wait");
    main["env"] = json!([{"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    main["volumeMounts"] =
        json!([{"name": "conf", "mountPath": "/conf"}, {"name": "tmp", "mountPath": "/scratch"}]);
    let volumes = json!([{"name": "conf", "configMap": {"name": "conf"}}, {"name": "tmp", "emptyDir": {"medium": "Memory"}}]);
    lab.api
        .run("web", json!({"containers": [main], "volumes": volumes, "terminationGracePeriodSeconds": 20}));
    let pod = lab.api.until_ready("web");
    assert_eq!(pod["status"]["phase"], "Running");
    assert!(pod["status"]["podIP"].as_str().unwrap().starts_with("10.9.0."));
    assert_eq!(pod["status"]["qosClass"], "BestEffort");
    assert_eq!(pod["status"]["observedGeneration"], 1);
    let id =
        container(&pod, "a")["containerID"].as_str().unwrap().trim_start_matches("containerd://").to_owned();
    wait::until_true("the pod has said hello", || {
        lab.log(&pod, "a", 0).contains("stdout F hello web from web\n")
    });
    assert_eq!(lab.exec(&id, &["cat", "/conf/k"]), "v1");
    assert!(lab.exec(&id, &["cat", "/etc/resolv.conf"]).contains("search shop.svc.cluster.local"));
    let expected: Vec<(&str, &str)> = vec![
        (
            "Pulled",
            "Container image \"busybox:1.36\" already present on machine and can be accessed by the pod",
        ),
        ("Created", "Container created"),
        ("Started", "Container started"),
    ];
    for (reason, message) in expected {
        assert_eq!(lab.api.until_event("web", reason), message);
    }
    lab.api.patch("configmaps", "shop", "conf", &json!({"data": {"k": "v2"}}));
    wait::until_true("the volume follows its ConfigMap", || lab.exec(&id, &["cat", "/conf/k"]) == "v2");
    let begin = Instant::now();
    lab.api.delete("web", 20);
    lab.api.until_gone("web");
    assert!(begin.elapsed().as_secs() < 20, "it ended when it was asked to");
    assert_eq!(lab.api.until_event("web", "Killing"), "Stopping container a");
    wait::until_true("nothing is left", || lab.leftovers().is_empty());
}

#[test]
fn a_job_goes_through_its_init_containers_and_succeeds() {
    let Some(lab) = Lab::ready("a_job_goes_through_its_init_containers_and_succeeds") else { return };
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [busybox("i", "echo one >> /shared/log"), busybox("j", "echo two >> /shared/log")],
        "containers": [busybox("a", "cat /shared/log > /dev/termination-log")],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    });
    let mut spec = spec;
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().unwrap() {
            container["volumeMounts"] = json!([{"name": "shared", "mountPath": "/shared"}]);
        }
    }
    lab.api.run("job", spec);
    let pod = lab.api.until_pod("job has succeeded", "job", |pod| pod["status"]["phase"] == "Succeeded");
    let end = &container(&pod, "a")["state"]["terminated"];
    assert_eq!(
        (&end["exitCode"], &end["reason"], &end["message"]),
        (&json!(0), &json!("Completed"), &json!("one\ntwo\n"))
    );
    assert_eq!(container(&pod, "j")["state"]["terminated"]["reason"], "Completed");
    assert_eq!(condition(&pod, "Ready")["reason"], "PodCompleted");
    assert_eq!(condition(&pod, "Initialized")["status"], "True");
    // Its volumes and control groups are gone; its log stays until somebody deletes it.
    let is_only_what_shows =
        |left: &[String]| !left.iter().any(|it| it.contains("/pods/") || it.starts_with("/sys/fs/cgroup"));
    wait::until_true("volumes and control groups are gone", || is_only_what_shows(&lab.leftovers()));
    lab.api.delete("job", 0);
    lab.api.until_gone("job");
    wait::until_true("nothing is left", || lab.leftovers().is_empty());
}

#[test]
fn a_container_that_keeps_failing_is_restarted_later_and_later() {
    let Some(lab) = Lab::ready("a_container_that_keeps_failing_is_restarted_later_and_later") else { return };
    lab.api.run("bad", json!({"containers": [busybox("a", "echo oops > /dev/termination-log; exit 3")]}));
    let pod = lab.api.until_pod("bad waits for its second restart", "bad", |pod| {
        container(pod, "a")["restartCount"] == 1
            && container(pod, "a")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    });
    let status = container(&pod, "a");
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let message = format!("back-off 10s restarting failed container=a pod=bad_shop({uid})");
    assert_eq!(status["state"]["waiting"]["message"], message);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(status["lastState"]["terminated"]["message"], "oops\n");
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(
        lab.api.until_event("bad", "BackOff"),
        format!("Back-off restarting failed container a in pod bad_shop({uid})")
    );
    lab.api.until_pod("bad was restarted again", "bad", |pod| container(pod, "a")["restartCount"] == 2);
    // Of what ended only the last is kept, also on the disk.
    let files = [format!("logs/shop_bad_{uid}/a/0.log"), format!("root/pods/{uid}/containers/a/0")];
    wait::until_true("the first instance's files are gone", || files.iter().all(|it| !lab.path(it).exists()));
    let logs = std::fs::read_dir(lab.path(&format!("logs/shop_bad_{uid}/a"))).unwrap();
    assert_ne!(logs.count(), 0, "the last one's are there");
    lab.api.delete("bad", 0);
    lab.api.until_gone("bad");
    wait::until_true("nothing is left", || lab.leftovers().is_empty());
}

#[test]
fn a_pod_that_ends_gets_its_hooks_and_its_time_and_no_more() {
    let Some(lab) = Lab::ready("a_pod_that_ends_gets_its_hooks_and_its_time_and_no_more") else { return };
    let folder = lab.path("out");
    std::fs::create_dir(&folder).unwrap();
    let mut main = busybox("a", "trap '' TERM; sleep 1000");
    main["volumeMounts"] = json!([{"name": "out", "mountPath": "/out"}]);
    main["lifecycle"] = json!({
        "postStart": {"exec": {"command": ["sh", "-c", "echo started >> /out/log"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo 'stopping: $$' >> /out/log"]}},
    });
    let volumes = json!([{"name": "out", "hostPath": {"path": folder}}]);
    lab.api.run("stubborn", json!({"containers": [main], "volumes": volumes}));
    lab.api.until_ready("stubborn");
    let begin = Instant::now();
    lab.api.delete("stubborn", 3);
    let pod = lab.api.until_gone("stubborn").unwrap();
    assert_eq!(container(&pod, "a")["state"]["terminated"]["exitCode"], 137, "it was killed, and said to be");
    assert!(begin.elapsed().as_secs() >= 2, "it had its time");
    assert_eq!(std::fs::read_to_string(folder.join("log")).unwrap(), "started\nstopping: $$\n");
}

#[test]
fn a_deletion_can_be_hastened() {
    let Some(lab) = Lab::ready("a_deletion_can_be_hastened") else { return };
    lab.api.run("slow", json!({"containers": [busybox("a", "trap '' TERM; sleep 1000")]}));
    lab.api.until_ready("slow");
    lab.api.delete("slow", 3600);
    lab.api.until_event("slow", "Killing");
    lab.api.delete("slow", 1);
    lab.api.until_gone("slow");
}

#[test]
fn a_pod_may_run_only_so_long() {
    let Some(lab) = Lab::ready("a_pod_may_run_only_so_long") else { return };
    let spec = json!({"activeDeadlineSeconds": 2, "terminationGracePeriodSeconds": 1,
        "containers": [busybox("a", "sleep 1000")]});
    lab.api.run("overdue", spec);
    let pod = lab.api.until_pod("overdue has failed", "overdue", |pod| pod["status"]["phase"] == "Failed");
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    assert!(!container(&pod, "a")["state"]["terminated"].is_null(), "nothing runs in a pod that has failed");
}

#[test]
fn sidecars_run_before_and_end_after_the_others() {
    let Some(lab) = Lab::ready("sidecars_run_before_and_end_after_the_others") else { return };
    let mut sidecar = busybox(
        "s",
        "echo sidecar up >> /shared/log; trap 'echo sidecar down >> /shared/log; exit 0' TERM; sleep 1000 & wait",
    );
    sidecar["restartPolicy"] = json!("Always");
    sidecar["startupProbe"] = json!({"exec": {"command": ["grep", "up", "/shared/log"]}, "periodSeconds": 1});
    let main = busybox(
        "a",
        "cat /shared/log; trap 'sleep 1; echo main down >> /shared/log; exit 0' TERM; sleep 1000 & wait",
    );
    let folder = lab.path("shared");
    std::fs::create_dir(&folder).unwrap();
    let mut spec = json!({"initContainers": [sidecar], "containers": [main],
        "volumes": [{"name": "shared", "hostPath": {"path": folder}}]});
    for list in ["initContainers", "containers"] {
        spec[list][0]["volumeMounts"] = json!([{"name": "shared", "mountPath": "/shared"}]);
    }
    lab.api.run("web", spec);
    let pod = lab.api.until_ready("web");
    assert_eq!(
        (&container(&pod, "s")["ready"], &container(&pod, "s")["started"]),
        (&json!(true), &json!(true))
    );
    wait::until_true("the main container has seen the sidecar", || {
        lab.log(&pod, "a", 0).contains("sidecar up")
    });
    lab.api.delete("web", 30);
    lab.api.until_gone("web");
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    assert_eq!(log, "sidecar up\nmain down\nsidecar down\n");
}
