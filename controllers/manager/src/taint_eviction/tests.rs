//! The controller against an API of its own.

use serde_json::{Value, json};

use super::*;
use crate::Options;
use crate::backends::testing::{PodBuilder, pod};
use crate::fake_api::{Call, Calls, fake_api, refusal};
use crate::node_lifecycle::testing::node;

const POD: &str = "/api/v1/namespaces/shop/pods/a";

type Events = tokio::sync::mpsc::Receiver<keelson_controller_runtime::RecordedEvent>;

fn accepted(call: &Call) -> (u16, Value) {
    match call.method.as_str() {
        "DELETE" => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
        _ => (200, json!({"metadata": {"name": "a"}, "spec": {"containers": []}})),
    }
}

fn start(answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static) -> (Arc<Context>, Calls, Events) {
    let (client, calls) = fake_api(answer);
    let (context, events) = Context::detached(Options::new(""));
    context.nodes().apply(node("node-1").build());
    tokio::spawn(run(Arc::clone(&context), client));
    (context, calls, events)
}

/// The node gets a taint that evicts.
fn taint(context: &Context, version: &str) {
    context.nodes().apply(node("node-1").version(version).taint("sick", "NoExecute").build());
}

fn patient(seconds: i64) -> PodBuilder {
    pod("a").tolerates("sick", "NoExecute", Some(seconds))
}

async fn next(events: &mut Events) -> (&'static str, &'static str, String) {
    let event = events.recv().await.unwrap();
    (event.kind, event.reason, event.message)
}

fn told(message: &str) -> (&'static str, &'static str, String) {
    ("Normal", "TaintManagerEviction", message.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_does_not_tolerate_the_taint_is_marked_and_deleted() {
    let (context, calls, mut events) = start(accepted);
    context.pods().apply(pod("a").build());
    context.pods().apply(pod("elsewhere").node("node-2").build());
    context.pods().apply(pod("tough").tolerates("sick", "NoExecute", None).build());
    taint(&context, "2");
    calls.wait_for(2).await;
    assert_eq!(calls.lines(), [format!("PATCH {POD}/status"), format!("DELETE {POD}")]);
    let [patch, deletion] = &calls.all()[..] else { panic!("two calls") };
    let condition = &patch.body["status"]["conditions"][0];
    assert_eq!(patch.body["metadata"], json!({"uid": "a-uid"}));
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["reason"], &condition["message"]),
        (
            &json!("DisruptionTarget"),
            &json!("True"),
            &json!("DeletionByTaintManager"),
            &json!("Taint manager: deleting due to NoExecute taint")
        )
    );
    assert_eq!(deletion.body["preconditions"], json!({"uid": "a-uid"}));
    assert_eq!(next(&mut events).await, told("Marking for deletion Pod shop/a"));
}

#[tokio::test(start_paused = true)]
async fn a_patient_pod_goes_when_its_time_is_up() {
    let (context, calls, _events) = start(accepted);
    let begun = Instant::now();
    context.pods().apply(patient(300).build());
    taint(&context, "2");
    calls.wait_for(1).await;
    assert_eq!(begun.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_taint_that_goes_cancels_the_eviction() {
    let (context, calls, mut events) = start(accepted);
    context.pods().apply(patient(300).build());
    taint(&context, "2");
    tokio::time::sleep(Duration::from_secs(299)).await;
    context.nodes().apply(node("node-1").version("3").build());
    assert_eq!(next(&mut events).await, told("Cancelling deletion of Pod shop/a"));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(calls.lines(), [""; 0]);
    taint(&context, "4");
    let again = Instant::now();
    calls.wait_for(1).await;
    assert_eq!(again.elapsed().as_secs(), 300, "a new taint counts anew");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_to_a_tainted_node_is_looked_at() {
    let (context, calls, _events) = start(accepted);
    taint(&context, "2");
    context.pods().apply(pod("a").node("node-2").build());
    context.pods().apply(pod("a").build());
    calls.wait_for(2).await;
    assert_eq!(calls.lines()[1], format!("DELETE {POD}"));
    context.pods().apply(patient(20).uid("other").build());
    let begun = Instant::now();
    calls.wait_for(3).await;
    assert_eq!(begun.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_by_itself_is_left_alone() {
    let (context, calls, _events) = start(accepted);
    context.pods().apply(patient(20).build());
    taint(&context, "2");
    tokio::time::sleep(Duration::from_secs(1)).await;
    context.pods().apply(patient(20).deleted().build());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(calls.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_deletion_is_tried_again_and_told_once() {
    for (code, reason) in [(500, "InternalError"), (409, "Conflict")] {
        let (context, calls, mut events) = start(move |call| match call.method.as_str() {
            "DELETE" => refusal(code, reason, "not now"),
            _ => accepted(call),
        });
        context.pods().apply(pod("a").build());
        taint(&context, "2");
        calls.wait_for(6).await;
        assert_eq!(next(&mut events).await, told("Marking for deletion Pod shop/a"));
        assert!(events.try_recv().is_err());
    }
}
