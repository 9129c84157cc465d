//! The order in which containers start, end, and start again.

use serde_json::Value;

use crate::space::Space;
use crate::wait;

const INIT: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: ordered}
spec:
  restartPolicy: Never
  volumes: [{name: notes, emptyDir: {}}]
  initContainers:
  - name: first
    image: busybox:1.36
    command: [sh, -c, "sleep 0.5; echo first >> /notes/order"]
    volumeMounts: [{name: notes, mountPath: /notes}]
  - name: second
    image: busybox:1.36
    command: [sh, -c, "echo second >> /notes/order"]
    volumeMounts: [{name: notes, mountPath: /notes}]
  containers:
  - name: main
    image: busybox:1.36
    command: [cat, /notes/order]
    volumeMounts: [{name: notes, mountPath: /notes}]
---
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec:
  restartPolicy: Never
  initContainers:
  - {name: first, image: "busybox:1.36", command: [sh, -c, "echo no luck; exit 3"]}
  containers:
  - {name: main, image: "busybox:1.36", command: [echo, "never said"]}
"#;

pub(super) fn init_containers_come_first(space: &Space<'_>) {
    space.apply(INIT);
    space.until_phase("ordered", "Succeeded");
    assert_eq!(space.ok("logs ordered"), "first\nsecond\n");
    let pod = space.pod("ordered").unwrap();
    for status in pod["status"]["initContainerStatuses"].as_array().unwrap() {
        assert_eq!(status["state"]["terminated"]["reason"], "Completed", "{status}");
        assert_eq!(status["ready"], true, "{status}");
    }
    space.until_phase("broken", "Failed");
    assert_eq!(space.ok("logs broken -c first"), "no luck\n");
    let shown = space.ok("get pod broken --no-headers");
    assert!(shown.contains("Init:Error"), "{shown}");
    let pod = space.pod("broken").unwrap();
    let main = &pod["status"]["containerStatuses"][0]["state"];
    assert_eq!(main["waiting"]["reason"], "PodInitializing", "{pod}");
}

const SIDECAR: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: accompanied}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  volumes: [{name: notes, emptyDir: {}}]
  initContainers:
  - name: companion
    image: busybox:1.36
    restartPolicy: Always
    command: [sh, -c, "touch /notes/there; exec sleep 3600"]
    startupProbe: {exec: {command: [test, -f, /notes/there]}, periodSeconds: 1}
    volumeMounts: [{name: notes, mountPath: /notes}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "ls /notes"]
    volumeMounts: [{name: notes, mountPath: /notes}]
"#;

pub(super) fn sidecars_run_beside(space: &Space<'_>) {
    space.apply(SIDECAR);
    space.until_phase("accompanied", "Succeeded");
    assert_eq!(space.ok("logs accompanied -c main"), "there\n");
    let pod = space.pod("accompanied").unwrap();
    let companion = &pod["status"]["initContainerStatuses"][0];
    assert!(companion["state"]["terminated"].is_object(), "it does not outlive the pod: {companion}");
}

const FAILING: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: failing}
spec:
  volumes: [{name: notes, emptyDir: {}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "echo . >> /notes/runs; echo run $(wc -l < /notes/runs); exit 3"]
    volumeMounts: [{name: notes, mountPath: /notes}]
"#;

pub(super) fn restarted_later_and_later(space: &Space<'_>) {
    space.apply(FAILING);
    let message = |pod: &Value| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        let is_off = waiting["reason"] == "CrashLoopBackOff";
        is_off.then(|| waiting["message"].as_str().unwrap().to_owned())
    };
    let first = space.until_pod("failing", "backs off", message);
    assert!(first.starts_with("back-off 10s restarting failed container=main pod=failing_"), "{first}");
    let second =
        space.until_pod("failing", "backs off for longer", |pod| message(pod).filter(|text| *text != first));
    assert!(second.starts_with("back-off 20s "), "{second}");
    let status = space.pod("failing").unwrap()["status"].clone();
    let container = &status["containerStatuses"][0];
    assert_eq!((&status["phase"], &container["restartCount"]), (&"Running".into(), &2.into()), "{status}");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 3, "{status}");
    assert_eq!(space.ok("logs failing"), "run 3\n", "while it waits, of the last run");
    let shown = space.ok("get pod failing --no-headers");
    assert!(shown.contains("0/1") && shown.contains("CrashLoopBackOff"), "{shown}");
    space.until_event("failing", "BackOff");
}

const POLICIES: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: never}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "busybox:1.36", command: [sh, -c, "exit 4"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: on-failure}
spec:
  restartPolicy: OnFailure
  volumes: [{name: notes, emptyDir: {}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "test -f /notes/ran || { touch /notes/ran; exit 1; }"]
    volumeMounts: [{name: notes, mountPath: /notes}]
---
apiVersion: v1
kind: Pod
metadata: {name: absent-program}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "busybox:1.36", command: [/no/such/program]}]
"#;

pub(super) fn restart_policies(space: &Space<'_>) {
    space.apply(POLICIES);
    space.until_phase("never", "Failed");
    let pod = space.pod("never").unwrap();
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&ended["exitCode"], &ended["reason"]), (&4.into(), &"Error".into()), "{pod}");
    space.until_phase("on-failure", "Succeeded");
    let pod = space.pod("on-failure").unwrap();
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1, "{pod}");
    space.until_phase("absent-program", "Failed");
    let pod = space.pod("absent-program").unwrap();
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["exitCode"], 128, "{pod}");
    let message = ended["message"].as_str().unwrap();
    assert!(message.contains("/no/such/program"), "{message}");
}

const SEVERAL: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: pair, labels: {app: pair}}
spec:
  restartPolicy: Never
  volumes: [{name: shared, emptyDir: {}}]
  containers:
  - name: writer
    image: busybox:1.36
    command: [sh, -c, "echo from the writer; echo over there > /shared/note; sleep 3600"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  - name: reader
    image: busybox:1.36
    command: [sh, -c, "until cat /shared/note 2>/dev/null; do sleep 0.1; done; sleep 3600"]
    volumeMounts: [{name: shared, mountPath: /shared}]
"#;

pub(super) fn logs_of_several(space: &Space<'_>) {
    space.apply(SEVERAL);
    space.until_ready("pair");
    wait::until("both have spoken", || {
        let all = space.ok("logs pair --all-containers --prefix");
        let is_there =
            all.contains("pair/writer] from the writer\n") && all.contains("pair/reader] over there\n");
        if is_there { Ok(()) } else { Err(all) }
    });
    let refused = space.run(&["logs", "pair", "-c", "nobody"]).err;
    assert!(refused.contains("container nobody is not valid for pod pair"), "{refused}");
    assert_eq!(
        space.run(&["exec", "pair", "-c", "reader", "--", "cat", "/shared/note"]).ok(),
        "over there\n"
    );
    let followed = space.follow("logs -f -l app=pair -c reader");
    assert_eq!(followed.next(), "over there");
    assert_eq!(space.run(&["exec", "pair", "--", "hostname"]).ok(), "pair\n", "the first one is meant");
}

/// What it does at its end is seen outside, because nothing of it is left then.
const ENDING: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: orderly}
spec:
  terminationGracePeriodSeconds: 30
  volumes: [{name: notes, hostPath: {path: FOLDER, type: DirectoryOrCreate}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "trap 'echo asked to end >> /notes/end; exit 0' TERM; touch /notes/begun; while :; do sleep 0.1; done"]
    lifecycle:
      preStop: {exec: {command: [sh, -c, "sleep 1; echo stop hook >> /notes/end"]}}
      postStart: {exec: {command: [sh, -c, "echo start hook > /notes/start"]}}
    volumeMounts: [{name: notes, mountPath: /notes}]
---
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "trap '' TERM; while :; do sleep 0.1; done"]
"#;

pub(super) fn ends_in_order(space: &Space<'_>) {
    let folder = space.lab.servers.file("ending");
    space.apply(&ENDING.replace("FOLDER", folder.to_str().unwrap()));
    space.until_ready("orderly");
    space.until_ready("stubborn");
    let note = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string());
    assert_eq!(note("start").unwrap(), "start hook\n");
    wait::until("it has begun", || note("begun"));
    let began = std::time::Instant::now();
    space.ok("delete pod orderly stubborn");
    assert_eq!(note("end").unwrap(), "stop hook\nasked to end\n");
    assert!(began.elapsed() < std::time::Duration::from_secs(25), "nobody waited for the grace to end");
    let killing = space.until_event("orderly", "Killing");
    assert_eq!(killing, "Stopping container main");
}

const DEADLINE: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: late}
spec:
  activeDeadlineSeconds: 2
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
"#;

pub(super) fn time_is_up(space: &Space<'_>) {
    space.apply(DEADLINE);
    space.until_phase("late", "Failed");
    let pod = space.pod("late").unwrap();
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded", "{pod}");
}
