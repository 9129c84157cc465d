//! A node that is not heard of, and is back.

mod spare;

use serde_json::Value;

use self::spare::Spare;
use crate::lab::{Lab, NODE, condition};
use crate::machine;
use crate::space::Space;
use crate::wait;

/// Longer than the agent's silence between two signs of life, which is 10 s.
const GRACE: &str = "--node-monitor-grace-period=20s";

const PODS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: patient}
spec:
  selector: {app: patient}
  ports: [{port: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: patient, labels: {app: patient}}
spec:
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: impatient}
spec:
  terminationGracePeriodSeconds: 1
  tolerations:
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
"#;

#[test]
fn a_node_that_falls_silent_is_tainted_and_welcome_again() {
    if !machine::can_run("lifecycle") {
        return;
    }
    let mut lab = Lab::start_with("lifecycle", &[GRACE]);
    let space = Space::named(&lab, "default");
    space.apply(PODS);
    space.until_ready("patient");
    space.until_ready("impatient");
    let container = |lab: &Lab| {
        let pod = Space::named(lab, "default").pod("patient").unwrap();
        pod["status"]["containerStatuses"][0]["containerID"].clone()
    };
    let before = container(&lab);
    let spare = Spare::start(&lab);
    assert_eq!(lab.take_agent().stop().code(), Some(0));
    falls_silent(&lab);
    drop(spare);
    lab.admin.ok("delete node spare");
    lab.start_agent();
    is_back(&mut lab);
    assert_eq!(container(&lab), before, "containers went on");
}

fn node(lab: &Lab) -> Result<Value, String> {
    lab.api.get(&format!("/api/v1/nodes/{NODE}"))
}

fn taints(node: &Value) -> Vec<String> {
    let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let text = |taint: &Value| format!("{}:{}", taint["key"], taint["effect"]).replace('"', "");
    taints.iter().map(text).collect()
}

fn falls_silent(lab: &Lab) {
    let node = wait::until("the node is not ready, and tainted", || {
        let node = node(lab)?;
        let is_silent = condition(&node, "Ready") == "Unknown" && taints(&node).len() == 2;
        if is_silent {
            Ok(node)
        } else {
            Err(format!("{} {:?}", node["status"]["conditions"], taints(&node)))
        }
    });
    let mut taints = taints(&node);
    taints.sort();
    let key = "node.kubernetes.io/unreachable";
    assert_eq!(taints, [format!("{key}:NoExecute"), format!("{key}:NoSchedule")]);
    let conditions = node["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!(ready["reason"], "NodeStatusUnknown", "{ready}");
    assert_eq!(ready["message"], "Kubelet stopped posting node status.", "{ready}");
    let shown = lab.admin.ok(&format!("get node {NODE} --no-headers"));
    assert!(shown.contains("NotReady"), "{shown}");
    let report = lab.servers.status(&[]);
    assert!(!report.status.success(), "the node is missed: {report:?}");

    let space = Space::named(lab, "default");
    space.until_pod("patient", "is not ready any more", |pod| {
        (condition(pod, "Ready") == "False").then_some(())
    });
    space.until_pod("impatient", "is to go", |pod| pod["metadata"]["deletionTimestamp"].as_str().map(drop));
    let shown = space.ok("get pod impatient --no-headers");
    assert!(shown.contains("Terminating"), "only the node can say that it has ended: {shown}");
    let slices = space.ok("get endpointslices -l kubernetes.io/service-name=patient -o yaml");
    assert!(slices.contains("ready: false"), "{slices}");
}

fn is_back(lab: &mut Lab) {
    lab.wait_until_well();
    wait::until("the taints are gone", || {
        let taints = taints(&node(lab)?);
        if taints.is_empty() { Ok(()) } else { Err(format!("{taints:?}")) }
    });
    let space = Space::named(lab, "default");
    space.until_ready("patient");
    space.ok("wait --for=delete pod/impatient --timeout=60s");
}
