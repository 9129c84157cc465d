//! As whom containers run.

use crate::space::Space;

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: somebody}
spec:
  securityContext: {runAsUser: 1234, runAsGroup: 2345, fsGroup: 3456, supplementalGroups: [4567]}
  volumes: [{name: data, emptyDir: {}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    securityContext:
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
    volumeMounts: [{name: data, mountPath: /data}]
---
apiVersion: v1
kind: Pod
metadata: {name: not-root}
spec:
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    securityContext: {runAsNonRoot: true}
---
apiVersion: v1
kind: Pod
metadata: {name: mighty}
spec:
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    securityContext: {privileged: true}
"#;

pub(super) fn users_and_rights(space: &Space<'_>) {
    space.apply(PODS);
    space.until_ready("somebody");
    assert_eq!(space.shell("somebody", "id -u; id -g; id -G"), "1234\n2345\n2345 3456 4567\n");
    assert_eq!(space.shell("somebody", "touch /data/own; stat -c %g /data/own"), "3456\n");
    let token = "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace";
    assert_eq!(space.shell("somebody", token), space.name);
    let refused = space.exec("somebody", &["touch", "/own"]);
    assert!(refused.err.contains("Read-only file system"), "{refused:?}");
    let rights = space.shell("somebody", "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status");
    assert_eq!(rights, "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
    let refused = space.until_waiting("not-root", "CreateContainerConfigError");
    assert!(refused.starts_with("container has runAsNonRoot and image will run as root"), "{refused}");
    space.until_ready("mighty");
    assert_eq!(space.shell("mighty", "mount -t tmpfs none /tmp && echo mounted"), "mounted\n");
}
