//! Namespaces that say how much their pods may do.

use keelson_api_registry::resources;

use super::*;

const SHOP: &str = "/api/v1/namespaces/shop";
const PODS: &str = "/api/v1/namespaces/shop/pods";

/// Labels the namespace, and waits until admission knows.
async fn label(cluster: &Cluster, key: &str, value: &str) {
    let patch = json!({"metadata": {"labels": {format!("pod-security.kubernetes.io/{key}"): value}}});
    cluster.merge(SHOP, patch).await.unwrap();
    cluster.server.objects.fresh(resources::find("", "v1", "namespaces").unwrap()).await.unwrap();
}

fn privileged(name: &str) -> Value {
    let mut pod = pod(name);
    pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    pod
}

#[test]
fn pods_keep_the_standard_of_their_namespace() {
    with_cluster(async |cluster| {
        cluster.pod("before").await;
        cluster.post(PODS, privileged("early")).await;
        label(&cluster, "enforce", "baseline").await;
        let error = cluster.post_refused(PODS, privileged("late")).await;
        let why = "pods \"late\" is forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"c\" must not set securityContext.privileged=true)";
        assert_refused(&error, 403, "Forbidden", why);
        cluster.post(PODS, pod("plain")).await;
        // Who is there already may stay.
        let early = format!("{PODS}/early");
        cluster.merge(&early, json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    });
}

#[test]
fn templates_are_warned_about_and_made() {
    with_cluster(async |cluster| {
        label(&cluster, "warn", "restricted").await;
        label(&cluster, "warn-version", "v1.30").await;
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": pod("web")["spec"]});
        let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template});
        let object = json!({"metadata": {"name": "web"}, "spec": spec}).to_string();
        let path = "/apis/apps/v1/namespaces/shop/deployments";
        let answer = cluster.ask(Method::POST, path, JSON, &object).await.unwrap();
        assert_eq!(answer.code, 201);
        assert!(
            answer.warnings[0]
                .contains("would violate PodSecurity \\\"restricted:v1.30\\\": allowPrivilegeEscalation"),
            "{:?}",
            answer.warnings
        );
    });
}

#[test]
fn labels_that_mean_nothing_are_refused() {
    with_cluster(async |cluster| {
        let patch = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "some"}}});
        let error = refused(cluster.merge(SHOP, patch).await);
        let why = "Namespace \"shop\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"some\": must be one of privileged, baseline, restricted";
        assert_refused(&error, 422, "Invalid", why);
    });
}
