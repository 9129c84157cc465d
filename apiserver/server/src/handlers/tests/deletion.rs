//! DELETE, of one and of many.

use super::*;

const A: &str = "/api/v1/namespaces/shop/configmaps/a";

#[test]
fn a_deleted_object_is_gone_and_the_answer_is_a_status() {
    with_cluster(async |cluster| {
        let object = cluster.post(CONFIG_MAPS, config_map("a")).await;
        let deleted = cluster.delete(A, Value::Null).await.unwrap();
        assert_eq!(deleted.code, 200);
        assert_eq!(
            deleted.body,
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": {"name": "a", "kind": "configmaps", "uid": object["metadata"]["uid"]},
            })
        );
        assert_eq!(cluster.get(A).await, None);
        let error = refused(cluster.delete(A, Value::Null).await);
        assert_refused(&error, 404, "NotFound", "configmaps \"a\" not found");
    });
}

#[test]
fn who_deletes_a_job_without_a_word_is_told_what_becomes_of_its_pods() {
    const JOBS: &str = "/apis/batch/v1/namespaces/shop/jobs";
    let job = json!({
        "metadata": {"name": "a"},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}],
        }}},
    });
    with_cluster(async |cluster| {
        for (path, options, told) in [
            (format!("{JOBS}/a"), Value::Null, 1),
            (JOBS.to_owned(), Value::Null, 1),
            (format!("{JOBS}/a"), json!({"propagationPolicy": "Orphan"}), 0),
        ] {
            cluster.post(JOBS, job.clone()).await;
            let answer = cluster.delete(&path, options).await.unwrap();
            assert_eq!(answer.warnings.len(), told, "{path}: {:?}", answer.warnings);
            let starts = |warning: &String| warning.contains("child pods are preserved by default");
            assert!(answer.warnings.iter().all(starts), "{:?}", answer.warnings);
            cluster.merge(&format!("{JOBS}/a"), json!({"metadata": {"finalizers": null}})).await.unwrap();
        }
    });
}

#[test]
fn preconditions_hold_a_deletion_back() {
    with_cluster(async |cluster| {
        let object = cluster.post(CONFIG_MAPS, config_map("a")).await;
        let error = refused(cluster.delete(A, json!({"preconditions": {"uid": "0"}})).await);
        assert_eq!(error.reason, "Conflict");
        assert!(
            error.message.contains("the UID in the precondition (0) does not match"),
            "{}",
            error.message
        );
        let uid = &object["metadata"]["uid"];
        cluster.delete(A, json!({"preconditions": {"uid": uid}})).await.unwrap();
        assert_eq!(cluster.get(A).await, None);
    });
}

#[test]
fn finalizers_keep_an_object_until_the_last_is_taken_away() {
    with_cluster(async |cluster| {
        let mut object = config_map("a");
        object["metadata"]["finalizers"] = json!(["example.com/one", "example.com/two"]);
        cluster.post(CONFIG_MAPS, object).await;
        let deleted = cluster.delete(A, Value::Null).await.unwrap();
        assert_eq!(deleted.body["metadata"]["deletionTimestamp"], "2026-11-23T01:02:03Z");
        assert_eq!(deleted.body["metadata"]["deletionGracePeriodSeconds"], 0);

        let more = json!({"metadata": {"finalizers": ["example.com/one", "example.com/three"]}});
        let error = refused(cluster.merge(A, more).await);
        let why = "no new finalizers can be added if the object is being deleted";
        assert!(error.message.contains(why), "{}", error.message);

        let one = json!({"metadata": {"finalizers": ["example.com/one"]}});
        cluster.merge(A, one).await.unwrap();
        assert!(cluster.get(A).await.is_some());
        let last = cluster.merge(A, json!({"metadata": {"finalizers": null}})).await.unwrap();
        assert_eq!((last.code, &last.body["metadata"]["name"]), (200, &json!("a")));
        assert_eq!(cluster.get(A).await, None);
    });
}

#[test]
fn dependents_that_go_first_or_stay_are_left_to_the_collector() {
    with_cluster(async |cluster| {
        cluster.post(CONFIG_MAPS, config_map("a")).await;
        let waits = cluster.delete(A, json!({"propagationPolicy": "Foreground"})).await.unwrap();
        assert_eq!(waits.code, 200);
        let older = cluster.delete(A, json!({"orphanDependents": false})).await.unwrap();
        assert_eq!(older.code, 200, "nothing holds it any more");
        cluster.post(CONFIG_MAPS, json!({"metadata": {"name": "a", "finalizers": ["example.com/a"]}})).await;
        let older = cluster.delete(A, json!({"orphanDependents": false})).await.unwrap();
        assert_eq!(older.code, 202);
        cluster.merge(A, json!({"metadata": {"finalizers": null}})).await.unwrap();
        cluster.post(CONFIG_MAPS, config_map("a")).await;
        let waits = cluster.delete(A, json!({"propagationPolicy": "Foreground"})).await.unwrap();
        assert_eq!(waits.body["metadata"]["finalizers"], json!(["foregroundDeletion"]));
        let orphaning = cluster.delete(A, json!({"orphanDependents": true})).await.unwrap();
        assert_eq!(orphaning.body["metadata"]["finalizers"], json!(["orphan"]));
        cluster.delete(A, json!({"propagationPolicy": "Background"})).await.unwrap();
        assert_eq!(cluster.get(A).await, None);
    });
}

#[test]
fn of_many_those_go_that_the_selectors_match() {
    with_cluster(async |cluster| {
        for (name, tier) in [("a", "web"), ("b", "web"), ("c", "data")] {
            let object = json!({"metadata": {"name": name, "labels": {"tier": tier}}});
            cluster.post(CONFIG_MAPS, object).await;
        }
        let path = format!("{CONFIG_MAPS}?labelSelector=tier%3Dweb");
        let deleted = cluster.delete(&path, Value::Null).await.unwrap();
        assert_eq!((deleted.code, &deleted.body["kind"]), (200, &json!("ConfigMapList")));
        assert_eq!(deleted.body["items"].as_array().unwrap().len(), 2);
        let left = cluster.get(CONFIG_MAPS).await.unwrap();
        let left: Vec<_> = left["items"].as_array().unwrap().iter().map(|o| &o["metadata"]["name"]).collect();
        assert_eq!(left, ["c"]);
        let error = refused(cluster.delete(&format!("{CONFIG_MAPS}?labelSelector=%3D"), Value::Null).await);
        assert_eq!(error.reason, "BadRequest");
        let before = format!("{CONFIG_MAPS}?resourceVersion=1&resourceVersionMatch=Exact");
        let deleted = cluster.delete(&before, Value::Null).await.unwrap();
        assert_eq!(deleted.body["items"], json!([]), "there was nothing at that revision");
        let later = format!("{CONFIG_MAPS}?resourceVersion=1000000");
        assert_eq!(refused(cluster.delete(&later, Value::Null).await).code, 504);
        assert!(cluster.get(&format!("{CONFIG_MAPS}/c")).await.is_some());
    });
}
