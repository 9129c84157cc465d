//! The Node object.

use serde_json::json;

use crate::api::condition;
use crate::lab::{ADDRESS, Lab};
use crate::wait;

#[test]
fn a_node_registers_and_is_ready_when_it_has_a_network() {
    let Some(mut lab) = Lab::new("a_node_registers_and_is_ready_when_it_has_a_network") else { return };
    lab.start_agent();
    let node = lab.api.until("the node says what its network lacks", |api| {
        let node = api.get("nodes", "", "n1")?;
        let message = condition(&node, "Ready")["message"].as_str()?.contains("NetworkPluginNotReady");
        message.then_some(node)
    });
    assert_eq!(condition(&node, "Ready")["reason"], "KubeletNotReady");
    assert_eq!(condition(&node, "MemoryPressure")["reason"], "KubeletHasSufficientMemory");
    assert_eq!(node["metadata"]["labels"]["kubernetes.io/hostname"], "n1");
    assert_eq!(node["status"]["addresses"][0], json!({"type": "InternalIP", "address": ADDRESS}));
    assert_eq!(node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"], 10250);
    assert_eq!(node["status"]["capacity"]["pods"], "110");
    lab.give_range();
    lab.until_ready();
    let node = lab.api.until("the node tells of its images", |api| {
        let node = api.get("nodes", "", "n1")?;
        let images = node["status"]["images"].to_string();
        (images.contains("docker.io/library/busybox:1.36") && images.contains("pause")).then_some(node)
    });
    assert_eq!(condition(&node, "Ready")["message"], "kubelet is posting ready status");
    assert!(
        node["status"]["nodeInfo"]["containerRuntimeVersion"]
            .as_str()
            .unwrap()
            .starts_with("containerd://1.")
    );
    assert_eq!(lab.api.until_event("n1", "NodeReady"), "Node n1 status is now: NodeReady");
    let lease = lab.api.until("the node renews its Lease", |api| api.get("leases", "kube-node-lease", "n1"));
    assert_eq!(lease["spec"]["holderIdentity"], "n1");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 40);
}

#[test]
fn a_node_that_exists_is_taken_over_and_one_that_is_deleted_comes_back() {
    let Some(mut lab) = Lab::new("a_node_that_exists_is_taken_over_and_one_that_is_deleted_comes_back")
    else {
        return;
    };
    let metadata = json!({"name": "n1", "labels": {"kept": "yes", "kubernetes.io/hostname": "wrong"}});
    let spec = json!({"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"], "unschedulable": true});
    lab.api.put("nodes", json!({"metadata": metadata, "spec": spec, "status": {}}));
    lab.start_agent();
    lab.until_ready();
    let node = lab.api.get("nodes", "", "n1").unwrap();
    assert_eq!(node["metadata"]["labels"]["kept"], "yes");
    assert_eq!(node["metadata"]["labels"]["kubernetes.io/hostname"], "n1");
    assert_eq!(node["spec"]["unschedulable"], true);
    lab.api.remove("nodes", "", "n1");
    lab.api.until("the node registers again", |api| api.get("nodes", "", "n1"));
}

#[test]
fn a_node_that_was_given_up_by_mistake_puts_it_right_at_once() {
    let Some(lab) = Lab::ready("a_node_that_was_given_up_by_mistake_puts_it_right_at_once") else { return };
    let unknown = |kind: &str| json!({"type": kind, "status": "Unknown", "reason": "NodeStatusUnknown"});
    let conditions = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"].map(unknown);
    lab.api.patch("nodes", "", "n1", &json!({"status": {"conditions": conditions}}));
    lab.api.until("the node says how it is", |api| {
        let node = api.get("nodes", "", "n1")?;
        let is_known = condition(&node, "DiskPressure")["reason"] == "KubeletHasNoDiskPressure";
        (is_known && condition(&node, "Ready")["status"] == "True").then_some(())
    });
}

#[test]
fn a_pod_that_does_not_fit_is_rejected() {
    let Some(lab) = Lab::ready("a_pod_that_does_not_fit_is_rejected") else { return };
    let resources = json!({"requests": {"cpu": "1000"}});
    lab.api
        .run("huge", json!({"containers": [{"name": "a", "image": "busybox:1.36", "resources": resources}]}));
    let pod = lab.api.until_pod("huge is rejected", "huge", |pod| pod["status"]["phase"] == "Failed");
    assert_eq!(pod["status"]["reason"], "OutOfcpu");
    let message = pod["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000,"),
        "{message}"
    );
    let event = lab.api.until_event("huge", "OutOfcpu");
    assert!(event.starts_with("Node didn't have enough resource: cpu"), "{event}");
    lab.api.delete("huge", 0);
    lab.api.until_gone("huge");
    wait::until_true("nothing is left", || lab.leftovers().is_empty());
}
