//! The whole scheduler against an API: what it does and what it tells.

use std::time::Duration;

use keelson_controller_runtime::RecordedEvent;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::plugins;
use crate::testing::api::{Answer, FakeApi};
use crate::testing::{MakeNode, MakePod};

/// A scheduler that runs, the cluster around it, and what it tells.
struct Running {
    nodes: Informer<Node>,
    api: FakeApi,
    told: Receiver<RecordedEvent>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(nodes: impl IntoIterator<Item = MakeNode>) -> Self {
        let (nodes_informer, pods) = (Informer::detached(), Informer::detached());
        let api = FakeApi::followed_by(&pods);
        let informers = Informers {
            nodes: nodes_informer.clone(),
            pods,
            namespaces: Informer::detached(),
            claims: Informer::detached(),
        };
        let inbox = listen(&informers);
        let (events, told) = EventRecorder::detached();
        let core = Core::new(plugins::DEFAULT, "default-scheduler", None, 1);
        let task = tokio::spawn(Scheduler::new(core, api.client(), events, inbox).run());
        let running = Self { nodes: nodes_informer, api, told, task };
        nodes.into_iter().for_each(|node| running.node(node));
        running
    }

    fn node(&self, node: MakeNode) {
        self.nodes.apply(Node::clone(&node.node()));
    }

    /// The next event: `pod Reason: message`.
    async fn next_event(&mut self) -> String {
        let event = timeout(Duration::from_secs(600), self.told.recv()).await.expect("it tells something");
        let event = event.expect("it is running");
        format!("{} {}: {}", event.object.name.unwrap_or_default(), event.reason, event.message)
    }

    /// The pod, once this is true of it.
    async fn until(&self, name: &str, is_so: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let wait = async {
            loop {
                match self.api.get(name).filter(|pod| is_so(pod)) {
                    Some(pod) => return pod,
                    // Time passes only when everybody waits.
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        timeout(Duration::from_secs(600), wait).await.unwrap_or_else(|_| panic!("{:?}", self.api.get(name)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn room(name: &str) -> MakeNode {
    MakeNode::named(name).capacity("1", "1Gi")
}

fn small(name: &str) -> MakePod {
    MakePod::named(name).container("1", "1Gi")
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_and_users_are_told() {
    let mut running = Running::start([room("n")]);
    running.api.create(small("p").pod());
    assert_eq!(running.next_event().await, "p Scheduled: Successfully assigned default/p to n");
    assert_eq!(running.api.node_of("p").as_deref(), Some("n"));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fits_nowhere_says_so_and_is_bound_when_there_is_room() {
    let mut running = Running::start([]);
    running.api.create(small("p").pod());
    assert_eq!(running.next_event().await, "p FailedScheduling: no nodes available to schedule pods");
    running.node(room("n").taint("k", "", "NoSchedule"));
    let message = "0/1 nodes are available: 1 node(s) had untolerated taint(s). \
                   preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    assert_eq!(running.next_event().await, format!("p FailedScheduling: {message}"));
    let pod = running.until("p", |pod| pod["status"]["conditions"][0]["message"] == message).await;
    let condition = &pod["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&"PodScheduled".into(), &"False".into()));
    assert_eq!(
        (&condition["reason"], &condition["observedGeneration"]),
        (&"Unschedulable".into(), &1.into())
    );
    running.node(room("n"));
    assert_eq!(running.next_event().await, "p Scheduled: Successfully assigned default/p to n");
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_is_refused_is_told_and_tried_again() {
    let mut running = Running::start([room("n")]);
    running.api.next("binding", Answer::Refused(403, "not you"));
    running.api.create(small("p").pod());
    let message = "running Bind plugin \"DefaultBinder\": not you";
    assert_eq!(running.next_event().await, format!("p FailedScheduling: {message}"));
    let pod = running.until("p", |pod| pod["status"]["conditions"].is_array()).await;
    assert_eq!(pod["status"]["conditions"][0]["reason"], "SchedulerError");
    assert_eq!(running.next_event().await, "p Scheduled: Successfully assigned default/p to n");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_matters_more_gets_its_room_from_one_that_matters_less() {
    let mut running = Running::start([room("n")]);
    running.api.create(small("victim").node("n").pod());
    running.api.create(small("urgent").priority(9).pod());
    let full = "urgent FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.";
    assert_eq!(running.next_event().await, full);
    assert_eq!(running.next_event().await, "victim Preempted: Preempted by pod urgent on node n");
    assert_eq!(running.next_event().await, "urgent Scheduled: Successfully assigned default/urgent to n");
    assert_eq!(running.api.get("victim"), None);
    let said = running.api.requests("status");
    let target = said.iter().map(|patch| &patch["status"]["conditions"][0]);
    let target = target.clone().find(|condition| condition["type"] == "DisruptionTarget");
    let target = target.expect("the victim says why it goes");
    assert_eq!((&target["status"], &target["reason"]), (&"True".into(), &"PreemptionByScheduler".into()));
    assert_eq!(target["message"], "default-scheduler: preempting to accommodate a higher priority pod");
    assert!(said.iter().any(|patch| patch["status"]["nominatedNodeName"] == "n"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_fails_is_tried_again() {
    let mut running = Running::start([room("n")]);
    running.api.next("pod", Answer::Unavailable);
    running.api.create(small("victim").node("n").pod());
    running.api.create(small("urgent").priority(9).pod());
    loop {
        let event = running.next_event().await;
        if event.contains("Scheduled: Successfully") {
            break;
        }
    }
    assert_eq!(running.api.requests("pod").len(), 2, "deleted at the second attempt");
}

#[tokio::test(start_paused = true)]
async fn a_condition_is_written_also_when_the_server_is_busy_or_away_for_a_moment() {
    let running = Running::start([]);
    for answer in [Answer::Unavailable, Answer::Refused(429, "later"), Answer::DoneButLost] {
        running.api.next("status", answer);
    }
    running.api.create(small("p").pod());
    let pod = running.until("p", |pod| pod["status"]["conditions"].is_array()).await;
    assert_eq!(pod["status"]["conditions"][0]["reason"], "Unschedulable");
}

#[tokio::test(start_paused = true)]
async fn what_is_newer_is_said_last() {
    let mut running = Running::start([]);
    running.api.always("status", Answer::Unavailable);
    running.api.create(small("p").pod());
    assert_eq!(running.next_event().await, "p FailedScheduling: no nodes available to schedule pods");
    running.until("p", |_| running.api.requests("status").len() == 3).await;
    running.node(room("n").unschedulable());
    running.next_event().await;
    let tried = running.api.requests("status").len();
    running.until("p", |_| running.api.requests("status").len() == tried + 6).await;
    for late in &running.api.requests("status")[tried..] {
        let message = late["status"]["conditions"][0]["message"].to_string();
        assert!(message.contains("1 node(s) were unschedulable"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_not_said_of_a_pod_that_is_bound() {
    let api = FakeApi::new();
    let stale = Arc::new(small("p").pod());
    api.create(small("p").node("n").pod());
    api.create(small("p").node("n").pod());
    let condition =
        Condition { kind: "PodScheduled", status: "False", reason: "Unschedulable", message: String::new() };
    let said = Said { condition: Some(condition), nominated_node: NominatedNode::Keep };
    status::write(&api.client(), &stale, &said, Audience::Waiting).await.expect("it is no error");
    assert_eq!(api.get("p").map(|pod| pod["status"]["conditions"].is_null()), Some(true));
    status::write(&api.client(), &stale, &said, Audience::Any)
        .await
        .expect("it is written at the second try");
    assert_eq!(api.get("p").map(|pod| pod["status"]["conditions"].is_array()), Some(true));
}

#[test]
fn an_event_has_room_for_a_thousand_bytes_of_message() {
    assert_eq!(shortened("short"), "short");
    let long = "é".repeat(600);
    let shortened = shortened(&long);
    assert!(shortened.len() <= EVENT_MESSAGE && shortened.ends_with("é ..."), "{shortened}");
}
