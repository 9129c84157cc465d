//! Pods: what admission gives them, and how they end.

use keelson_api_registry::{
    object::Object,
    resources::{self, ResourceInfo},
};
use keelson_store_core::id::Revision;

use super::*;
use crate::storage::{ClaimChange, ObjectStore};

const PODS: &str = "/api/v1/namespaces/shop/pods";

#[test]
fn a_pod_gets_an_account_a_token_a_priority_and_tolerations() {
    with_cluster(async |cluster| {
        let pod = cluster.pod("web").await;
        let spec = &pod["spec"];
        assert_eq!(
            (&spec["serviceAccountName"], &spec["serviceAccount"]),
            (&json!("default"), &json!("default"))
        );
        assert_eq!(
            (&spec["priority"], &spec["preemptionPolicy"]),
            (&json!(0), &json!("PreemptLowerPriority"))
        );
        let volume = spec["volumes"][0]["name"].as_str().unwrap();
        assert!(volume.starts_with("kube-api-access-"), "{volume}");
        let mount = &spec["containers"][0]["volumeMounts"][0];
        assert_eq!(mount["mountPath"], "/var/run/secrets/kubernetes.io/serviceaccount");
        let tolerated: Vec<_> = spec["tolerations"].as_array().unwrap().iter().map(|t| &t["key"]).collect();
        assert_eq!(tolerated, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
    });
}

#[test]
fn a_profile_in_an_annotation_becomes_a_field_and_is_warned_of() {
    with_cluster(async |cluster| {
        cluster.pod("other").await;
        let key = "container.apparmor.security.beta.kubernetes.io/web";
        let mut wanted = pod("web");
        wanted["spec"]["containers"][0]["name"] = "web".into();
        wanted["metadata"]["annotations"] = json!({key: "unconfined"});
        let answer = cluster.ask(Method::POST, PODS, JSON, &wanted.to_string()).await.unwrap();
        let container = &answer.body["spec"]["containers"][0];
        assert_eq!(container["securityContext"]["appArmorProfile"], json!({"type": "Unconfined"}));
        assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
        assert!(answer.warnings[0].contains("deprecated since v1.30"), "{:?}", answer.warnings);
    });
}

#[test]
fn a_pod_of_an_account_that_is_not_there_is_refused() {
    with_cluster(async |cluster| {
        let mut wanted = pod("web");
        wanted["spec"]["serviceAccountName"] = "till".into();
        let error = cluster.post_refused(PODS, wanted).await;
        let message = "pods \"web\" is forbidden: error looking up service account shop/till: serviceaccount \"till\" \
                       not found";
        assert_refused(&error, 403, "Forbidden", message);
    });
}

#[test]
fn the_default_account_of_a_new_namespace_is_waited_for() {
    with_cluster(async |cluster| {
        let account = async {
            let path = "/api/v1/namespaces/shop/serviceaccounts";
            cluster.post(path, json!({"metadata": {"name": "default"}})).await
        };
        let (pod, _) = futures_util::future::join(cluster.post(PODS, pod("web")), account).await;
        assert_eq!(pod["spec"]["serviceAccountName"], "default");
    });
}

#[test]
fn a_priority_class_becomes_a_number() {
    with_cluster(async |cluster| {
        let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
        cluster.post(classes, json!({"metadata": {"name": "high"}, "value": 1000})).await;
        cluster.pod("plain").await;
        let mut wanted = pod("web");
        wanted["spec"]["priorityClassName"] = "high".into();
        let created = cluster.post(PODS, wanted.clone()).await;
        assert_eq!(created["spec"]["priority"], 1000);
        wanted["spec"]["priorityClassName"] = "low".into();
        let error = cluster.post_refused(PODS, wanted).await;
        let message = "pods \"web\" is forbidden: no PriorityClass with name low was found";
        assert_refused(&error, 403, "Forbidden", message);
    });
}

#[test]
fn there_is_one_default_priority_class() {
    with_cluster(async |cluster| {
        let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
        let class = |name: &str| json!({"metadata": {"name": name}, "value": 5, "globalDefault": true});
        cluster.post(classes, class("one")).await;
        // What is looked up here is the server's own cache, which follows the store.
        let resource =
            keelson_api_registry::resources::find("scheduling.k8s.io", "v1", "priorityclasses").unwrap();
        let mut changes = cluster.server.objects.changed(resource);
        while cluster.server.objects.cached_object(resource, "", "one").is_none() {
            changes.changed().await.unwrap();
        }
        let error = cluster.post_refused(classes, class("two")).await;
        let message = "priorityclasses.scheduling.k8s.io \"two\" is forbidden: PriorityClass one is already marked as \
                       default. Only one default can exist";
        assert_refused(&error, 403, "Forbidden", message);
    });
}

#[test]
fn a_pod_without_a_node_goes_at_once_and_one_with_a_node_when_the_node_says_so() {
    with_cluster(async |cluster| {
        cluster.pod("idle").await;
        let idle = format!("{PODS}/idle");
        let deleted = cluster.delete(&idle, Value::Null).await.unwrap();
        assert_eq!((deleted.code, cluster.get(&idle).await), (200, None));

        cluster.pod("web").await;
        let web = format!("{PODS}/web");
        let binding = json!({"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n1"}});
        cluster.post(&format!("{web}/binding"), binding).await;
        let deleted = cluster.delete(&web, Value::Null).await.unwrap();
        assert_eq!(deleted.body["metadata"]["deletionGracePeriodSeconds"], 30);
        assert_eq!(deleted.body["metadata"]["deletionTimestamp"], "2026-11-23T01:02:33Z");
        let uid = &deleted.body["metadata"]["uid"];
        let last = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
        let gone = cluster.delete(&web, last).await.unwrap();
        assert_eq!(gone.body["metadata"]["deletionGracePeriodSeconds"], 0);
        assert_eq!(cluster.get(&web).await, None);
    });
}

/// Whenever a pod is marked as deleted, does something to it, perhaps before it is removed.
async fn interfere(cluster: &Cluster, deed: impl AsyncFn(&ObjectStore, &Object, Revision)) {
    let objects = &cluster.server.objects;
    let mut changes = objects.changed(pods());
    loop {
        changes.changed().await.unwrap();
        for pod in objects.cached(pods()).iter().filter(|pod| pod.object().is_being_deleted()) {
            deed(objects, &pod.object(), pod.revision).await;
        }
    }
}

/// Deletes many pods while somebody interferes: each is gone, and its deletion says so.
async fn delete_under(cluster: Cluster, deed: impl AsyncFn(&ObjectStore, &Object, Revision)) {
    let deletions = async {
        for attempt in 0..100 {
            let name = format!("web-{attempt}");
            cluster.pod(&name).await;
            let path = format!("{PODS}/{name}");
            let deleted = cluster.delete(&path, json!({"gracePeriodSeconds": 0})).await.unwrap();
            assert_eq!((&deleted.body["metadata"]["name"], cluster.get(&path).await), (&json!(name), None));
        }
    };
    tokio::select! {
        () = deletions => {}
        () = interfere(&cluster, deed) => {}
    }
}

fn pods() -> &'static ResourceInfo {
    resources::find("", "v1", "pods").unwrap()
}

#[test]
fn a_pod_that_somebody_else_removes_once_it_is_marked_was_deleted_all_the_same() {
    // As the pod garbage collector does.
    with_cluster(async |cluster| {
        delete_under(cluster, async |objects, pod, revision| {
            objects.remove(pods(), pod.namespace(), pod.name(), revision, &[]).await.unwrap();
        })
        .await;
    });
}

#[test]
fn a_pod_that_somebody_changes_once_it_is_marked_is_removed_all_the_same() {
    // As a scheduler does that has found no node.
    with_cluster(async |cluster| {
        delete_under(cluster, async |objects, pod, revision| {
            let mut changed = pod.clone();
            changed.set(&["status", "message"], "no node fits");
            objects.replace(pods(), &changed, revision, ClaimChange::default()).await.unwrap();
        })
        .await;
    });
}

#[test]
fn a_pod_that_runs_gets_containers_to_look_around_in_it() {
    with_cluster(async |cluster| {
        cluster.pod("web").await;
        let path = "/api/v1/namespaces/shop/pods/web";
        let look = json!({"name": "look", "image": "busybox"});
        let more = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"ephemeralContainers": [look]}});
        let error = refused(cluster.merge(path, more.clone()).await);
        assert_eq!(error.reason, "Invalid");
        let part = format!("{path}/ephemeralcontainers");
        let pod = cluster.merge(&part, more).await.unwrap().body;
        assert_eq!(pod["spec"]["ephemeralContainers"][0]["imagePullPolicy"], "Always");
        assert_eq!((&pod["metadata"]["labels"], &pod["metadata"]["generation"]), (&Value::Null, &json!(2)));
        assert_eq!(cluster.get(&part).await.unwrap()["spec"], pod["spec"]);
        let error = refused(cluster.merge(&part, json!({"spec": {"ephemeralContainers": null}})).await);
        assert!(
            error.message.contains("existing ephemeral containers \"look\" may not be removed"),
            "{}",
            error.message
        );
    });
}
