//! The controller against an API of its own.

use serde_json::json;

use super::*;
use crate::Options;
use crate::fake_api::{Call, Calls, fake_api, refusal};
use crate::node_lifecycle::testing::node;

type Events = tokio::sync::mpsc::Receiver<keelson_controller_runtime::RecordedEvent>;

fn start(
    cluster_cidr: &str,
    answer: impl Fn(&Call) -> (u16, serde_json::Value) + Send + Sync + 'static,
) -> (Arc<Context>, Calls, Events) {
    let (client, calls) = fake_api(answer);
    let options = Options { cluster_cidrs: vec![cluster_cidr.into()], ..Options::new("") };
    let (context, events) = Context::detached(options);
    tokio::spawn(run(Arc::clone(&context), client));
    (context, calls, events)
}

fn accepted(_: &Call) -> (u16, serde_json::Value) {
    (200, json!({"metadata": {"name": "a"}}))
}

fn settled(name: &str, cidr: &str) -> Node {
    let mut node = node(name).version("9").build();
    let spec = node.spec.get_or_insert_default();
    spec.pod_cidr = Some(cidr.into());
    spec.pod_cidrs = Some(vec![cidr.into()]);
    node
}

#[tokio::test(start_paused = true)]
async fn a_node_claims_its_addresses_and_then_has_them() {
    let (context, calls, _events) = start("10.244.0.0/16", accepted);
    context.nodes().apply(node("a").build());
    calls.wait_for(1).await;
    let claim = calls.all()[0].clone();
    assert_eq!((claim.method.as_str(), claim.path.as_str()), ("PATCH", "/api/v1/nodes/a"));
    let annotations = json!({"keelson.dev/pod-cidr-claim": "10.244.0.0/24"});
    assert_eq!(
        claim.body,
        json!({"metadata": {"resourceVersion": "1", "uid": "a-uid", "annotations": annotations}})
    );
    context.nodes().apply(node("b").build());
    calls.wait_for(2).await;
    assert_eq!(
        calls.all()[1].body["metadata"]["annotations"],
        json!({"keelson.dev/pod-cidr-claim": "10.244.1.0/24"}),
        "what was claimed for another is not free, although the cache does not show it"
    );
    let mut claimed = node("a").version("2").build();
    claimed.metadata.annotations = serde_json::from_value(annotations).unwrap();
    context.nodes().apply(claimed);
    calls.wait_for(3).await;
    assert_eq!(
        calls.all()[2].body,
        json!({
            "metadata": {
                "resourceVersion": "2",
                "uid": "a-uid",
                "annotations": {"keelson.dev/pod-cidr-claim": null},
            },
            "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn addresses_of_a_node_that_goes_are_for_one_that_waits() {
    let (context, calls, mut events) = start("10.244.0.0/24", accepted);
    context.nodes().apply(settled("a", "10.244.0.0/24"));
    context.nodes().apply(node("b").build());
    let event = events.recv().await.unwrap();
    assert_eq!((event.reason, event.kind, event.component), ("CIDRNotAvailable", "Normal", "cidrAllocator"));
    assert_eq!(event.message, "Node b status is now: CIDRNotAvailable");
    assert_eq!(calls.lines(), [""; 0]);
    context.nodes().remove(settled("a", "10.244.0.0/24"));
    calls.wait_for(1).await;
    assert_eq!(calls.lines(), ["PATCH /api/v1/nodes/b"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_comes_too_late_is_given_up_until_the_cache_shows_why() {
    let (context, calls, _events) = start("10.244.0.0/16", |_| refusal(409, "Conflict", "changed"));
    context.nodes().apply(node("a").build());
    calls.wait_for(1).await;
    context.nodes().apply(node("a").version("2").build());
    calls.wait_for(2).await;
    assert_eq!(calls.all()[1].body["metadata"]["resourceVersion"], "2");
}

#[tokio::test(start_paused = true)]
async fn two_nodes_with_the_same_addresses_are_told_of() {
    let (context, _calls, mut events) = start("10.244.0.0/16", accepted);
    context.nodes().apply(settled("a", "10.244.0.0/24"));
    context.nodes().apply(settled("b", "10.244.0.0/24"));
    let event = events.recv().await.unwrap();
    assert_eq!((event.reason, event.kind), ("CIDRAssignmentFailed", "Warning"));
    assert!(event.message.starts_with("Node b shares pod addresses with Node a"), "{}", event.message);
}

#[tokio::test(start_paused = true)]
async fn ranges_that_make_no_sense_give_nobody_anything() {
    let (context, calls, _events) = start("10.244.0.0/25", accepted);
    context.nodes().apply(node("a").build());
    tokio::time::sleep(PATIENCE * 2).await;
    assert_eq!(calls.lines(), [""; 0]);
}
