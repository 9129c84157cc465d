//! The life of a namespace.

use super::*;

const SHOP: &str = "/api/v1/namespaces/shop";

#[test]
fn nothing_is_created_where_there_is_no_namespace() {
    with_cluster(async |cluster| {
        let error = cluster.post_refused("/api/v1/namespaces/nowhere/configmaps", config_map("a")).await;
        assert_refused(&error, 404, "NotFound", "namespaces \"nowhere\" not found");
    });
}

#[test]
fn a_deleted_namespace_is_closed_and_goes_once_it_is_emptied() {
    with_cluster(async |cluster| {
        assert_eq!(cluster.get(SHOP).await.unwrap()["spec"], json!({"finalizers": ["kubernetes"]}));
        let deleted = cluster.delete(SHOP, Value::Null).await.unwrap();
        assert_eq!((deleted.code, &deleted.body["status"]["phase"]), (200, &json!("Terminating")));

        let error = cluster.post_refused(CONFIG_MAPS, config_map("a")).await;
        let message = "configmaps \"a\" is forbidden: unable to create new content in namespace shop because it is \
                       being terminated";
        assert_refused(&error, 403, "Forbidden", message);
        let cause = &error.details.causes[0];
        assert_eq!(
            (cause.reason, cause.message.as_str(), cause.field.as_str()),
            ("NamespaceTerminating", "namespace shop is being terminated", "metadata.namespace")
        );

        let again = cluster.delete(SHOP, Value::Null).await.unwrap();
        assert_eq!(
            again.body["metadata"]["deletionTimestamp"],
            deleted.body["metadata"]["deletionTimestamp"]
        );
        let mut emptied = again.body;
        emptied["spec"] = json!({});
        let finalized = cluster.put(&format!("{SHOP}/finalize"), &emptied).await.unwrap();
        assert_eq!(finalized.code, 200);
        assert_eq!(cluster.get(SHOP).await, None);
    });
}

#[test]
fn only_finalize_takes_the_finalizers_of_a_namespace_away() {
    with_cluster(async |cluster| {
        let mut namespace = cluster.get(SHOP).await.unwrap();
        namespace["spec"] = json!({});
        let updated = cluster.put(SHOP, &namespace).await.unwrap();
        assert_eq!(updated.body["spec"], json!({"finalizers": ["kubernetes"]}));
        namespace["status"]["phase"] = "Terminating".into();
        namespace["metadata"]["labels"] = Value::Null;
        let finalized = cluster.put(&format!("{SHOP}/finalize"), &namespace).await.unwrap();
        assert_eq!(finalized.body["spec"], json!({}));
        assert_eq!(finalized.body["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "shop"}));
        assert_eq!(finalized.body["status"]["phase"], "Active");
    });
}

#[test]
fn the_status_of_a_namespace_changes_through_its_subresource_only() {
    with_cluster(async |cluster| {
        let condition = json!([{
            "type": "NamespaceContentRemaining", "status": "True", "reason": "r", "message": "m",
            "lastTransitionTime": "2026-11-23T01:02:03Z",
        }]);
        let patch = json!({"status": {"conditions": condition}, "metadata": {"labels": {"a": "b"}}});
        let main = cluster.merge(SHOP, patch.clone()).await.unwrap();
        assert_eq!(main.body["status"], json!({"phase": "Active"}));
        let status = cluster.merge(&format!("{SHOP}/status"), patch).await.unwrap();
        assert_eq!(status.body["status"]["conditions"], condition);
        assert_eq!(cluster.get(&format!("{SHOP}/status")).await, Some(status.body));
    });
}

#[test]
fn some_namespaces_never_go() {
    with_cluster(async |cluster| {
        for name in ["default", "kube-system", "kube-public"] {
            let error = refused(cluster.delete(&format!("/api/v1/namespaces/{name}"), Value::Null).await);
            let message = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
            assert_refused(&error, 403, "Forbidden", &message);
        }
    });
}
