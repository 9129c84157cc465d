//! Probes that decide whether a container lives. Those that decide whether it gets traffic: `services/readiness.rs`.

use crate::space::Space;

const PROBED: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: ailing}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "touch /tmp/well; sleep 2; rm /tmp/well; sleep 3600"]
    startupProbe: {exec: {command: [test, -f, /tmp/well]}, periodSeconds: 1}
    livenessProbe: {exec: {command: [cat, /tmp/well]}, periodSeconds: 1, failureThreshold: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: serving}
spec:
  volumes: [{name: notes, emptyDir: {}}]
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "echo . >> /notes/runs; echo run $(wc -l < /notes/runs); echo > /tmp/health; httpd -fp 8080 -h /tmp"]
    ports: [{name: web, containerPort: 8080}]
    volumeMounts: [{name: notes, mountPath: /notes}]
    livenessProbe: {httpGet: {path: /health, port: web}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: never-up}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    startupProbe: {tcpSocket: {port: 9}, periodSeconds: 1, failureThreshold: 2}
"#;

pub(super) fn liveness_and_startup(space: &Space<'_>) {
    space.apply(PROBED);
    let unhealthy = space.until_event("ailing", "Unhealthy");
    assert_eq!(unhealthy, "Liveness probe failed: cat: can't open '/tmp/well': No such file or directory\n");
    let killing = space.until_event("ailing", "Killing");
    assert_eq!(killing, "Container main failed liveness probe, will be restarted");
    space.until_restarted("ailing", 1);
    space.until_restarted("never-up", 1);
    let unhealthy = space.until_event("never-up", "Unhealthy");
    assert!(unhealthy.starts_with("Startup probe failed: dial tcp "), "{unhealthy}");
    space.until_ready("serving");
    let pod = space.pod("serving").unwrap();
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "it is well: {pod}");
    space.shell("serving", "rm /tmp/health");
    space.until_restarted("serving", 1);
    let unhealthy = space.until_event("serving", "Unhealthy");
    assert_eq!(unhealthy, "Liveness probe failed: HTTP probe failed with statuscode: 404");
    assert_eq!(space.ok("logs serving"), "run 2\n");
    assert_eq!(space.ok("logs serving --previous"), "run 1\n");
}
