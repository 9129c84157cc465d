//! The scale subresource.

use super::*;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
const SCALE: &str = "/apis/apps/v1/namespaces/shop/deployments/web/scale";

async fn deploy(cluster: &Cluster) -> Value {
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]},
            },
        },
    });
    cluster.post(DEPLOYMENTS, deployment).await
}

#[test]
fn an_objects_scale_is_read_in_the_same_form_for_every_kind() {
    with_cluster(async |cluster| {
        let deployment = deploy(&cluster).await;
        let scale = cluster.get(SCALE).await.unwrap();
        assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
        assert_eq!(scale["spec"]["replicas"], 2);
        assert_eq!(scale["status"], json!({"replicas": 0, "selector": "app=web"}));
        for shared in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            assert_eq!(scale["metadata"][shared], deployment["metadata"][shared], "{shared}");
        }
    });
}

#[test]
fn people_see_a_scale_and_not_what_it_is_the_scale_of() {
    with_cluster(async |cluster| {
        deploy(&cluster).await;
        let uri = SCALE.parse().unwrap();
        let info = RequestInfo::parse(&Method::GET, &uri).unwrap();
        let Target::Resource(request) = info.target.clone() else { panic!("it is a resource") };
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let headers = HeaderMap::from_iter([(http::header::ACCEPT, table.parse().unwrap())]);
        let (user, allowed) = (User::default(), Allowed::for_test());
        let call = Call {
            request,
            info,
            user,
            headers,
            body: bytes::Bytes::new(),
            allowed,
            now: NOW,
            upgrade: None,
        };
        let body =
            handle(&cluster.server, call).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        let table: Value = serde_json::from_slice(&body).unwrap();
        let columns = table["columnDefinitions"].as_array().unwrap();
        let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Name", "Desired", "Available", "Age"]);
        assert_eq!(table["rows"][0]["cells"], json!(["web", 2, 0, "0s"]));
    });
}

#[test]
fn a_new_scale_is_a_new_generation_of_the_object() {
    with_cluster(async |cluster| {
        deploy(&cluster).await;
        let mut scale = cluster.get(SCALE).await.unwrap();
        scale["spec"]["replicas"] = 5.into();
        let updated = cluster.put(SCALE, &scale).await.unwrap();
        assert_eq!((updated.code, &updated.body["spec"]["replicas"]), (200, &json!(5)));
        let deployment = cluster.get(&format!("{DEPLOYMENTS}/web")).await.unwrap();
        assert_eq!(
            (&deployment["spec"]["replicas"], &deployment["metadata"]["generation"]),
            (&json!(5), &json!(2))
        );
        assert_eq!(refused(cluster.put(SCALE, &scale).await).reason, "Conflict");

        let patched = cluster.merge(SCALE, json!({"spec": {"replicas": 3}})).await.unwrap();
        assert_eq!(patched.body["spec"]["replicas"], 3);
        assert_eq!(cluster.get(&format!("{DEPLOYMENTS}/web")).await.unwrap()["spec"]["replicas"], 3);
    });
}

#[test]
fn a_selector_without_operators_is_shown_like_any_other() {
    with_cluster(async |cluster| {
        let controllers = "/api/v1/namespaces/shop/replicationcontrollers";
        let pods = json!({
            "metadata": {"labels": {"app": "web", "tier": "front"}},
            "spec": {"containers": [{"name": "c", "image": "busybox"}]},
        });
        cluster.post(controllers, json!({"metadata": {"name": "web"}, "spec": {"template": pods}})).await;
        let path = format!("{controllers}/web/scale");
        assert_eq!(cluster.get(&path).await.unwrap()["status"]["selector"], "app=web,tier=front");
        cluster.merge(&path, json!({"spec": {"replicas": 3}})).await.unwrap();
        assert_eq!(cluster.get(&format!("{controllers}/web")).await.unwrap()["spec"]["replicas"], 3);
    });
}

#[test]
fn a_scale_below_nothing_is_refused() {
    with_cluster(async |cluster| {
        deploy(&cluster).await;
        let error = refused(cluster.merge(SCALE, json!({"spec": {"replicas": -1}})).await);
        let message = "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than \
                       or equal to 0";
        assert_refused(&error, 422, "Invalid", message);
        let error = refused(cluster.merge(&SCALE.replace("web", "till"), json!({})).await);
        assert_refused(&error, 404, "NotFound", "deployments.apps \"till\" not found");
    });
}
