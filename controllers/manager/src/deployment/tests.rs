//! What is promised of the deployment, shown by example.

use keelson_controller_runtime::RecordedEvent;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use super::samples::{deployment, recreate, set, settled};
use super::*;
use crate::fake_api::{Call, Calls, fake_api, refusal};

/// A controller whose cache is filled by hand, what it asks of the API and what it tells users.
struct World {
    controller: Controller,
    queue: WorkQueue<ObjectKey>,
    calls: Calls,
    told: Receiver<RecordedEvent>,
}

fn world(answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static) -> World {
    let (client, calls) = fake_api(answer);
    let (events, told) = EventRecorder::detached();
    let controller = Controller {
        client,
        events,
        deployments: Informer::detached(),
        sets: Informer::detached(),
        pods: Informer::detached(),
        freshness: Arc::default(),
    };
    kin::index(&controller.sets);
    kin::index(&controller.pods);
    let queue = WorkQueue::new("test");
    controller.watch(&queue);
    World { controller, queue, calls, told }
}

/// What is written is answered, at version 9.
fn willing(call: &Call) -> (u16, Value) {
    let mut body = match call.method.as_str() {
        "PATCH" => serde_json::to_value(&*set("v1", 1, 3, 3, 3)).unwrap(),
        _ => call.body.clone(),
    };
    body["metadata"]["resourceVersion"] = json!("9");
    (200, body)
}

impl World {
    async fn reconcile(&self) -> Result<Next, Error> {
        self.controller.reconcile(&ObjectKey::new("shop", "web")).await
    }

    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.told.try_recv().ok())
            .map(|event| format!("{} {}", event.reason, event.message))
            .collect()
    }

    /// The bodies of the requests of this kind.
    fn sent(&self, method: &str) -> Vec<Value> {
        self.calls.all().into_iter().filter(|call| call.method == method).map(|call| call.body).collect()
    }

    async fn heard(&self) -> bool {
        let any = !self.queue.is_empty();
        if any {
            let key = self.queue.next().await;
            self.queue.done(&key);
        }
        any
    }
}

const SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";
const STATUS: &str = "PUT /apis/apps/v1/namespaces/shop/deployments/web/status";

#[tokio::test]
async fn a_new_deployment_gets_its_set_and_waits_until_the_cache_shows_it() {
    let mut world = world(willing);
    world.controller.deployments.apply(deployment("v1", 3));
    assert_eq!(world.reconcile().await.unwrap(), Next::After(std::time::Duration::from_secs(601)));
    assert_eq!(world.calls.lines(), [format!("POST {SETS}"), STATUS.to_owned()]);
    let created: ReplicaSet = serde_json::from_value(world.sent("POST").remove(0)).unwrap();
    let name = created.metadata.name.clone().unwrap();
    assert_eq!(world.told(), [format!("ScalingReplicaSet Scaled up replica set {name} from 0 to 3")]);
    let status = &world.sent("PUT")[0];
    assert_eq!(status["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(status["metadata"]["resourceVersion"], "1");
    // Another template, before the set of the first is in the cache: a plan now would have too many pods.
    let mut changed = deployment("v2", 3);
    changed.metadata.resource_version = Some("10".into());
    world.controller.deployments.apply(changed);
    assert!(matches!(world.reconcile().await.unwrap(), Next::After(_)));
    assert_eq!(world.calls.all().len(), 2);
    let mut seen = created;
    seen.metadata.resource_version = Some("9".into());
    seen.metadata.uid = Some("created".into());
    world.controller.sets.apply(seen);
    world.reconcile().await.unwrap();
    assert_eq!(world.sent("POST").len(), 2);
}

#[tokio::test]
async fn a_set_is_changed_by_what_changes_and_only_as_it_was_seen() {
    let mut world = world(willing);
    let mut scaled = settled(deployment("v1", 3), &[set("v1", 1, 3, 3, 3)]);
    scaled.spec.replicas = Some(5);
    world.controller.deployments.apply(scaled);
    world.controller.sets.apply((*set("v1", 1, 3, 3, 3)).clone());
    world.reconcile().await.unwrap();
    let annotations = json!({
        "deployment.kubernetes.io/desired-replicas": "5", "deployment.kubernetes.io/max-replicas": "6",
    });
    assert_eq!(
        world.sent("PATCH"),
        [json!({
            "metadata": {"uid": "web-v1-uid", "resourceVersion": "7", "annotations": annotations},
            "spec": {"replicas": 5},
        })]
    );
    assert_eq!(world.told(), ["ScalingReplicaSet Scaled up replica set web-v1 from 3 to 5"]);
}

#[tokio::test]
async fn a_conflict_ends_the_round_before_the_status_is_written() {
    let world = world(|call| match call.method.as_str() {
        "PATCH" => refusal(409, "Conflict", "the object has been modified"),
        _ => willing(call),
    });
    world.controller.deployments.apply(deployment("v1", 5));
    world.controller.sets.apply((*set("v1", 1, 3, 3, 3)).clone());
    assert!(matches!(world.reconcile().await, Err(Error::UpdateSet(_))));
    assert_eq!(world.calls.lines(), [format!("PATCH {SETS}/web-v1")]);
}

/// An API in which the name of the new set is taken by `found`.
fn taken(found: Option<ReplicaSet>) -> impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static {
    move |call| match (call.method.as_str(), &found) {
        ("POST", _) => refusal(409, "AlreadyExists", "already exists"),
        ("GET", Some(found)) => (200, serde_json::to_value(found).unwrap()),
        ("GET", None) => refusal(404, "NotFound", "not found"),
        _ => willing(call),
    }
}

#[tokio::test]
async fn a_hash_that_collides_is_counted() {
    let mut foreign = (*set("v1", 1, 3, 3, 3)).clone();
    foreign.metadata.owner_references = None;
    for found in [foreign, (*set("v7", 1, 3, 3, 3)).clone()] {
        let mut world = world(taken(Some(found)));
        world.controller.deployments.apply(deployment("v1", 3));
        assert_eq!(world.reconcile().await.unwrap(), Next::After(std::time::Duration::from_secs(601)));
        let status = world.sent("PUT");
        assert_eq!((status.len(), &status[0]["status"]["collisionCount"]), (1, &json!(1)));
        assert_eq!(world.told(), [""; 0]);
    }
}

#[tokio::test]
async fn a_set_that_was_made_already_is_no_collision() {
    let made = world(taken(Some((*set("v1", 1, 3, 3, 3)).clone())));
    made.controller.deployments.apply(deployment("v1", 3));
    made.reconcile().await.unwrap();
    assert_eq!(made.sent("PUT"), [Value::Null; 0]);
    let gone = world(taken(None));
    gone.controller.deployments.apply(deployment("v1", 3));
    assert!(matches!(gone.reconcile().await, Err(Error::NameTaken(_))), "the next try may have it");
}

#[tokio::test]
async fn a_set_that_cannot_be_created_is_told() {
    let mut world = world(|call| match call.method.as_str() {
        "POST" => refusal(403, "Forbidden", "exceeded quota"),
        _ => willing(call),
    });
    world.controller.deployments.apply(deployment("v1", 3));
    assert!(matches!(world.reconcile().await, Err(Error::CreateSet(_))));
    let condition = &world.sent("PUT")[0]["status"]["conditions"][0];
    assert_eq!(
        (&condition["status"], &condition["reason"]),
        (&json!("False"), &json!("ReplicaSetCreateError"))
    );
    let message = condition["message"].as_str().unwrap();
    assert!(message.starts_with("Failed to create new replica set \"web-"), "{message}");
    assert!(message.ends_with("\": exceeded quota"), "{message}");
    assert_eq!(world.told(), [format!("ReplicaSetCreateError {message}")]);
}

#[tokio::test]
async fn what_is_settled_needs_nothing() {
    let world = world(willing);
    let set = set("v1", 1, 3, 3, 3);
    world.controller.deployments.apply(settled(deployment("v1", 3), &[Arc::clone(&set)]));
    world.controller.sets.apply((*set).clone());
    assert_eq!(world.reconcile().await.unwrap(), Next::Done);
    assert_eq!(world.calls.all(), []);
}

#[tokio::test]
async fn a_deployment_hears_of_its_sets_and_of_orphans_that_it_selects() {
    let world = world(willing);
    world.controller.deployments.apply(deployment("v1", 3));
    assert!(world.heard().await);
    let mut own = (*set("v1", 1, 3, 3, 3)).clone();
    world.controller.sets.apply(own.clone());
    assert!(world.heard().await);
    own.metadata.owner_references = None;
    own.metadata.resource_version = Some("8".into());
    world.controller.sets.apply(own.clone());
    assert!(world.heard().await, "of the loss of its set");
    world.controller.sets.remove(own);
    assert!(!world.heard().await, "an orphan that goes is nobody's loss");
    let mut orphan = (*set("v2", 1, 3, 3, 3)).clone();
    orphan.metadata.owner_references = None;
    world.controller.sets.apply(orphan);
    assert!(world.heard().await);
}

#[tokio::test]
async fn only_a_deployment_that_recreates_hears_of_the_end_of_pods() {
    for (strategy, hears) in [(None, false), (Some(recreate()), true)] {
        let world = world(willing);
        let mut deployment = deployment("v1", 1);
        if let Some(strategy) = strategy {
            deployment.spec.strategy = Some(strategy);
        }
        world.controller.deployments.apply(deployment);
        let set = (*set("v1", 1, 1, 1, 1)).clone();
        world.controller.sets.apply(set.clone());
        assert!(world.heard().await);
        let mut pod = Pod::default();
        pod.metadata.namespace = Some("shop".into());
        pod.metadata.name = Some("a".into());
        pod.metadata.uid = Some("a".into());
        pod.metadata.owner_references = Some(vec![keelson_controller_runtime::new_controller_ref(&set)]);
        world.controller.pods.apply(pod.clone());
        assert!(!world.heard().await);
        world.controller.pods.remove(pod);
        assert_eq!(world.heard().await, hears);
    }
}
