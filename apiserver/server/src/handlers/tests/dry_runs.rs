//! `dryRun=All`: everything is judged, nothing is written.

use super::*;

#[test]
fn a_dry_run_writes_nothing() {
    with_cluster(async |cluster| {
        let path = format!("{CONFIG_MAPS}?dryRun=All");
        let created = cluster.post(&path, config_map("a")).await;
        assert_ne!(created["metadata"]["uid"], Value::Null);
        assert_eq!(created["metadata"].get("resourceVersion"), None);
        assert_eq!(cluster.get(&format!("{CONFIG_MAPS}/a")).await, None);

        let stored = cluster.post(CONFIG_MAPS, config_map("a")).await;
        let error = cluster.post_refused(&path, config_map("a")).await;
        assert_refused(&error, 409, "AlreadyExists", "configmaps \"a\" already exists");

        let dry = format!("{CONFIG_MAPS}/a?dryRun=All");
        let patched = cluster.merge(&dry, json!({"data": {"x": "2"}})).await.unwrap();
        assert_eq!(patched.body["data"]["x"], "2");
        assert_eq!(patched.body["metadata"]["resourceVersion"], stored["metadata"]["resourceVersion"]);
        assert_eq!(cluster.delete(&dry, Value::Null).await.unwrap().code, 200);
        let one = format!("{CONFIG_MAPS}/a");
        assert_eq!(cluster.delete(&one, json!({"dryRun": ["All"]})).await.unwrap().code, 200);
        assert_eq!(cluster.delete(CONFIG_MAPS, json!({"dryRun": ["All"]})).await.unwrap().code, 200);
        assert_eq!(cluster.get(&one).await, Some(stored));
    });
}

#[test]
fn a_dry_run_is_judged() {
    with_cluster(async |cluster| {
        let path = format!("{CONFIG_MAPS}?dryRun=All");
        let error = cluster.post_refused(&path, json!({"metadata": {"name": "A"}})).await;
        assert_eq!(error.reason, "Invalid");
        let elsewhere = "/api/v1/namespaces/nowhere/configmaps?dryRun=All";
        let error = cluster.post_refused(elsewhere, config_map("a")).await;
        assert_refused(&error, 404, "NotFound", "namespaces \"nowhere\" not found");
    });
}
