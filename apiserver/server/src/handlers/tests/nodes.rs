//! What a node may change.

use super::*;

const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/namespaces/shop/pods";

fn node(name: &str) -> User {
    let groups = vec!["system:nodes".to_owned(), "system:authenticated".to_owned()];
    User { name: format!("system:node:{name}"), groups, ..User::default() }
}

async fn ask(
    cluster: &Cluster,
    user: User,
    method: Method,
    path: &str,
    body: Value,
) -> Result<Answer, ApiError> {
    let form = if method == Method::PATCH { MERGE_PATCH } else { JSON };
    cluster.ask_as(user, method, path, form, &body.to_string()).await
}

/// A pod that runs on the node `n1`.
async fn running(cluster: &Cluster, name: &str) {
    cluster.pod(name).await;
    let bind = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}});
    cluster.post(&format!("{PODS}/{name}/binding"), bind).await;
}

#[test]
fn a_node_makes_and_changes_itself_and_waits_to_be_seen_ready() {
    with_cluster(async |cluster| {
        let made = ask(&cluster, node("n1"), Method::POST, NODES, json!({"metadata": {"name": "n1"}})).await;
        let taints = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]);
        assert_eq!(made.unwrap().body["spec"]["taints"], taints);
        let path = format!("{NODES}/n1");
        let patch = |metadata: Value, spec: Value| json!({"metadata": metadata, "spec": spec});
        let own = patch(json!({"labels": {"zone": "a"}}), json!({}));
        ask(&cluster, node("n1"), Method::PATCH, &path, own.clone()).await.unwrap();
        let error = refused(ask(&cluster, node("n2"), Method::PATCH, &path, own).await);
        let why = "nodes \"n1\" is forbidden: node \"n2\" is not allowed to modify node \"n1\"";
        assert_refused(&error, 403, "Forbidden", why);
        let ready = patch(json!({}), json!({"taints": null}));
        let error = refused(ask(&cluster, node("n1"), Method::PATCH, &path, ready.clone()).await);
        assert!(error.message.ends_with("node \"n1\" is not allowed to modify taints"), "{error:?}");
        cluster.merge(&path, ready).await.unwrap();
        let label = json!({"labels": {"node-restriction.kubernetes.io/role": "safe"}});
        let error = refused(ask(&cluster, node("n1"), Method::PATCH, &path, patch(label, json!({}))).await);
        assert!(error.message.contains("is not allowed to modify the following labels"), "{error:?}");
    });
}

#[test]
fn a_node_reports_on_its_own_pods_and_gets_their_tokens() {
    with_cluster(async |cluster| {
        cluster.post(NODES, json!({"metadata": {"name": "n1"}})).await;
        running(&cluster, "web").await;
        let status = format!("{PODS}/web/status");
        let running = json!({"status": {"phase": "Running"}});
        ask(&cluster, node("n1"), Method::PATCH, &status, running.clone()).await.unwrap();
        let error = refused(ask(&cluster, node("n2"), Method::PATCH, &status, running).await);
        let why = "pods \"web\" is forbidden: node \"n2\" can only update pod status for pods with spec.nodeName set to itself";
        assert_refused(&error, 403, "Forbidden", why);

        let token = "/api/v1/namespaces/shop/serviceaccounts/default/token";
        let bound = json!({"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web"}}});
        ask(&cluster, node("n1"), Method::POST, token, bound.clone()).await.unwrap();
        let error = refused(ask(&cluster, node("n2"), Method::POST, token, bound).await);
        assert!(error.message.ends_with("token bound to a pod scheduled on a different node"), "{error:?}");
        let error = refused(ask(&cluster, node("n1"), Method::POST, token, json!({})).await);
        assert!(error.message.ends_with("node requested token not bound to a pod"), "{error:?}");

        let path = format!("{PODS}/web");
        let error = refused(ask(&cluster, node("n2"), Method::DELETE, &path, json!({})).await);
        assert!(
            error.message.ends_with("can only delete pods with spec.nodeName set to itself"),
            "{error:?}"
        );
        let error = refused(ask(&cluster, node("n1"), Method::POST, PODS, pod("own")).await);
        assert!(error.message.ends_with("node \"n1\" can only create mirror pods"), "{error:?}");
        ask(&cluster, node("n1"), Method::DELETE, &path, json!({"gracePeriodSeconds": 0})).await.unwrap();
    });
}

#[test]
fn a_node_has_the_lease_of_its_name() {
    with_cluster(async |cluster| {
        cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "kube-node-lease"}})).await;
        let leases = |namespace: &str| format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        let lease = json!({"metadata": {"name": "n1"}});
        let make = async |user: User, namespace: &str| {
            ask(&cluster, user, Method::POST, &leases(namespace), lease.clone()).await
        };
        let error = refused(make(node("n2"), "kube-node-lease").await);
        assert!(error.message.ends_with("with the same name as the requesting node"), "{error:?}");
        let error = refused(make(node("n1"), "shop").await);
        assert!(error.message.ends_with("in the \"kube-node-lease\" system namespace"), "{error:?}");
        make(node("n1"), "kube-node-lease").await.unwrap();
    });
}
