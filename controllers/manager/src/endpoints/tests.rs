//! The controller against an API of its own.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::*;
use crate::Options;
use crate::backends::testing::{NAMESPACE, pod, service};
use crate::fake_api::{Call, Calls, fake_api, refusal};

/// The endpoints API of the namespace.
const API: &str = "/api/v1/namespaces/shop/endpoints";

/// Answers with what was sent.
fn accepted(call: &Call) -> (u16, Value) {
    match call.method.as_str() {
        "DELETE" => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
        _ => (200, call.body.clone()),
    }
}

fn endpoints(name: &str, labels: &Value) -> Endpoints {
    let metadata = json!({"namespace": NAMESPACE, "name": name, "uid": "e1", "labels": labels});
    serde_json::from_value(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata})).unwrap()
}

fn ours() -> Value {
    json!({MANAGED_BY.0: MANAGED_BY.1})
}

/// A running controller, its API, and what it tells.
struct Scene {
    context: Arc<Context>,
    calls: Calls,
    events: tokio::sync::mpsc::Receiver<keelson_controller_runtime::RecordedEvent>,
}

impl Scene {
    fn start(
        fill: impl FnOnce(&Context),
        answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let (client, calls) = fake_api(answer);
        let (context, events) = Context::detached(Options::new(""));
        fill(&context);
        tokio::spawn(run(Arc::clone(&context), client));
        Self { context, calls, events }
    }
}

#[tokio::test(start_paused = true)]
async fn pods_that_become_ready_together_are_one_update() {
    let scene = Scene::start(
        |context| context.services().apply(service("web").port("", 80, IntOrString::Int(8080)).build()),
        accepted,
    );
    for at in 1..=50 {
        scene.context.pods().apply(pod(&format!("p{at}")).ip(&format!("10.1.0.{at}")).ready(true).build());
    }
    scene.calls.wait_for(1).await;
    let created = &scene.calls.all()[0];
    assert_eq!((created.method.as_str(), created.path.as_str()), ("POST", API));
    scene.context.endpoints().apply(serde_json::from_value(created.body.clone()).unwrap());
    for at in 1..=50 {
        scene.context.pods().apply(pod(&format!("p{at}")).ip(&format!("10.1.0.{at}")).ready(false).build());
    }
    scene.calls.wait_for(2).await;
    let updated = &scene.calls.all()[1];
    assert_eq!((updated.method.as_str(), updated.path.as_str()), ("PUT", format!("{API}/web").as_str()));
    assert_eq!(updated.body["subsets"][0]["notReadyAddresses"].as_array().map(Vec::len), Some(50));
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_somebody_changed_or_deleted_are_put_right() {
    let scene = Scene::start(|context| context.services().apply(service("web").build()), accepted);
    scene.calls.wait_for(1).await;
    let mut changed = endpoints("web", &ours());
    changed.subsets = Some(vec![Default::default()]);
    scene.context.endpoints().apply(changed.clone());
    scene.calls.wait_for(2).await;
    scene.context.endpoints().remove(changed);
    scene.calls.wait_for(3).await;
    assert_eq!(scene.calls.lines(), [format!("POST {API}"), format!("PUT {API}/web"), format!("POST {API}")]);
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_others_are_never_touched_and_ours_go_with_their_service() {
    let scene = Scene::start(
        |context| {
            context.endpoints().apply(endpoints("left-over", &ours()));
            context.endpoints().apply(endpoints("nobodys", &json!({})));
            context.endpoints().apply(endpoints("by-hand", &json!({})));
            context.services().apply(service("by-hand").spec(|spec| spec.selector = None).build());
            let of_the_servers = |mut service: Service| {
                service.metadata.namespace = Some("default".into());
                service
            };
            context.services().apply(of_the_servers(service("kubernetes").build()));
        },
        accepted,
    );
    scene.calls.wait_for(1).await;
    scene.context.services().apply(service("web").build());
    scene.calls.wait_for(2).await;
    scene.context.endpoints().apply(endpoints("web", &ours()));
    scene.context.services().remove(service("by-hand").spec(|spec| spec.selector = None).build());
    scene.context.services().remove(service("web").build());
    scene.calls.wait_for(3).await;
    let lines = [format!("DELETE {API}/left-over"), format!("POST {API}"), format!("DELETE {API}/web")];
    assert_eq!(scene.calls.lines(), lines);
    assert_eq!(scene.calls.all()[0].body["preconditions"], json!({"uid": "e1"}));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_and_tried_again() {
    let mut scene = Scene::start(
        |context| context.services().apply(service("web").build()),
        |_| refusal(403, "Forbidden", "no"),
    );
    scene.calls.wait_for(2).await;
    let event = scene.events.recv().await.unwrap();
    assert_eq!((event.reason, event.kind, event.component), ("FailedToCreateEndpoint", "Warning", COMPONENT));
    assert_eq!(event.message, "Failed to create endpoint for service shop/web: no");
}
