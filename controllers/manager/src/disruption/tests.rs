//! What budgets say, and the controller against an API of its own.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::Options;
use crate::fake_api::{Call, Calls, fake_api};

/// The status of the budget.
const STATUS: &str = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/web/status";

fn of<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn owner(kind: &str, name: &str) -> Value {
    json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": format!("{name}-uid"), "controller": true}])
}

/// A pod of the set `web-1`, ready or not.
fn pod(name: &str, is_ready: bool) -> Pod {
    let ready = if is_ready { "True" } else { "False" };
    of(json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": name, "labels": {"app": "web"},
            "ownerReferences": owner("ReplicaSet", "web-1"),
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }))
}

fn pods(pods: &[Pod]) -> Vec<Arc<Pod>> {
    pods.iter().cloned().map(Arc::new).collect()
}

/// The budget `web` with this in its specification.
fn budget(field: &str, value: &Value) -> PodDisruptionBudget {
    of(json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "b1", "generation": 3, "resourceVersion": "7"},
        "spec": {field: value, "selector": {"matchLabels": {"app": "web"}}},
    }))
}

/// What `web-1` belongs to.
fn deployment(replicas: i32) -> (ReplicaSet, Deployment) {
    let set = json!({
        "metadata": {"namespace": "shop", "name": "web-1", "uid": "web-1-uid",
            "ownerReferences": owner("Deployment", "web")},
        "spec": {"replicas": 1, "selector": {}},
    });
    let deployment = json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "web-uid"},
        "spec": {"replicas": replicas, "selector": {}, "template": {}},
    });
    (of(set), of(deployment))
}

/// Expected, healthy now, to be healthy, allowed; and the reason.
fn counts(status: &PodDisruptionBudgetStatus) -> ([i32; 4], String) {
    let counts =
        [status.expected_pods, status.current_healthy, status.desired_healthy, status.disruptions_allowed];
    let condition = &status.conditions.as_ref().unwrap()[0];
    (counts.map(|count| count.unwrap_or(-1)), condition.reason.clone())
}

fn planned(field: &str, value: &Value, pods: &[Arc<Pod>], wanted: i64) -> ([i32; 4], String) {
    let budget = budget(field, value);
    let demand = demand(&budget, pods.len(), || Ok::<_, UnknownScale>(wanted)).unwrap();
    counts(&plan(&budget, pods, demand, at(0)).status)
}

#[test]
fn a_budget_allows_what_is_healthy_beyond_its_demand() {
    let all = pods(&[pod("a", true), pod("b", true), pod("c", true), pod("d", false)]);
    let sufficient = || "SufficientPods".to_owned();
    assert_eq!(planned("minAvailable", &json!(2), &all, 9), ([4, 3, 2, 1], sufficient()));
    assert_eq!(
        planned("minAvailable", &json!("50%"), &all, 5),
        ([5, 3, 3, 0], "InsufficientPods".to_owned())
    );
    assert_eq!(planned("maxUnavailable", &json!(2), &all, 4), ([4, 3, 2, 1], sufficient()));
    assert_eq!(planned("maxUnavailable", &json!("30%"), &all, 4), ([4, 3, 2, 1], sufficient()));
    assert_eq!(planned("maxUnavailable", &json!(9), &all, 4), ([4, 3, 0, 3], sufficient()));
    assert_eq!(planned("minAvailable", &json!(0), &[], 0).0, [0, 0, 0, 0]);
}

#[test]
fn an_eviction_that_was_counted_counts_until_its_pod_leaves_or_has_stayed_too_long() {
    let mut leaving = pod("a", true);
    leaving.metadata.deletion_timestamp = Some(of(json!("1970-01-01T00:00:00Z")));
    let all = pods(&[leaving, pod("b", true), pod("c", true)]);
    let mut budget = budget("minAvailable", &json!(1));
    let disrupted =
        json!({"a": "1970-01-01T00:01:40Z", "b": "1970-01-01T00:01:40Z", "gone": "1970-01-01T00:01:40Z"});
    budget.status = Some(of(json!({"disruptedPods": disrupted, "disruptionsAllowed": 0})));
    let demand = demand(&budget, 3, || Ok::<_, UnknownScale>(0)).unwrap();

    let soon = plan(&budget, &all, demand, at(130));
    assert_eq!(counts(&soon.status).0, [3, 1, 1, 0]);
    assert_eq!(soon.status.disrupted_pods.unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(soon.again, Some(std::time::Duration::from_secs(90)));

    let late = plan(&budget, &all, demand, at(220));
    assert_eq!(counts(&late.status).0, [3, 2, 1, 1]);
    assert_eq!((late.status.disrupted_pods, late.again), (None, None));
    assert_eq!(late.not_deleted[0].metadata.name.as_deref(), Some("b"));
}

#[test]
fn since_when_a_budget_says_so_stays_as_long_as_it_does() {
    let all = pods(&[pod("a", true), pod("b", true)]);
    let mut budget = budget("minAvailable", &json!(1));
    let since = |plan: &Plan| plan.status.conditions.as_ref().unwrap()[0].last_transition_time.0;
    let look = |budget: &PodDisruptionBudget, pods: &[Arc<Pod>], second| {
        plan(budget, pods, Demand { expected: 2, healthy: 1 }, at(second))
    };
    let first = look(&budget, &all, 10);
    budget.status = Some(first.status.clone());
    let second = look(&budget, &all, 20);
    assert_eq!((since(&second), second.status == first.status), (at(10), true));
    assert_eq!(since(&look(&budget, &all[..1], 30)), at(30));
}

#[test]
fn a_condition_is_stale_when_nothing_came_of_it_but_never_while_the_node_ends_the_pod() {
    let with = |reason: &str| -> Pod {
        let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": reason,
            "lastTransitionTime": "1970-01-01T00:00:10Z"});
        let mut pod = pod("a", true);
        pod.status = Some(of(json!({"phase": "Running", "conditions": [condition]})));
        pod
    };
    let evicted = with("EvictionByEvictionAPI");
    assert_eq!(staleness(&evicted, at(100)), Staleness::In(std::time::Duration::from_secs(30)));
    assert_eq!(staleness(&evicted, at(130)), Staleness::Now);
    assert_eq!(staleness(&with("TerminationByKubelet"), at(500)), Staleness::None);
    assert_eq!(staleness(&pod("a", true), at(500)), Staleness::None);
}

#[test]
fn an_empty_selector_is_about_all_and_none_about_nothing() {
    let mut all = budget("minAvailable", &json!(1));
    all.spec.as_mut().unwrap().selector = Some(Default::default());
    let mut nothing = all.clone();
    nothing.spec.as_mut().unwrap().selector = None;
    let mut bare = pod("a", true);
    bare.metadata.labels = None;
    assert!(selects(&all, &bare) && !selects(&nothing, &bare));
}

/// A running controller, its API, and what it tells.
struct Scene {
    context: Arc<Context>,
    calls: Calls,
    events: tokio::sync::mpsc::Receiver<keelson_controller_runtime::RecordedEvent>,
}

impl Scene {
    fn start() -> Self {
        let (client, calls) = fake_api(|call: &Call| (200, call.body.clone()));
        let (context, events) = Context::detached(Options::new(""));
        tokio::spawn(run(Arc::clone(&context), client));
        Self { context, calls, events }
    }

    async fn status(&self, nth: usize) -> PodDisruptionBudgetStatus {
        self.calls.wait_for(nth).await;
        let call = &self.calls.all()[nth - 1];
        assert_eq!((call.method.as_str(), call.path.as_str()), ("PUT", STATUS));
        assert_eq!(call.body["metadata"]["resourceVersion"], "7", "a count by somebody else is not undone");
        of(call.body["status"].clone())
    }

    async fn event(&mut self) -> String {
        self.events.recv().await.unwrap().reason.to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_follows_its_pods_and_what_their_deployment_wants() {
    let scene = Scene::start();
    let (set, deployment) = deployment(3);
    scene.context.replica_sets().apply(set);
    scene.context.deployments().apply(deployment);
    for name in ["a", "b", "c"] {
        scene.context.pods().apply(pod(name, true));
    }
    let mut budget = budget("maxUnavailable", &json!(1));
    scene.context.disruption_budgets().apply(budget.clone());
    let first = scene.status(1).await;
    assert_eq!(counts(&first), ([3, 3, 2, 1], "SufficientPods".to_owned()));
    budget.status = Some(first);
    scene.context.disruption_budgets().apply(budget);
    scene.context.pods().apply(pod("c", false));
    assert_eq!(counts(&scene.status(2).await).0, [3, 2, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_counted_allows_nothing_and_is_told() {
    let mut scene = Scene::start();
    scene.context.pods().apply(pod("a", true));
    scene.context.disruption_budgets().apply(budget("maxUnavailable", &json!(1)));
    let status = scene.status(1).await;
    let condition = &status.conditions.as_ref().unwrap()[0];
    assert_eq!((status.disruptions_allowed, condition.reason.as_str()), (Some(0), "SyncFailed"));
    assert_eq!(condition.message, "found no controllers for pod \"a\"");
    assert_eq!(scene.event().await, "CalculateExpectedPodCountFailed");
}
