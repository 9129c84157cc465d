//! A pod is evicted, or its budget forbids it.

use super::*;

const WEB: &str = "/api/v1/namespaces/shop/pods/web";
const BUDGETS: &str = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets";
const BUDGET: &str = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/web";

/// A pod that runs and is ready.
async fn running(cluster: &Cluster, name: &str) -> Value {
    cluster.pod(name).await;
    let path = format!("/api/v1/namespaces/shop/pods/{name}");
    cluster.merge(&path, json!({"metadata": {"labels": {"app": "web"}}, "spec": {}})).await.unwrap();
    let bind = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}});
    cluster.post(&format!("{path}/binding"), bind).await;
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    cluster.merge(&format!("{path}/status"), json!({"status": ready})).await.unwrap().body
}

/// A budget that its controller has looked at.
async fn budget(cluster: &Cluster, allowed: i64) {
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}});
    cluster.post(BUDGETS, json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let status = json!({
        "observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 1 + allowed, "desiredHealthy": 1,
        "expectedPods": 2,
    });
    cluster.merge(&format!("{BUDGET}/status"), json!({"status": status})).await.unwrap();
}

async fn evict(cluster: &Cluster, name: &str, options: Value) -> Result<Answer, ApiError> {
    evict_with(cluster, name, "", options).await
}

async fn evict_with(cluster: &Cluster, name: &str, query: &str, options: Value) -> Result<Answer, ApiError> {
    let eviction = json!({
        "kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": name}, "deleteOptions": options,
    });
    let path = format!("/api/v1/namespaces/shop/pods/{name}/eviction{query}");
    cluster.ask(Method::POST, &path, JSON, &eviction.to_string()).await
}

#[test]
fn a_pod_without_a_budget_is_marked_and_deleted() {
    with_cluster(async |cluster| {
        running(&cluster, "web").await;
        let evicted = evict(&cluster, "web", json!({})).await.unwrap();
        assert_eq!(
            (evicted.code, &evicted.body["status"], &evicted.body["code"]),
            (201, &json!("Success"), &json!(201))
        );
        let pod = cluster.get(WEB).await.unwrap();
        assert!(pod["metadata"]["deletionTimestamp"].is_string(), "{pod}");
        assert_eq!(pod["status"]["conditions"][1]["type"], "DisruptionTarget", "{pod}");
        assert_eq!(refused(evict(&cluster, "gone", json!({})).await).reason, "NotFound");
    });
}

#[test]
fn a_budget_lets_as_many_go_as_it_allows() {
    with_cluster(async |cluster| {
        running(&cluster, "web").await;
        running(&cluster, "web-2").await;
        budget(&cluster, 1).await;
        evict(&cluster, "web", json!({})).await.unwrap();
        let counted = cluster.get(BUDGET).await.unwrap();
        assert_eq!(counted["status"]["disruptionsAllowed"], 0);
        assert_eq!(counted["status"]["disruptedPods"], json!({"web": "2026-11-23T01:02:03Z"}));

        let error = refused(evict(&cluster, "web-2", json!({})).await);
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        assert_refused(&error, 429, "TooManyRequests", message);
        let why = "The disruption budget web does not allow evicting pods currently";
        assert_eq!(
            (error.details.causes[0].reason, error.details.causes[0].message.as_str()),
            ("DisruptionBudget", why)
        );
        let pod = cluster.get(&format!("{WEB}-2")).await.unwrap();
        assert_eq!(pod["metadata"]["deletionTimestamp"], Value::Null);
        // Whoever is on the way out already asks nobody.
        evict(&cluster, "web", json!({})).await.unwrap();
    });
}

#[test]
fn a_dry_run_counts_nobody_and_deletes_nobody() {
    with_cluster(async |cluster| {
        let before = running(&cluster, "web").await;
        budget(&cluster, 1).await;
        for (query, options) in [("?dryRun=All", json!({})), ("", json!({"dryRun": ["All"]}))] {
            assert_eq!(evict_with(&cluster, "web", query, options).await.unwrap().code, 201);
        }
        assert_eq!(cluster.get(WEB).await.unwrap(), before);
        assert_eq!(cluster.get(BUDGET).await.unwrap()["status"]["disruptionsAllowed"], 1);
    });
}

#[test]
fn preconditions_hold_an_eviction_back_before_a_budget_counts_it() {
    with_cluster(async |cluster| {
        let pod = running(&cluster, "web").await;
        budget(&cluster, 1).await;
        let error = refused(evict(&cluster, "web", json!({"preconditions": {"uid": "0"}})).await);
        assert_eq!(error.reason, "Conflict");
        let error = refused(evict(&cluster, "web", json!({"preconditions": {"resourceVersion": "1"}})).await);
        assert_eq!(error.reason, "Conflict");
        assert_eq!(cluster.get(BUDGET).await.unwrap()["status"]["disruptionsAllowed"], 1);
        let exactly = json!({
            "uid": pod["metadata"]["uid"], "resourceVersion": pod["metadata"]["resourceVersion"],
        });
        assert_eq!(evict(&cluster, "web", json!({"preconditions": exactly})).await.unwrap().code, 201);
        assert!(cluster.get(WEB).await.unwrap()["metadata"]["deletionTimestamp"].is_string());
    });
}

#[test]
fn a_pod_that_waits_for_a_node_goes_at_once() {
    with_cluster(async |cluster| {
        cluster.pod("web").await;
        evict(&cluster, "web", Value::Null).await.unwrap();
        assert_eq!(cluster.get(WEB).await, None);
        let other = json!({"metadata": {"name": "other"}});
        let error = cluster.post_refused(&format!("{WEB}/eviction"), other).await;
        assert_refused(&error, 400, "BadRequest", "name in URL does not match name in Eviction object");
    });
}
