//! PATCH.

use futures_util::future::join_all;

use super::*;

mod applies;

const A: &str = "/api/v1/namespaces/shop/configmaps/a";

#[test]
fn a_patch_changes_what_it_names_and_a_second_time_nothing() {
    with_cluster(async |cluster| {
        cluster.post(CONFIG_MAPS, config_map("a")).await;
        let patch = json!({"data": {"y": "2"}});
        let patched = cluster.merge(A, patch.clone()).await.unwrap();
        assert_eq!((patched.code, &patched.body["data"]), (200, &json!({"x": "1", "y": "2"})));
        assert_eq!(cluster.merge(A, patch).await.unwrap().body, patched.body);
        assert_eq!(cluster.get(A).await.unwrap(), patched.body);
    });
}

#[test]
fn patches_at_the_same_time_all_take_effect() {
    with_cluster(async |cluster| {
        cluster.post(CONFIG_MAPS, config_map("a")).await;
        let patches = (0..8).map(|number| cluster.merge(A, json!({"data": {format!("k{number}"): "v"}})));
        for answer in join_all(patches).await {
            assert_eq!(answer.unwrap().code, 200);
        }
        let data = cluster.get(A).await.unwrap()["data"].clone();
        assert_eq!(data.as_object().unwrap().len(), 9, "{data}");
    });
}

#[test]
fn a_patch_that_names_an_older_resource_version_is_refused() {
    with_cluster(async |cluster| {
        let object = cluster.post(CONFIG_MAPS, config_map("a")).await;
        cluster.merge(A, json!({"data": {"x": "2"}})).await.unwrap();
        let version = &object["metadata"]["resourceVersion"];
        let answer = cluster.merge(A, json!({"metadata": {"resourceVersion": version}, "data": {}})).await;
        assert_eq!(refused(answer).reason, "Conflict");
    });
}

#[test]
fn a_patch_can_neither_rename_nor_create() {
    with_cluster(async |cluster| {
        let error = refused(cluster.merge(A, json!({"data": {"x": "2"}})).await);
        assert_refused(&error, 404, "NotFound", "configmaps \"a\" not found");
        cluster.post(CONFIG_MAPS, config_map("a")).await;
        let error = refused(cluster.merge(A, json!({"metadata": {"name": "b"}})).await);
        let message = "the name of the object (b) does not match the name on the URL (a)";
        assert_refused(&error, 400, "BadRequest", message);
    });
}

#[test]
fn a_strategic_patch_merges_lists_by_their_keys() {
    with_cluster(async |cluster| {
        let path = "/api/v1/namespaces/shop/serviceaccounts";
        let account = json!({"metadata": {"name": "a"}, "secrets": [{"name": "one"}]});
        cluster.post(path, account).await;
        let body = json!({"secrets": [{"name": "two"}]}).to_string();
        let form = "application/strategic-merge-patch+json";
        let patched = cluster.ask(Method::PATCH, &format!("{path}/a"), form, &body).await.unwrap();
        let names: Vec<_> = patched.body["secrets"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    });
}
