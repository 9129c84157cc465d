//! What is promised of the replica set, shown by example.

use std::sync::atomic::{AtomicUsize, Ordering};

use keelson_controller_runtime::EventRecorder;
use serde_json::{Value, json};

use super::samples::{pod, ready, set, terminating};
use super::*;
use crate::fake_api::{Call, Calls, fake_api, refusal};
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController, ReplicationControllerSpec};

/// A controller whose cache is filled by hand, and what it asks of the API.
struct World {
    controller: Controller<ReplicaSet>,
    queue: WorkQueue<ObjectKey>,
    calls: Calls,
}

fn controller<K: Keeper>(
    answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
) -> (Controller<K>, Calls) {
    let (client, calls) = fake_api(answer);
    let (sets, pods) = (Informer::detached(), Informer::detached());
    kin::index(&sets);
    kin::index(&pods);
    let (events, _) = EventRecorder::detached();
    let control = PodControl::new(client.clone(), events);
    (Controller { client, sets, pods, control, expectations: Arc::default() }, calls)
}

fn world(answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static) -> World {
    let (controller, calls) = controller(answer);
    let queue = WorkQueue::new("test");
    controller.watch(&queue);
    World { controller, queue, calls }
}

/// Every creation gives another pod, every other write succeeds.
fn willing() -> impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static {
    let created = AtomicUsize::new(0);
    move |call| match (call.method.as_str(), call.path.rsplit_once('/')) {
        ("POST", _) => {
            let name = format!("new-{}", created.fetch_add(1, Ordering::Relaxed));
            (201, serde_json::to_value(pod(&name)).unwrap())
        }
        ("PUT", _) => (200, call.body.clone()),
        (_, Some((_, name))) => (200, serde_json::to_value(pod(name)).unwrap()),
        (_, None) => refusal(404, "NotFound", "…"),
    }
}

impl World {
    async fn reconcile(&self) -> Result<Next, Error> {
        self.controller.reconcile(&ObjectKey::new("shop", "web")).await
    }

    /// How often each kind of request was made.
    fn count(&self, line: &str) -> usize {
        self.calls.lines().iter().filter(|call| call.starts_with(line)).count()
    }

    fn told(&self) -> Value {
        self.calls.all().iter().rfind(|call| call.method == "PUT").map_or(Value::Null, |call| {
            assert_eq!(call.path, "/apis/apps/v1/namespaces/shop/replicasets/web/status");
            call.body["status"].clone()
        })
    }
}

const CREATE: &str = "POST /api/v1/namespaces/shop/pods";
const DELETE: &str = "DELETE /api/v1/namespaces/shop/pods";

#[tokio::test]
async fn missing_pods_are_created_once_and_again_only_after_the_cache_shows_them() {
    let world = world(willing());
    world.controller.sets.apply(set(3));
    world.reconcile().await.unwrap();
    assert_eq!(world.count(CREATE), 3);
    assert_eq!(world.told()["replicas"], 0);
    let again = world.reconcile().await.unwrap();
    assert_eq!(world.count(CREATE), 3, "they are on their way");
    assert!(
        matches!(again, Next::After(_)),
        "should one of them never show, nothing else brings the set again"
    );
    for name in ["new-0", "new-1", "new-2"] {
        world.controller.pods.apply(pod(name));
    }
    world.controller.pods.remove(pod("new-1"));
    world.reconcile().await.unwrap();
    assert_eq!(world.count(CREATE), 4);
    assert_eq!(world.told()["replicas"], 2);
}

#[tokio::test]
async fn surplus_pods_are_deleted_the_least_useful_first() {
    let world = world(willing());
    world.controller.sets.apply(set(1));
    world.controller.pods.apply(pod("a"));
    world.controller.pods.apply(ready(pod("b"), 0));
    world.controller.pods.apply(pod("c"));
    world.reconcile().await.unwrap();
    assert_eq!((world.count(DELETE), world.count(&format!("{DELETE}/b"))), (2, 0));
    world.reconcile().await.unwrap();
    assert_eq!(world.count(DELETE), 2);
    // A deletion time is enough to go on.
    world.controller.pods.apply(terminating(pod("a")));
    world.controller.pods.apply(terminating(pod("c")));
    let mut none = set(0);
    none.metadata.resource_version = Some("2".into());
    world.controller.sets.apply(none);
    world.reconcile().await.unwrap();
    assert_eq!(world.count(&format!("{DELETE}/b")), 1);
    assert_eq!((&world.told()["replicas"], &world.told()["terminatingReplicas"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn pods_that_have_ended_are_replaced_and_left_to_others() {
    let world = world(willing());
    world.controller.sets.apply(set(1));
    let mut failed = pod("a");
    failed.status.as_mut().unwrap().phase = Some("Failed".into());
    world.controller.pods.apply(failed);
    world.reconcile().await.unwrap();
    assert_eq!((world.count(CREATE), world.count(DELETE)), (1, 0));
}

#[tokio::test]
async fn a_refused_creation_is_told_and_tried_again() {
    let world = world(|call| match call.method.as_str() {
        "POST" => refusal(403, "Forbidden", "exceeded quota"),
        _ => (200, call.body.clone()),
    });
    world.controller.sets.apply(set(30));
    let error = world.reconcile().await.unwrap_err();
    assert!(matches!(error, Error::Create(_)));
    assert_eq!(world.count(CREATE), 1, "one try is enough to know");
    let condition = &world.told()["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["reason"]),
        (&json!("ReplicaFailure"), &json!("FailedCreate"))
    );
    assert_eq!(condition["message"], "exceeded quota");
    world.reconcile().await.unwrap_err();
    assert_eq!(world.count(CREATE), 2, "a failure is no longer expected");
}

#[tokio::test]
async fn a_set_that_is_being_deleted_creates_nothing() {
    let world = world(willing());
    let mut leaving = set(3);
    leaving.metadata.deletion_timestamp = terminating(pod("a")).metadata.deletion_timestamp;
    world.controller.sets.apply(leaving);
    world.reconcile().await.unwrap();
    assert_eq!(world.calls.lines(), ["PUT /apis/apps/v1/namespaces/shop/replicasets/web/status"]);
}

#[tokio::test]
async fn an_orphan_that_matches_is_adopted_and_counted() {
    let world = world(|call| match call.path.as_str() {
        "/apis/apps/v1/namespaces/shop/replicasets/web" => (200, serde_json::to_value(set(1)).unwrap()),
        "/api/v1/namespaces/shop/pods/a" => (200, serde_json::to_value(pod("a")).unwrap()),
        _ => (200, call.body.clone()),
    });
    world.controller.sets.apply(set(1));
    let mut orphan = pod("a");
    orphan.metadata.owner_references = None;
    world.controller.pods.apply(orphan);
    world.reconcile().await.unwrap();
    assert_eq!((world.count("PATCH"), world.count(CREATE)), (1, 0));
    assert_eq!(world.told()["replicas"], 1);
}

#[tokio::test]
async fn a_pod_that_is_ready_is_looked_at_again_when_it_becomes_available() {
    let world = world(willing());
    let mut patient = set(1);
    patient.spec.min_ready_seconds = Some(3600);
    world.controller.sets.apply(patient);
    world.controller.pods.apply(ready(pod("a"), Timestamp::now().as_second()));
    let Next::After(rest) = world.reconcile().await.unwrap() else { panic!("it is not available yet") };
    assert!(rest > Duration::from_secs(3500) && rest <= Duration::from_secs(3601), "{rest:?}");
}

#[tokio::test]
async fn a_status_that_says_nothing_new_is_not_written() {
    let world = world(willing());
    world.controller.sets.apply(set(1));
    world.controller.pods.apply(pod("a"));
    world.reconcile().await.unwrap();
    let mut told = set(1);
    told.metadata.resource_version = Some("2".into());
    told.status = serde_json::from_value(world.told()).unwrap();
    world.controller.sets.apply(told);
    world.reconcile().await.unwrap();
    assert_eq!(world.count("PUT"), 1);
}

#[tokio::test]
async fn a_set_hears_of_its_pods_and_of_orphans_that_it_selects() {
    let world = world(willing());
    let heard = || async {
        let any = world.queue.len();
        if any > 0 {
            let key = world.queue.next().await;
            world.queue.done(&key);
        }
        any
    };
    world.controller.sets.apply(set(1));
    assert_eq!(heard().await, 1, "of itself");
    let version = |mut pod: Pod, version: &str| {
        pod.metadata.resource_version = Some(version.into());
        pod
    };
    world.controller.pods.apply(pod("a"));
    assert_eq!(heard().await, 1, "of its pod");
    let mut orphan = version(pod("a"), "2");
    orphan.metadata.owner_references = None;
    world.controller.pods.apply(orphan.clone());
    assert_eq!(heard().await, 1, "of the loss of its pod");
    let mut changed = version(orphan.clone(), "3");
    changed.status = None;
    world.controller.pods.apply(changed.clone());
    assert_eq!(heard().await, 0, "what an orphan does is its own affair");
    changed.metadata.labels.as_mut().unwrap().insert("more".into(), "labels".into());
    world.controller.pods.apply(version(changed.clone(), "4"));
    assert_eq!(heard().await, 1, "unless it is a match now");
    world.controller.pods.remove(version(changed, "5"));
    assert_eq!(heard().await, 0);
    let mut foreign = pod("b");
    foreign.metadata.owner_references.as_mut().unwrap()[0].uid = "an-earlier-web".into();
    world.controller.pods.apply(foreign);
    assert_eq!(heard().await, 0, "a set of the same name is not the same set");
}

#[tokio::test]
async fn a_replication_controller_keeps_its_pods_in_the_same_way() {
    let (controller, calls) = controller::<ReplicationController>(willing());
    let ReplicaSet { metadata, spec, .. } = set(2);
    let template: Option<PodTemplateSpec> = spec.template;
    let spec = ReplicationControllerSpec {
        replicas: spec.replicas,
        selector: spec.selector.match_labels,
        template,
        ..ReplicationControllerSpec::default()
    };
    let mut old = ReplicationController { metadata, spec: Some(spec), status: None };
    controller.sets.apply(old.clone());
    let key = ObjectKey::new("shop", "web");
    controller.reconcile(&key).await.unwrap();
    let line =
        |start: &str| calls.all().iter().filter(|call| call.method == start).cloned().collect::<Vec<_>>();
    let created = line("POST");
    assert_eq!(created.len(), 2);
    assert_eq!(created[0].body["metadata"]["ownerReferences"][0]["kind"], "ReplicationController");
    let told = line("PUT");
    assert_eq!(told[0].path, "/api/v1/namespaces/shop/replicationcontrollers/web/status");
    assert_eq!(told[0].body["status"]["observedGeneration"], 4);
    // What its kind does not tell is no reason to tell the rest again.
    old.status = serde_json::from_value(told[0].body["status"].clone()).unwrap();
    old.metadata.resource_version = Some("2".into());
    controller.sets.apply(old);
    controller.reconcile(&key).await.unwrap();
    assert_eq!(line("PUT").len(), 1);
}
