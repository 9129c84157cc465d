//! The controller against an API of its own.

use serde_json::{Value, json};

use super::*;
use crate::Options;
use crate::backends::testing::{ServiceBuilder, service};
use crate::fake_api::{Call, Calls, fake_api};

const API: &str = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";

fn by_hand() -> ServiceBuilder {
    service("db").spec(|spec| spec.selector = None)
}

fn endpoints(ip: &str) -> Endpoints {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"namespace": "shop", "name": "db", "uid": "db-uid"},
        "subsets": [{"addresses": [{"ip": ip}], "ports": [{"port": 5432}]}],
    }))
    .unwrap()
}

fn accepted(call: &Call) -> (u16, Value) {
    if call.method == "DELETE" {
        return (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}));
    }
    let mut object = call.body.clone();
    object["metadata"]["name"] = json!("db-1");
    object["metadata"]["uid"] = json!("s1");
    (200, object)
}

fn start(fill: impl FnOnce(&Context)) -> (Arc<Context>, Calls) {
    let (client, calls) = fake_api(accepted);
    let (context, _) = Context::detached(Options::new(""));
    fill(&context);
    tokio::spawn(run(Arc::clone(&context), client));
    (context, calls)
}

#[tokio::test(start_paused = true)]
async fn endpoints_are_mirrored_as_long_as_their_service_has_no_selector() {
    let (context, calls) = start(|context| context.endpoints().apply(endpoints("192.0.2.1")));
    context.services().apply(by_hand().build());
    calls.wait_for(1).await;
    let created = calls.all()[0].clone();
    assert_eq!((created.method.as_str(), created.path.as_str()), ("POST", API));
    context.endpoint_slices().apply(serde_json::from_value(accepted(&created).1).unwrap());
    context.endpoints().apply(endpoints("192.0.2.2"));
    calls.wait_for(2).await;
    let updated = calls.all()[1].clone();
    assert_eq!(updated.body["endpoints"][0]["addresses"], json!(["192.0.2.2"]));
    context.endpoint_slices().apply(serde_json::from_value(updated.body).unwrap());
    context.services().apply(service("db").build());
    calls.wait_for(3).await;
    assert_eq!(calls.lines()[1..], [format!("PUT {API}/db-1"), format!("DELETE {API}/db-1")]);
}

#[tokio::test(start_paused = true)]
async fn the_mirror_goes_with_what_it_mirrors() {
    let (context, calls) = start(|context| {
        context.endpoints().apply(endpoints("192.0.2.1"));
        context.services().apply(by_hand().build());
    });
    calls.wait_for(1).await;
    context.endpoint_slices().apply(serde_json::from_value(accepted(&calls.all()[0]).1).unwrap());
    context.endpoints().remove(endpoints("192.0.2.1"));
    calls.wait_for(2).await;
    assert_eq!(calls.lines()[1], format!("DELETE {API}/db-1"));
}
