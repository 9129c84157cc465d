//! The collector with caches that are filled by hand and an API that takes everything.

use k8s_openapi::{
    api::core::v1::{NodeCondition, NodeSpec, NodeStatus, Taint},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use keelson_controller_runtime::pod::{PodSpec, PodStatus};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    fake_api::{Call, Calls, fake_api, refusal},
    options::Options,
};

fn pod(name: &str, node: Option<&str>, phase: &str) -> Pod {
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some(name.into()),
        uid: Some(format!("{name}-uid")),
        resource_version: Some("1".into()),
        ..ObjectMeta::default()
    };
    let spec = PodSpec { node_name: node.map(Into::into), ..PodSpec::default() };
    let status = PodStatus { phase: Some(phase.into()), ..PodStatus::default() };
    Pod { metadata, spec: Some(spec), status: Some(status) }
}

fn leaving(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    pod
}

fn created(mut pod: Pod, second: i64) -> Pod {
    pod.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
    pod
}

fn node(name: &str, taint: &str, is_ready: bool) -> Node {
    let metadata = ObjectMeta {
        name: Some(name.into()),
        uid: Some(name.into()),
        resource_version: Some("1".into()),
        ..ObjectMeta::default()
    };
    let taint = Taint { key: taint.into(), effect: "NoExecute".into(), ..Taint::default() };
    let ready = NodeCondition {
        type_: "Ready".into(),
        status: if is_ready { "True" } else { "Unknown" }.into(),
        ..NodeCondition::default()
    };
    Node {
        metadata,
        spec: Some(NodeSpec { taints: Some(vec![taint]), ..NodeSpec::default() }),
        status: Some(NodeStatus { conditions: Some(vec![ready]), ..NodeStatus::default() }),
    }
}

const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

struct World {
    collector: Arc<Collector>,
    queue: WorkQueue<Place>,
    calls: Calls,
}

/// With nodes and pods that are there from the beginning.
fn world(
    nodes: Vec<Node>,
    pods: Vec<Pod>,
    answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
) -> World {
    let (client, calls) = fake_api(answer);
    let (all_pods, all_nodes) = (Informer::detached(), Informer::detached());
    all_pods.add_index(BY_NODE, |pod: &Pod| node_name(pod).map(str::to_owned).into_iter().collect());
    nodes.into_iter().for_each(|node| all_nodes.apply(node));
    pods.into_iter().for_each(|pod| all_pods.apply(pod));
    let collector = Arc::new(Collector { client, pods: all_pods, nodes: all_nodes, threshold: 2 });
    let queue = WorkQueue::new("test");
    watch(&collector, &queue);
    World { collector, queue, calls }
}

/// An API without nodes that takes everything else.
fn willing(call: &Call) -> (u16, Value) {
    match call.path.starts_with("/api/v1/nodes") {
        true => refusal(404, "NotFound", "…"),
        false => (200, serde_json::to_value(pod("any", None, "Failed")).unwrap()),
    }
}

impl World {
    /// Works until nothing is left to do; how long that took.
    async fn settle(&self) -> Duration {
        let begin = Instant::now();
        while let Ok(place) = timeout(Duration::from_secs(3600), self.queue.next()).await {
            self.collector.reconcile(&place).await.unwrap();
            self.queue.done(&place);
        }
        begin.elapsed() - Duration::from_secs(3600)
    }
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_node_that_stays_away_are_failed_and_deleted_without_grace() {
    let pods = vec![
        pod("runs", Some("gone"), "Running"),
        pod("done", Some("gone"), "Succeeded"),
        pod("fine", Some("here"), "Running"),
    ];
    let world = world(vec![node("here", "", true)], pods, willing);
    assert!(world.settle().await >= QUARANTINE);
    let mut lines = world.calls.lines();
    lines.sort();
    let path = "/api/v1/namespaces/shop/pods";
    assert_eq!(
        lines,
        [
            format!("DELETE {path}/done"),
            format!("DELETE {path}/runs"),
            "GET /api/v1/nodes/gone".to_owned(),
            format!("PATCH {path}/runs/status"),
        ]
    );
    let call = |method: &str| world.calls.all().into_iter().find(|call| call.method == method).unwrap();
    let status = &call("PATCH").body["status"];
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["conditions"][0]["type"], "DisruptionTarget");
    assert_eq!(status["conditions"][0]["reason"], "DeletionByPodGC");
    assert_eq!(status["conditions"][0]["message"], "PodGC: node no longer exists");
    assert_eq!(call("DELETE").body["gracePeriodSeconds"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_came_back_or_that_only_the_api_knows_keeps_its_pods() {
    let world = world(
        vec![node("back", "", true)],
        vec![pod("a", Some("back"), "Running"), pod("b", Some("new"), "Running")],
        |call| match call.path.as_str() {
            "/api/v1/nodes/new" => (200, serde_json::to_value(node("new", "", true)).unwrap()),
            _ => refusal(500, "InternalError", "nothing else is asked"),
        },
    );
    world.collector.nodes.remove(node("back", "", true));
    world.collector.nodes.apply(node("back", "", true));
    world.settle().await;
    assert_eq!(world.calls.lines(), ["GET /api/v1/nodes/new"]);
}

#[tokio::test(start_paused = true)]
async fn pods_that_leave_are_helped_when_nobody_runs_them() {
    let nodes = vec![
        node("out", OUT_OF_SERVICE, false),
        node("marked", OUT_OF_SERVICE, true),
        node("down", "", false),
    ];
    let pods = vec![
        leaving(pod("unscheduled", None, "Pending")),
        leaving(pod("on-out", Some("out"), "Running")),
        leaving(pod("on-marked", Some("marked"), "Running")),
        leaving(pod("on-down", Some("down"), "Running")),
        pod("stays-on-out", Some("out"), "Running"),
        pod("waits", None, "Pending"),
        // Ended, and kept by somebody's finalizer.
        leaving(pod("settled", None, "Failed")),
    ];
    let world = world(nodes, pods, willing);
    world.settle().await;
    let mut touched: Vec<_> = world.calls.lines();
    touched.sort();
    let path = "/api/v1/namespaces/shop/pods";
    let expected = ["DELETE on-out", "DELETE unscheduled", "PATCH on-out/status", "PATCH unscheduled/status"];
    let expected = expected.map(|line| line.replacen(' ', &format!(" {path}/"), 1));
    assert_eq!(touched, expected);
}

#[tokio::test(start_paused = true)]
async fn of_too_many_terminated_pods_the_evicted_and_then_the_oldest_go() {
    let mut evicted = created(pod("evicted", Some("here"), "Failed"), 9);
    evicted.status.as_mut().unwrap().reason = Some("Evicted".into());
    let pods = vec![
        created(pod("young", Some("here"), "Succeeded"), 8),
        created(pod("old", Some("here"), "Failed"), 1),
        created(pod("middle", Some("here"), "Succeeded"), 5),
        created(pod("runs", Some("here"), "Running"), 0),
        evicted,
    ];
    let world = world(vec![node("here", "", true)], pods, willing);
    world.settle().await;
    let mut lines = world.calls.lines();
    lines.sort();
    let path = "/api/v1/namespaces/shop/pods";
    assert_eq!(lines, [format!("DELETE {path}/evicted"), format!("DELETE {path}/old")]);
}

#[tokio::test(start_paused = true)]
async fn how_many_terminated_pods_are_kept_is_the_administrators_to_say() {
    for (threshold, deleted) in [(1, 1), (0, 0)] {
        let options = Options { terminated_pod_threshold: threshold, ..Options::new("") };
        let (context, _) = Context::detached(options);
        context.nodes().apply(node("here", "", true));
        context.pods().apply(created(pod("old", Some("here"), "Failed"), 1));
        context.pods().apply(created(pod("young", Some("here"), "Failed"), 2));
        let (client, calls) = fake_api(willing);
        // Time passes only when there is nothing to do.
        let _ = timeout(Duration::from_secs(60), run(context, client)).await;
        assert_eq!(calls.lines().len(), deleted, "of two, {threshold} are kept");
    }
}
