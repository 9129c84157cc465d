//! The controller against an API of its own.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::*;
use crate::Options;
use crate::backends::testing::{ServiceBuilder, pod, service};
use crate::fake_api::{Call, Calls, fake_api, refusal};
use crate::node_lifecycle::testing::node;

fn web() -> ServiceBuilder {
    service("web").port("", 80, IntOrString::Int(8080))
}

/// Answers as a server that gives every new slice the same name.
fn accepted(call: &Call) -> (u16, Value) {
    let mut object = call.body.clone();
    if call.method == "POST" {
        object["metadata"]["name"] = json!("web-1");
        object["metadata"]["uid"] = json!("s1");
        object["metadata"]["generation"] = json!(1);
    } else {
        object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap() + 1);
    }
    (200, object)
}

/// The slice that an accepted call left.
fn served(call: &Call) -> EndpointSlice {
    serde_json::from_value(accepted(call).1).unwrap()
}

fn start(
    fill: impl FnOnce(&Context),
    answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
) -> (Arc<Context>, Calls, tokio::sync::mpsc::Receiver<keelson_controller_runtime::RecordedEvent>) {
    let (client, calls) = fake_api(answer);
    let (context, events) = Context::detached(Options::new(""));
    context.nodes().apply(node("node-1").build());
    fill(&context);
    tokio::spawn(run(Arc::clone(&context), client));
    (context, calls, events)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_twice_while_the_cache_is_behind() {
    let (context, calls, _events) = start(|context| context.services().apply(web().build()), accepted);
    calls.wait_for(1).await;
    context.pods().apply(pod("a").ip("10.1.0.1").ready(true).build());
    // Longer than it takes to look again, and again.
    tokio::time::sleep(CACHE_PATIENCE * 5).await;
    assert_eq!(calls.lines(), ["POST /apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"]);
    context.endpoint_slices().apply(served(&calls.all()[0]));
    calls.wait_for(2).await;
    let updated = &calls.all()[1];
    assert_eq!(updated.path, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-1");
    assert_eq!(updated.body["endpoints"][0]["addresses"], json!(["10.1.0.1"]));
}

#[tokio::test(start_paused = true)]
async fn slices_follow_their_pods_and_the_zones_of_their_nodes() {
    let (context, calls, _events) = start(
        |context| {
            context.services().apply(web().build());
            context.pods().apply(pod("a").ip("10.1.0.1").ready(true).build());
        },
        accepted,
    );
    calls.wait_for(1).await;
    context.endpoint_slices().apply(served(&calls.all()[0]));
    context.nodes().apply(node("node-1").version("2").label(ZONE_LABEL, "north").build());
    calls.wait_for(2).await;
    let moved = calls.all()[1].clone();
    assert_eq!(moved.body["endpoints"][0]["zone"], "north");
    context.endpoint_slices().apply(served(&moved));
    context.pods().apply(pod("a").ip("10.1.0.1").ready(false).build());
    calls.wait_for(3).await;
    assert_eq!(calls.all()[2].body["endpoints"][0]["conditions"]["ready"], false);
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_somebody_takes_away_or_spoils_is_put_right() {
    let (context, calls, _events) = start(|context| context.services().apply(web().build()), accepted);
    calls.wait_for(1).await;
    let slice = served(&calls.all()[0]);
    context.endpoint_slices().apply(slice.clone());
    let mut spoilt = slice.clone();
    spoilt.metadata.generation = Some(2);
    spoilt.endpoints = Some(vec![Default::default()]);
    context.endpoint_slices().apply(spoilt);
    calls.wait_for(2).await;
    assert_eq!(calls.all()[1].body["endpoints"], json!([]));
    let mut disowned = slice;
    disowned.metadata.labels.get_or_insert_default().insert(MANAGED_BY_LABEL.into(), "me".into());
    context.endpoint_slices().apply(disowned);
    calls.wait_for(3).await;
    assert_eq!(calls.all()[2].method, "POST", "it is somebody else's now");
}

#[tokio::test(start_paused = true)]
async fn only_services_with_selectors_get_slices() {
    let (context, calls, _events) = start(
        |context| {
            context.services().apply(service("by-hand").spec(|spec| spec.selector = None).build());
            context
                .services()
                .apply(service("name").spec(|spec| spec.type_ = Some("ExternalName".into())).build());
            let mut of_the_servers = service("kubernetes").build();
            of_the_servers.metadata.namespace = Some("default".into());
            context.services().apply(of_the_servers);
        },
        accepted,
    );
    context.services().apply(web().build());
    calls.wait_for(1).await;
    assert_eq!(calls.all()[0].body["metadata"]["labels"][SERVICE_LABEL], "web");
    assert_eq!(calls.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_and_tried_again() {
    let (_context, calls, mut events) =
        start(|context| context.services().apply(web().build()), |_| refusal(403, "Forbidden", "no"));
    calls.wait_for(2).await;
    let event = events.recv().await.unwrap();
    assert_eq!((event.reason, event.kind), ("FailedToUpdateEndpointSlices", "Warning"));
    assert_eq!(event.message, "Error updating Endpoint Slices for Service shop/web: no");
}
