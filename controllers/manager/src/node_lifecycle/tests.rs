//! The controller against an API of its own.

use serde_json::{Value, json};

use super::*;
use crate::backends::testing::pod;
use crate::fake_api::{Call, Calls, fake_api};
use crate::node_lifecycle::testing::{NodeBuilder, node};

type Events = tokio::sync::mpsc::Receiver<keelson_controller_runtime::RecordedEvent>;

fn accepted(call: &Call) -> (u16, Value) {
    match call.path.contains("/pods/") {
        true => (200, json!({"metadata": {"name": "p"}, "spec": {"containers": []}})),
        false => (200, json!({"metadata": {"name": "a"}})),
    }
}

fn options() -> Options {
    Options { node_monitor_grace_period: Duration::from_secs(40), ..Options::new("") }
}

fn start(fill: impl FnOnce(&Context)) -> (Arc<Context>, Calls, Events) {
    let (client, calls) = fake_api(accepted);
    let (context, events) = Context::detached(options());
    fill(&context);
    tokio::spawn(run(Arc::clone(&context), client));
    (context, calls, events)
}

fn lease(second: i64) -> Lease {
    let mut lease = Lease::default();
    lease.metadata.namespace = Some(LEASES.into());
    lease.metadata.name = Some("a".into());
    let time = MicroTime(Timestamp::from_second(second).unwrap());
    lease.spec.get_or_insert_default().renew_time = Some(time);
    lease
}

fn silent(name: &str) -> NodeBuilder {
    ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
        .iter()
        .fold(node(name), |node, kind| node.condition(kind, "Unknown"))
}

async fn next(events: &mut Events) -> (&'static str, &'static str, String) {
    let event = events.recv().await.unwrap();
    (event.kind, event.reason, event.message)
}

#[tokio::test(start_paused = true)]
async fn a_node_is_unknown_forty_seconds_after_its_last_renewal() {
    let (context, calls, mut events) = start(|context| {
        context.nodes().apply(node("a").ready("True").build());
        context.node_leases().apply(lease(1));
    });
    let begun = Instant::now();
    for second in 1..=5 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        context.node_leases().apply(lease(1 + second * 10));
    }
    calls.wait_for(1).await;
    assert_eq!(begun.elapsed().as_secs(), 90);
    let call = calls.all()[0].clone();
    assert_eq!((call.method.as_str(), call.path.as_str()), ("PATCH", "/api/v1/nodes/a/status"));
    assert_eq!(call.body["metadata"], json!({"resourceVersion": "1", "uid": "a-uid"}));
    assert_eq!(call.body["status"]["conditions"][0]["reason"], "NodeStatusUnknown");
    let registered = "Node a event: Registered Node a in Controller".to_owned();
    assert_eq!(next(&mut events).await, ("Normal", "RegisteredNode", registered));
    let unready = "Node a status is now: NodeNotReady".to_owned();
    assert_eq!(next(&mut events).await, ("Normal", "NodeNotReady", unready));
}

#[tokio::test(start_paused = true)]
async fn pods_of_an_unknown_node_are_not_ready() {
    let (context, calls, mut events) = start(|context| {
        context.nodes().apply(silent("a").taint("node.kubernetes.io/unreachable", "NoSchedule").build());
        context.pods().apply(pod("p").node("a").ready(true).build());
        context.pods().apply(pod("not").node("a").ready(false).build());
        context.pods().apply(pod("elsewhere").node("b").ready(true).build());
    });
    calls.wait_for(1).await;
    let call = calls.all()[0].clone();
    assert_eq!(
        (call.method.as_str(), call.path.as_str()),
        ("PATCH", "/api/v1/namespaces/shop/pods/p/status")
    );
    let condition = &call.body["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("Ready"), &json!("False")));
    context.pods().apply(pod("p").node("a").ready(false).build());
    context.pods().apply(pod("late").node("a").ready(true).build());
    calls.wait_for(2).await;
    assert_eq!(calls.all()[1].path, "/api/v1/namespaces/shop/pods/late/status");
    assert_eq!(next(&mut events).await.1, "RegisteredNode");
    assert_eq!(next(&mut events).await, ("Warning", "NodeNotReady", "Node is not ready".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn lost_nodes_are_tainted_one_after_the_other_and_healed_when_back() {
    let names = ["a", "b", "c", "d", "e"];
    let (context, calls, _events) = start(|context| {
        names.iter().for_each(|name| context.nodes().apply(node(name).ready("True").build()))
    });
    context.nodes().apply(silent("a").version("2").build());
    context.nodes().apply(silent("b").version("2").build());
    let begun = Instant::now();
    calls.wait_for(2).await;
    let effects = |call: &Call| {
        let taints = call.body["spec"]["taints"].as_array().unwrap().clone();
        taints.iter().map(|taint| taint["effect"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = calls.all();
    let (first, second) = (effects(&all[0]), effects(&all[1]));
    assert_eq!([first.len(), second.len()].iter().sum::<usize>(), 3, "one is evicted, new pods avoid both");
    let waiting = if first.len() == 1 { &all[0] } else { &all[1] };
    let name = waiting.path.rsplit('/').next().unwrap().to_owned();
    let tainted = silent(&name).version("3").taint("node.kubernetes.io/unreachable", "NoSchedule").build();
    context.nodes().apply(tainted);
    calls.wait_for(3).await;
    assert_eq!((begun.elapsed().as_secs(), effects(&calls.all()[2]).len()), (10, 2));
    let back = node(&name)
        .version("4")
        .ready("True")
        .taint("node.kubernetes.io/unreachable", "NoSchedule")
        .taint("node.kubernetes.io/unreachable", "NoExecute");
    context.nodes().apply(back.build());
    calls.wait_for(4).await;
    assert_eq!(calls.all()[3].body["spec"]["taints"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_last_node_is_lost_is_not_evicted() {
    let evicting = || silent("a").taint("node.kubernetes.io/unreachable", "NoSchedule");
    let (context, calls, mut events) = start(|context| {
        context.nodes().apply(evicting().taint("node.kubernetes.io/unreachable", "NoExecute").build());
        context.nodes().apply(node("b").ready("True").build());
    });
    for _ in 0..2 {
        assert_eq!(next(&mut events).await.1, "RegisteredNode");
    }
    assert_eq!(calls.lines(), [""; 0]);
    context.nodes().apply(node("b").version("2").ready("False").build());
    calls.wait_for(2).await;
    let mut calls = calls.all();
    calls.sort_by(|one, other| one.path.cmp(&other.path));
    assert_eq!(calls[0].body["spec"]["taints"].as_array().unwrap().len(), 1, "the eviction is taken back");
    assert_eq!(calls[1].body["spec"]["taints"][0]["effect"], "NoSchedule");
    context.nodes().remove(node("b").version("2").ready("False").build());
    let removed = "Node b event: Removing Node b from Controller".to_owned();
    assert_eq!(next(&mut events).await, ("Normal", "RemovingNode", removed));
}
