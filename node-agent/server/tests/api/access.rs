//! Who may call.

use std::sync::Arc;

use crate::node::{Node, Urls};

#[tokio::test]
async fn nobody_gets_anything_without_showing_who_they_are() {
    let node = Node::start(Arc::new(Urls::default())).await;
    for path in ["/healthz", "/pods", "/metrics", "/no/such/path"] {
        assert_eq!(node.nobody().get(path).await, (401, "Unauthorized".to_owned()), "{path}");
    }
    assert_eq!(node.with_token("stolen").get("/metrics").await.0, 401);
}

#[tokio::test]
async fn callers_get_what_they_may_have() {
    let node = Node::start(Arc::new(Urls::default())).await;
    assert_eq!(node.root().get("/healthz").await, (200, "ok".to_owned()));
    assert_eq!(node.root().get("/no/such/path").await.0, 404);
    let (code, pods) = node.root().get("/pods").await;
    let pods: serde_json::Value = serde_json::from_str(&pods).unwrap();
    assert_eq!(
        (code, &pods["kind"], &pods["items"][0]["metadata"]["name"]),
        (200, &"PodList".into(), &"web".into())
    );
    let (code, summary) = node.root().get("/stats/summary").await;
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((code, &summary["node"]["nodeName"]), (200, &"n1".into()));
    assert_eq!(summary["pods"].as_array().unwrap().len(), 1);
    for monitor in [node.caller("monitor"), node.with_token("monitor")] {
        assert_eq!(monitor.get("/metrics").await, (200, "kubelet_running_pods 1\n".to_owned()));
        assert_eq!(monitor.get("/healthz").await.0, 200);
        let refused = "Forbidden (user=monitor, verb=get, resource=nodes, subresource(s)=[pods proxy])\n";
        assert_eq!(monitor.get("/pods").await, (403, refused.to_owned()));
        assert_eq!(monitor.get("/no/such/path").await.0, 403);
    }
}

#[tokio::test]
async fn who_cannot_be_judged_is_neither_allowed_nor_refused() {
    let node = Node::start(Arc::new(Urls::default())).await;
    let (code, text) = node.with_token("unknown").get("/metrics").await;
    assert_eq!((code, text.as_str()), (503, "cannot ask the API who may do what: the API is away"));
}

#[tokio::test]
async fn who_may_only_look_must_not_run_anything() {
    let node = Node::start(Arc::new(Urls::default())).await;
    assert_eq!(node.caller("looker").get("/pods").await.0, 200);
    for path in
        ["/exec/shop/web/app?command=cat&output=1", "/attach/shop/web/app?output=1", "/portForward/shop/web"]
    {
        let refused = node.caller("looker").web_socket(path, "v5.channel.k8s.io").await.err().unwrap();
        let text = "Forbidden (user=looker, verb=create, resource=nodes, subresource(s)=[proxy])\n";
        assert_eq!(refused, (403, text.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_whoever_connects_next() {
    let mut node = Node::start(Arc::new(Urls::default())).await;
    assert_eq!(node.root().get("/healthz").await.0, 200);
    // From now on callers believe the authority of the new certificate alone.
    node.renew();
    assert_eq!(node.root().get("/healthz").await.0, 200);
}
