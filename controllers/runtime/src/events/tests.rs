//! Events written to an API of the test's.

use k8s_openapi::api::core::v1::Pod;

use super::*;
use crate::testing::{Server, api};

fn pod() -> ObjectReference {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "x", "uid": "u1", "resourceVersion": "7"},
    }))
    .unwrap();
    reference_to(&pod)
}

fn recorder() -> (EventRecorder, Server) {
    let (client, server) = api();
    let (recorder, writing) = EventRecorder::new(client, "scheduler", None);
    tokio::spawn(writing);
    (recorder, server)
}

#[test]
fn a_reference_names_the_object_and_its_version() {
    let reference = pod();
    assert_eq!((reference.api_version.as_deref(), reference.kind.as_deref()), (Some("v1"), Some("Pod")));
    assert_eq!((reference.namespace.as_deref(), reference.name.as_deref()), (Some("x"), Some("web")));
    assert_eq!((reference.uid.as_deref(), reference.resource_version.as_deref()), (Some("u1"), Some("7")));
}

#[tokio::test(start_paused = true)]
async fn the_first_is_created_and_repeats_are_patched() {
    let (recorder, mut server) = recorder();
    recorder.of_component("other").warning(&pod(), "FailedScheduling", "no room");
    let creation = server.asked().await;
    assert_eq!(creation.line(), "POST /api/v1/namespaces/x/events");
    assert_eq!(creation.body["type"], "Warning");
    assert_eq!(creation.body["source"]["component"], "other");
    let event = creation.body.clone();
    creation.answer(201, &event);
    recorder.of_component("other").warning(&pod(), "FailedScheduling", "no room");
    let patch = server.asked().await;
    let name = event["metadata"]["name"].as_str().unwrap();
    assert_eq!(patch.line(), format!("PATCH /api/v1/namespaces/x/events/{name}"));
    assert_eq!(patch.body["count"], 2);
    patch.refuse(404, "NotFound");
    let again = server.asked().await;
    assert_eq!(
        (again.line().as_str(), &again.body["count"]),
        ("POST /api/v1/namespaces/x/events", &json!(2))
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_away_is_waited_for_and_a_refusal_is_taken() {
    let (recorder, mut server) = recorder();
    recorder.normal(&pod(), "Scheduled", "to n1");
    server.asked().await.hang_up();
    server.asked().await.refuse(503, "ServiceUnavailable");
    server.asked().await.refuse(403, "Forbidden");
    recorder.normal(&pod(), "Started", "it runs");
    assert_eq!(server.asked().await.body["reason"], "Started");
}

#[tokio::test]
async fn telling_never_waits() {
    let (client, _server) = api();
    let (recorder, _nobody_writes) = EventRecorder::new(client, "scheduler", None);
    for _ in 0..2 * BUFFER {
        recorder.normal(&pod(), "Scheduled", "again");
    }
}

#[tokio::test]
async fn a_detached_recorder_gives_its_events_to_the_test() {
    let (recorder, mut events) = EventRecorder::detached();
    recorder.warning(&pod(), "Failed", "it does not work");
    let event = events.recv().await.unwrap();
    assert_eq!((event.kind, event.reason, event.message.as_str()), ("Warning", "Failed", "it does not work"));
}
