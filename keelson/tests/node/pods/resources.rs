//! What containers may use.

use crate::space::Space;

const LIMITED: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "exec tail /dev/zero"]
    resources: {limits: {memory: 24Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: modest}
spec:
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    resources: {requests: {cpu: 250m, memory: 16Mi}, limits: {cpu: 500m, memory: 32Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: exact}
spec:
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    resources: {limits: {cpu: 100m, memory: 32Mi}}
"#;

pub(super) fn limits(space: &Space<'_>) {
    space.apply(LIMITED);
    space.until_phase("greedy", "Failed");
    let pod = space.pod("greedy").unwrap();
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&ended["reason"], &ended["exitCode"]), (&"OOMKilled".into(), &137.into()), "{pod}");
    space.until_ready("modest");
    space.until_ready("exact");
    for (pod, class) in [("greedy", "Burstable"), ("modest", "Burstable"), ("exact", "Guaranteed")] {
        assert_eq!(space.pod(pod).unwrap()["status"]["qosClass"], class);
    }
    let version_1 = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us";
    let version_2 = "cat /sys/fs/cgroup/memory.max; cut -d' ' -f1 /sys/fs/cgroup/cpu.max";
    let seen = space.shell(
        "modest",
        &format!("if [ -f /sys/fs/cgroup/memory.max ]; then {version_2}; else {version_1}; fi"),
    );
    assert_eq!(seen, "33554432\n50000\n");
}

const HUGE: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: huge}
spec:
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    resources: {requests: {cpu: "1000"}}
"#;

pub(super) fn too_large_for_the_node(space: &Space<'_>) {
    space.apply(HUGE);
    let failed = space.until_event("huge", "FailedScheduling");
    assert!(failed.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{failed}");
    let pod = space.pod("huge").unwrap();
    assert_eq!(pod["status"]["phase"], "Pending");
    let condition = &pod["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["reason"]), (&"PodScheduled".into(), &"Unschedulable".into()));
}
