//! PUT.

use keelson_api_registry::{object::Object, resources};

use super::*;

const A: &str = "/api/v1/namespaces/shop/configmaps/a";

#[test]
fn an_update_replaces_what_is_there() {
    with_cluster(async |cluster| {
        let mut object = cluster.post(CONFIG_MAPS, config_map("a")).await;
        let first = object["metadata"]["resourceVersion"].clone();
        object["data"] = json!({"y": "2"});
        let updated = cluster.put(A, &object).await.unwrap();
        assert_eq!((updated.code, &updated.body["data"]), (200, &json!({"y": "2"})));
        assert_ne!(updated.body["metadata"]["resourceVersion"], first);
        assert_eq!(updated.body["metadata"]["uid"], object["metadata"]["uid"]);
    });
}

#[test]
fn an_update_that_changes_nothing_keeps_the_resource_version() {
    with_cluster(async |cluster| {
        let object = cluster.post(CONFIG_MAPS, config_map("a")).await;
        assert_eq!(cluster.put(A, &object).await.unwrap().body, object);
        let unconditional = cluster.put(A, &config_map("a")).await.unwrap();
        assert_eq!(unconditional.body, object);
    });
}

#[test]
fn an_update_of_something_older_is_refused() {
    with_cluster(async |cluster| {
        let old = cluster.post(CONFIG_MAPS, config_map("a")).await;
        cluster.merge(A, json!({"data": {"x": "2"}})).await.unwrap();
        let error = refused(cluster.put(A, &old).await);
        let message = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply \
                       your changes to the latest version and try again";
        assert_refused(&error, 409, "Conflict", message);
    });
}

#[test]
fn an_update_of_another_object_of_that_name_is_refused() {
    with_cluster(async |cluster| {
        let object = cluster.post(CONFIG_MAPS, config_map("a")).await;
        let mut other = config_map("a");
        other["metadata"]["uid"] = "0".into();
        let error = refused(cluster.put(A, &other).await);
        let uid = object["metadata"]["uid"].as_str().unwrap();
        let message = format!(
            "Operation cannot be fulfilled on configmaps \"a\": Precondition failed: UID in precondition: 0, UID in \
             object meta: {uid}"
        );
        assert_refused(&error, 409, "Conflict", &message);
    });
}

#[test]
fn the_name_must_be_the_paths() {
    with_cluster(async |cluster| {
        cluster.post(CONFIG_MAPS, config_map("a")).await;
        let error = refused(cluster.put(A, &config_map("b")).await);
        let message = "the name of the object (b) does not match the name on the URL (a)";
        assert_refused(&error, 400, "BadRequest", message);
        let error = refused(cluster.put(A, &json!({"metadata": {}})).await);
        let message = "the name of the object (a based on URL) was undeterminable: name must be provided";
        assert_refused(&error, 400, "BadRequest", message);
    });
}

#[test]
fn what_is_not_there_is_not_updated() {
    with_cluster(async |cluster| {
        let error = refused(cluster.put(A, &config_map("a")).await);
        assert_refused(&error, 404, "NotFound", "configmaps \"a\" not found");
    });
}

#[test]
fn some_kinds_are_created_by_an_update_if_one_may_create_them() {
    with_cluster(async |cluster| {
        let path = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/leader";
        let lease = json!({"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}});
        let nobody = User { name: "jane".to_owned(), ..User::default() };
        let answer = cluster.ask_as(nobody, Method::PUT, path, JSON, &lease.to_string()).await;
        let error = refused(answer);
        assert_eq!((error.code.as_u16(), error.reason), (403, "Forbidden"));
        assert!(error.message.contains("cannot create resource \"leases\""), "{}", error.message);
        let created = cluster.put(path, &lease).await.unwrap();
        assert_eq!((created.code, &created.body["spec"]["holderIdentity"]), (201, &json!("a")));
        assert_eq!(cluster.put(path, &created.body).await.unwrap().code, 200);
    });
}

#[test]
fn a_kind_may_insist_on_a_resource_version() {
    with_cluster(async |cluster| {
        let path = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/leader";
        let lease = json!({"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}});
        cluster.put(path, &lease).await.unwrap();
        let message = "leases.coordination.k8s.io \"leader\" is invalid: metadata.resourceVersion: Invalid value: 0: \
                       must be specified for an update";
        assert_refused(&refused(cluster.put(path, &lease).await), 422, "Invalid", message);
    });
}

#[test]
fn a_range_that_was_good_once_may_stay_and_no_new_one_comes() {
    with_cluster(async |cluster| {
        let spec = json!({"podCIDR": "10.1.0.9/24", "podCIDRs": ["10.1.0.9/24"]});
        let metadata = json!({"name": "old", "uid": "u", "creationTimestamp": "2020-01-01T00:00:00Z"});
        let old = json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec});
        let nodes = resources::find("", "v1", "nodes").unwrap();
        cluster.server.objects.create(nodes, &Object(old), &[]).await.unwrap();
        let labels = json!({"metadata": {"labels": {"a": "b"}}});
        assert_eq!(cluster.merge("/api/v1/nodes/old", labels).await.unwrap().code, 200);
        let error =
            cluster.post_refused("/api/v1/nodes", json!({"metadata": {"name": "new"}, "spec": spec})).await;
        assert_refused(
            &error,
            422,
            "Invalid",
            "Node \"new\" is invalid: spec.podCIDRs[0]: Invalid value: \"10.1.0.9/24\": \
             must not have bits set beyond the prefix length",
        );
    });
}

#[test]
fn metadata_that_is_fixed_stays() {
    with_cluster(async |cluster| {
        let object = cluster.post(CONFIG_MAPS, config_map("a")).await;
        let mut changed = object.clone();
        changed["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
        changed["metadata"]["generation"] = 9.into();
        assert_eq!(cluster.put(A, &changed).await.unwrap().body, object);
        changed["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
        let error = refused(cluster.put(A, &changed).await);
        assert_eq!(error.reason, "Invalid");
        assert!(error.message.contains("metadata.deletionTimestamp: Invalid value"), "{}", error.message);
        assert!(error.message.ends_with("field is immutable"), "{}", error.message);
    });
}

#[test]
fn an_immutable_config_map_does_not_change() {
    with_cluster(async |cluster| {
        let mut object = config_map("a");
        object["immutable"] = true.into();
        cluster.post(CONFIG_MAPS, object.clone()).await;
        object["data"]["x"] = "2".into();
        let error = refused(cluster.put(A, &object).await);
        assert_eq!(error.reason, "Invalid");
        assert!(error.message.contains("field is immutable when `immutable` is set"), "{}", error.message);
    });
}
