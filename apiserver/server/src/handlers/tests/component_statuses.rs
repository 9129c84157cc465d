//! How the parts of the control plane are.

use super::*;

const PARTS: &str = "/api/v1/componentstatuses";

#[test]
fn who_renews_a_lease_is_healthy_and_so_is_a_store_that_answers() {
    with_cluster(async |cluster| {
        cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "kube-system"}})).await;
        let spec = json!({
            "holderIdentity": "a", "leaseDurationSeconds": 8, "renewTime": "2026-11-23T01:02:01.000000Z",
        });
        let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
        cluster.post(leases, json!({"metadata": {"name": "kube-scheduler"}, "spec": spec})).await;
        // A linearizable list of the Leases waits for the cache.
        cluster.get(leases).await;

        let list = cluster.get(PARTS).await.unwrap();
        assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ComponentStatusList"), &json!("v1")));
        let health =
            |part: &Value| (part["metadata"]["name"].clone(), part["conditions"][0]["status"].clone());
        let found: Vec<_> = list["items"].as_array().unwrap().iter().map(health).collect();
        let wanted = [("controller-manager", "False"), ("etcd-0", "True"), ("scheduler", "True")];
        assert_eq!(found, wanted.map(|(name, status)| (json!(name), json!(status))));
        let one = cluster.ask(Method::GET, &format!("{PARTS}/etcd-0"), JSON, "").await.unwrap();
        assert_eq!(one.body["conditions"][0]["message"], "ok");
        assert_eq!(cluster.get(&format!("{PARTS}/moon")).await, None);
        let named = cluster.get(&format!("{PARTS}?fieldSelector=metadata.name%3Dscheduler")).await.unwrap();
        assert_eq!(named["items"].as_array().unwrap().len(), 1);
        let labelled = cluster.get(&format!("{PARTS}?labelSelector=a")).await.unwrap();
        assert_eq!(labelled["items"], json!([]));
    });
}
