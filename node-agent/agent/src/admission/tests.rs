//! What is promised of the admission, shown by example.

use serde_json::{Value, json};

use super::*;
use crate::testing::pod;

fn node(spec: &Value) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1", "disk": "ssd", "cores": "8"}},
        "spec": spec,
        "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "3", "example.com/gpu": "1"}},
    }))
    .unwrap()
}

fn reason(pod: &Pod, others: &[Pod]) -> Option<(String, String)> {
    let judged = judge(pod, &node(&json!({})), others.iter());
    judged.err().map(|failure| (failure.reason, failure.message))
}

fn asking(requests: Value) -> Pod {
    pod(json!({"containers": [{"name": "a", "resources": {"requests": requests}}]}))
}

#[test]
fn a_pod_that_fits_is_taken() {
    assert_eq!(reason(&asking(json!({"cpu": "500m"})), &[asking(json!({"cpu": "1500m"}))]), None);
}

#[test]
fn a_pod_that_asks_for_more_than_is_left_is_rejected_with_the_numbers() {
    let message =
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 501, used: 1500, capacity: 2000";
    assert_eq!(
        reason(&asking(json!({"cpu": "501m"})), &[asking(json!({"cpu": "1500m"}))]),
        Some(("OutOfcpu".into(), message.into()))
    );
    let others = vec![asking(json!({})); 3];
    assert_eq!(reason(&asking(json!({})), &others).unwrap().0, "OutOfpods");
    assert_eq!(reason(&asking(json!({"memory": "2Gi"})), &[]).unwrap().0, "OutOfmemory");
    assert_eq!(reason(&asking(json!({"example.com/gpu": "2"})), &[]).unwrap().0, "OutOfexample.com/gpu");
    assert_eq!(reason(&asking(json!({"example.com/other": "2"})), &[]), None);
}

#[test]
fn another_size_waits_for_room_or_never_gets_it() {
    let judged = |cpu: &str, others: &[Pod]| {
        let judged = judge_size(&asking(json!({"cpu": cpu})), &node(&json!({})), &others.iter());
        judged.map_err(|pending| pending.reason)
    };
    let others = [asking(json!({"cpu": "1500m"}))];
    assert_eq!(judged("500m", &others), Ok(()));
    assert_eq!(judged("501m", &others), Err(PendingSize::DEFERRED));
    assert_eq!(judged("2001m", &others), Err(PendingSize::INFEASIBLE));
}

fn selecting(affinity: Value, selector: Value) -> Pod {
    pod(json!({"containers": [], "nodeSelector": selector, "affinity": {"nodeAffinity":
        {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": affinity}}}}))
}

#[test]
fn a_pod_that_selects_other_nodes_is_rejected() {
    let always = json!([{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]);
    assert_eq!(reason(&selecting(always.clone(), json!({"disk": "ssd"})), &[]), None);
    let message =
        "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    assert_eq!(
        reason(&selecting(always, json!({"disk": "hdd"})), &[]),
        Some(("NodeAffinity".into(), message.into()))
    );
    for (expression, matches) in [
        (json!({"key": "disk", "operator": "In", "values": ["hdd", "ssd"]}), true),
        (json!({"key": "disk", "operator": "NotIn", "values": ["ssd"]}), false),
        (json!({"key": "zone", "operator": "NotIn", "values": ["a"]}), true),
        (json!({"key": "zone", "operator": "DoesNotExist"}), true),
        (json!({"key": "cores", "operator": "Gt", "values": ["4"]}), true),
        (json!({"key": "cores", "operator": "Lt", "values": ["8"]}), false),
        (json!({"key": "disk", "operator": "Gt", "values": ["4"]}), false),
    ] {
        let term = json!([{"matchExpressions": [expression]}]);
        assert_eq!(reason(&selecting(term.clone(), json!({})), &[]).is_none(), matches, "{term}");
    }
    let by_name =
        |name: &str| json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]);
    assert_eq!(reason(&selecting(by_name("n1"), json!({})), &[]), None);
    assert!(reason(&selecting(by_name("n2"), json!({})), &[]).is_some());
    assert!(reason(&selecting(json!([{}]), json!({})), &[]).is_some());
}

#[test]
fn ports_of_the_node_are_given_once() {
    let port = |port: Value| pod(json!({"containers": [{"name": "a", "ports": [port]}]}));
    let taken = [port(json!({"containerPort": 80, "hostPort": 8080}))];
    for (wanted, is_free) in [
        (json!({"containerPort": 80, "hostPort": 8080}), false),
        (json!({"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"}), false),
        (json!({"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}), true),
        (json!({"containerPort": 80, "hostPort": 8081}), true),
        (json!({"containerPort": 8080}), true),
    ] {
        assert_eq!(reason(&port(wanted.clone()), &taken).is_none(), is_free, "{wanted}");
    }
    let on_node =
        pod(json!({"hostNetwork": true, "containers": [{"name": "a", "ports": [{"containerPort": 8080}]}]}));
    assert_eq!(reason(&on_node, &taken).unwrap().0, "NodePorts");
}

#[test]
fn a_pod_does_not_come_where_it_would_be_evicted() {
    let tainted = node(&json!({"taints": [{"key": "k", "value": "v", "effect": "NoExecute"},
        {"key": "other", "effect": "NoSchedule"}]}));
    let judged = |tolerations: Value| {
        let pod = pod(json!({"containers": [], "tolerations": tolerations}));
        judge(&pod, &tainted, [].iter()).err().map(|failure| failure.reason)
    };
    assert_eq!(judged(json!([])).as_deref(), Some("TaintToleration"));
    assert_eq!(judged(json!([{"operator": "Exists"}])), None);
    assert_eq!(judged(json!([{"key": "k", "value": "v"}])), None);
    assert_eq!(judged(json!([{"key": "k", "value": "w"}])).as_deref(), Some("TaintToleration"));
    assert_eq!(
        judged(json!([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}])).as_deref(),
        Some("TaintToleration")
    );
}

#[test]
fn other_systems_and_dangerous_sysctls_are_refused() {
    let windows = pod(json!({"containers": [], "os": {"name": "windows"}}));
    assert_eq!(reason(&windows, &[]).unwrap().0, "PodOSNotSupported");
    let selecting = pod(json!({"containers": [], "nodeSelector": {"kubernetes.io/os": "windows"}}));
    assert_eq!(reason(&selecting, &[]).unwrap().0, "PodOSSelectorNodeLabelDoesNotMatch");
    let sysctl = |name: &str, on_node: bool| {
        pod(json!({"containers": [], "hostNetwork": on_node,
            "securityContext": {"sysctls": [{"name": name, "value": "1"}]}}))
    };
    assert_eq!(reason(&sysctl("net.ipv4.tcp_syncookies", false), &[]), None);
    assert_eq!(reason(&sysctl("net/ipv4/tcp_syncookies", false), &[]), None);
    assert_eq!(reason(&sysctl("net.ipv4.tcp_syncookies", true), &[]).unwrap().0, "SysctlForbidden");
    let message = "Pod was rejected: forbidden sysctl: \"kernel.msgmax\" not allowlisted";
    assert_eq!(
        reason(&sysctl("kernel.msgmax", false), &[]),
        Some(("SysctlForbidden".into(), message.into()))
    );
}
