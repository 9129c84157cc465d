//! Titles of sig-instrumentation: one event, seen in two groups.

use serde_json::{Value, json};

use super::Title;
use super::cluster::{Cluster, items, names, until_there_are};
use super::life::{contains, is_gone};

pub(super) const TITLES: &[Title] = &[
    Title::new("Events API", "delete a collection of events (events.k8s.io/v1)", delete_collection_of_new),
    Title::new("Events API", "fetch/patch/delete/list an event (events.k8s.io/v1)", life_of_new),
    Title::new("Events", "delete a collection of events (core/v1)", delete_collection_of_core),
    Title::new("Events", "manage the lifecycle of an event (core/v1)", life_of_core),
];

const NEW: &str = "events.k8s.io/v1";

fn new_event(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": NEW, "kind": "Event",
        "metadata": {"name": name, "labels": {"testevent-set": "true"}},
        "regarding": {"kind": "Pod", "namespace": namespace, "name": "test-pod"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "note": "This is test-event", "action": "Do", "reason": "Test", "type": "Normal",
        "reportingController": "test-controller", "reportingInstance": "test-node",
    })
}

fn core_event(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "labels": {"testevent-constant": "true"}},
        "message": "This is a test event", "reason": "Test", "type": "Normal", "count": 1,
        "involvedObject": {"namespace": namespace},
    })
}

fn life_of_new(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.of(NEW, "events");
    let one = format!("{path}/event-test");
    api.post(&path, &new_event("event-test", &namespace.name)).ok();
    let find = |list: &str| api.get(list).ok();
    assert!(names(&find("/apis/events.k8s.io/v1/events")).contains(&"event-test"));
    let selector = "fieldSelector=reportingController%3Dtest-controller";
    assert_eq!(names(&find(&format!("{path}?{selector}"))), ["event-test"]);
    assert_eq!(
        names(&find(&format!(
            "/apis/events.k8s.io/v1/events?{selector},metadata.namespace%3D{}",
            namespace.name
        )))
        .len(),
        1
    );
    let patch = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    let mut object = find(&one);
    object["series"] = json!({"count": 100, "lastObservedTime": "2026-01-01T00:00:02.000000Z"});
    let updated = api.put(&one, &object).ok();
    assert_eq!(updated["series"]["count"], 100);
    assert_eq!(updated["eventTime"], "2026-01-01T00:00:00.000000Z");
    let core = find(&namespace.core("events/event-test"));
    assert_eq!((&core["message"], &core["series"]["count"]), (&"This is test-event".into(), &100.into()));
    api.delete(&one).ok();
    assert!(is_gone(&api.get(&one)) && items(&find(&path)).is_empty());
}

fn delete_collection_of_new(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let path = namespace.of(NEW, "events");
    collection(cluster, &path, |name| new_event(name, &namespace.name), "testevent-set");
}

fn delete_collection_of_core(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let path = namespace.core("events");
    collection(cluster, &path, |name| core_event(name, &namespace.name), "testevent-constant");
}

fn collection(cluster: &Cluster<'_>, path: &str, event: impl Fn(&str) -> Value, label: &str) {
    for name in ["test-event-1", "test-event-2", "test-event-3"] {
        cluster.api.post(path, &event(name)).ok();
    }
    let own = format!("{path}?labelSelector={label}%3Dtrue");
    assert_eq!(items(&cluster.api.get(&own).ok()).len(), 3);
    cluster.api.delete_with(&own, &json!({})).ok();
    until_there_are(&cluster.api, &own, 0);
}

fn life_of_core(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("events");
    let one = format!("{path}/event-test");
    api.post(&path, &core_event("event-test", &namespace.name)).ok();
    let everywhere = "/api/v1/events?labelSelector=testevent-constant%3Dtrue";
    assert!(names(&api.get(everywhere).ok()).contains(&"event-test"));
    let patch = json!({"message": "This is a test event - patched"});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    let mut object = api.get(&one).ok();
    object["series"] = json!({"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"});
    assert_eq!(api.put(&one, &object).ok()["series"]["count"], 2);
    assert_eq!(api.get(&one).ok()["message"], "This is a test event - patched");
    api.delete(&one).ok();
    let own = format!("{path}?labelSelector=testevent-constant%3Dtrue");
    assert!(items(&api.get(&own).ok()).is_empty());
}
