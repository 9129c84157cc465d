//! What containers may use.

use crate::lab::condition;
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
    assert_eq!(bounds(space, "modest"), "33554432\n50000\n");
}

/// Memory and CPU quota, as a container sees them.
fn bounds(space: &Space<'_>, pod: &str) -> String {
    let version_1 = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us";
    let version_2 = "cat /sys/fs/cgroup/memory.max; cut -d' ' -f1 /sys/fs/cgroup/cpu.max";
    space.shell(pod, &format!("if [ -f /sys/fs/cgroup/memory.max ]; then {version_2}; else {version_1}; fi"))
}

const SIZED: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: sized}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 100m, memory: 32Mi}}
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]
"#;

/// A container gets another size while it runs, or is restarted for it where it says so, and nobody is told that it has
/// what it does not have.
pub(super) fn resized(space: &Space<'_>) {
    space.apply(SIZED);
    space.until_ready("sized");
    let resize = |resources: &str| {
        let patch =
            format!("{{\"spec\":{{\"containers\":[{{\"name\":\"main\",\"resources\":{resources}}}]}}}}");
        space.run(&["patch", "pod", "sized", "--subresource=resize", "--patch", &patch]).ok();
    };
    let until_told = |field: &str, amount: &str, restarts: u64| {
        space.until_pod("sized", field, |pod| {
            let status = &pod["status"]["containerStatuses"][0];
            let is_told = status["resources"]["limits"][field] == amount;
            (is_told && status["restartCount"] == restarts).then_some(())
        });
    };
    resize(r#"{"limits":{"cpu":"200m"}}"#);
    until_told("cpu", "200m", 0);
    assert_eq!(bounds(space, "sized"), "33554432\n20000\n");
    resize(r#"{"limits":{"memory":"64Mi"}}"#);
    until_told("memory", "64Mi", 1);
    assert_eq!(bounds(space, "sized"), "67108864\n20000\n");
    resize(r#"{"requests":{"cpu":"1000"},"limits":{"cpu":"1000"}}"#);
    space.until_pod("sized", "has no room", |pod| {
        (condition(pod, "PodResizePending") == "True").then_some(())
    });
    until_told("cpu", "200m", 1);
    assert_eq!(bounds(space, "sized"), "67108864\n20000\n");
    resize(r#"{"requests":{"cpu":"50m"},"limits":{"cpu":"100m"}}"#);
    until_told("cpu", "100m", 1);
    let pod = space.pod("sized").unwrap();
    assert_eq!(condition(&pod, "PodResizePending"), "", "{pod}");
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
