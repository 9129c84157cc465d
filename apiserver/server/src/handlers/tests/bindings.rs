//! A pod is given to a node.

use super::*;

const WEB: &str = "/api/v1/namespaces/shop/pods/web";

fn binding(node: &str) -> Value {
    json!({
        "metadata": {"name": "web", "annotations": {"why": "fits"}}, "target": {"kind": "Node", "name": node},
    })
}

#[test]
fn a_pod_gets_its_node_once() {
    with_cluster(async |cluster| {
        let before = cluster.pod("web").await;
        let bound = cluster.post(&format!("{WEB}/binding"), binding("n1")).await;
        assert_eq!((&bound["kind"], &bound["status"]), (&json!("Status"), &json!("Success")));
        assert_eq!(bound["code"], 201);
        let pod = cluster.get(WEB).await.unwrap();
        assert_eq!(
            (&pod["spec"]["nodeName"], &pod["metadata"]["annotations"]["why"]),
            (&json!("n1"), &json!("fits"))
        );
        let condition = &pod["status"]["conditions"][0];
        assert_eq!((&condition["type"], &condition["status"]), (&json!("PodScheduled"), &json!("True")));
        assert_eq!(condition["lastTransitionTime"], "2026-11-23T01:02:03Z");
        assert_eq!(pod["metadata"]["generation"], before["metadata"]["generation"]);

        let error = cluster.post_refused(&format!("{WEB}/binding"), binding("n2")).await;
        let message = "Operation cannot be fulfilled on pods/binding \"web\": pod web is already assigned to node \"n1\"";
        assert_refused(&error, 409, "Conflict", message);
    });
}

#[test]
fn bindings_are_an_older_way_to_say_the_same() {
    with_cluster(async |cluster| {
        cluster.pod("web").await;
        cluster.post("/api/v1/namespaces/shop/bindings", binding("n1")).await;
        assert_eq!(cluster.get(WEB).await.unwrap()["spec"]["nodeName"], "n1");
    });
}

#[test]
fn a_binding_must_make_sense() {
    with_cluster(async |cluster| {
        let path = format!("{WEB}/binding");
        let error = cluster.post_refused(&path, binding("n1")).await;
        assert_refused(&error, 404, "NotFound", "pods \"web\" not found");
        cluster.pod("web").await;
        let mut other = binding("n1");
        other["metadata"]["name"] = "till".into();
        let error = cluster.post_refused(&path, other).await;
        assert_refused(&error, 400, "BadRequest", "name in URL does not match name in Binding object");
        let mut nowhere = binding("");
        nowhere["target"]["kind"] = "Moon".into();
        let error = cluster.post_refused(&path, nowhere).await;
        assert_eq!(error.reason, "Invalid");
        assert!(error.message.contains("target.name: Required value"), "{}", error.message);
        let mut elsewhere = binding("n1");
        elsewhere["metadata"]["uid"] = "0".into();
        assert_eq!(cluster.post_refused(&path, elsewhere).await.reason, "Conflict");
    });
}
