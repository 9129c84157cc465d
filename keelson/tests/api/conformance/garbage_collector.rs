//! Titles of garbage collection: what becomes of objects whose owner goes.

use serde_json::{Value, json};

use super::Title;
use super::client::Api;
use super::cluster::{Cluster, Namespace, items, name_of, until_there_are};
use super::controllers::{pods_of, replication_controller, until_it_has};
use super::life::is_gone;
use super::node::pod;
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new(SUITE, "delete RS created by deployment when not orphaning (Background)", replica_set_deleted),
    Title::new(SUITE, "delete pods created by rc when not orphaning (Background)", pods_deleted),
    Title::new(SUITE, "keep the rc until all its pods are deleted (Foreground)", controller_last),
    Title::new(SUITE, "not be blocked by dependency circle", circle),
    Title::new(SUITE, "keep dependents with another valid owner", another_owner),
    Title::new(SUITE, "orphan RS created by deployment (Orphan)", replica_set_orphaned),
    Title::new(SUITE, "orphan pods created by rc (Orphan)", pods_orphaned),
];

const SUITE: &str = "Garbage collector";

fn propagating(policy: &str, owner: &Value) -> Value {
    json!({"propagationPolicy": policy, "preconditions": {"uid": owner["metadata"]["uid"]}})
}

fn deployment(cluster: &Cluster<'_>, namespace: &Namespace) -> (String, Value, Value) {
    let (api, labels) = (&cluster.api, json!({"app": "gc"}));
    let mut template = json!({"metadata": {"labels": labels}, "spec": pod("")["spec"]});
    template["spec"]["nodeSelector"] = json!({"e2e-no-node": "at-all"});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "simpletest.deployment"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    });
    let path = namespace.of("apps/v1", "deployments");
    let made = api.post(&path, &object).ok();
    let sets = until_there_are(api, &namespace.of("apps/v1", "replicasets"), 1);
    (format!("{path}/simpletest.deployment"), made, items(&sets)[0].clone())
}

fn replica_set_deleted(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let (one, made, _) = deployment(cluster, &namespace);
    cluster.api.delete_with(&one, &propagating("Background", &made)).ok();
    until_there_are(&cluster.api, &namespace.of("apps/v1", "replicasets"), 0);
    assert!(is_gone(&cluster.api.get(&one)));
}

fn replica_set_orphaned(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let (one, made, set) = deployment(cluster, &namespace);
    cluster.api.delete_with(&one, &propagating("Orphan", &made)).ok();
    let path = namespace.of("apps/v1", &format!("replicasets/{}", name_of(&set)));
    wait::until("it is nobody's", || {
        let gone = is_gone(&cluster.api.get(&one));
        let read = cluster.api.get(&path).ok();
        let owners = read["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len);
        if gone && owners == 0 { Ok(()) } else { Err(read.to_string()) }
    });
}

/// A replication controller with its pods.
fn controller(cluster: &Cluster<'_>, namespace: &Namespace, name: &str, replicas: u32) -> (String, Value) {
    let path = namespace.core("replicationcontrollers");
    let made = cluster.api.post(&path, &replication_controller(name, replicas, &json!({"name": name}))).ok();
    until_it_has(&cluster.api, namespace, name, usize::try_from(replicas).unwrap());
    (format!("{path}/{name}"), made)
}

fn pods_deleted(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let (one, made) = controller(cluster, &namespace, "simpletest.rc", 2);
    cluster.api.delete_with(&one, &propagating("Background", &made)).ok();
    until_there_are(&cluster.api, &namespace.core("pods"), 0);
    assert!(is_gone(&cluster.api.get(&one)));
}

fn pods_orphaned(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let (one, made) = controller(cluster, &namespace, "simpletest.rc", 10);
    api.delete_with(&one, &propagating("Orphan", &made)).ok();
    wait::until("the controller is gone", || {
        if is_gone(&api.get(&one)) { Ok(()) } else { Err("no".to_owned()) }
    });
    let pods = api.get(&namespace.core("pods")).ok();
    assert_eq!(items(&pods).len(), 10);
    assert!(pods_of(api, &namespace, "simpletest.rc").is_empty(), "they are nobody's");
}

fn controller_last(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let (one, made) = controller(cluster, &namespace, "simpletest.rc", 10);
    let mut watch =
        api.watch(&namespace.core("replicationcontrollers?fieldSelector=metadata.name%3Dsimpletest.rc"));
    watch.expect("ADDED");
    api.delete_with(&one, &propagating("Foreground", &made)).ok();
    let ending = watch.until("MODIFIED", |it| !it["metadata"]["deletionTimestamp"].is_null());
    assert!(ending["metadata"]["finalizers"].to_string().contains("foregroundDeletion"), "{ending}");
    watch.until("DELETED", |it| name_of(it) == "simpletest.rc");
    assert!(pods_of(api, &namespace, "simpletest.rc").is_empty(), "it goes after its pods");
}

fn reference(kind: &str, owner: &Value, blocks: bool) -> Value {
    json!({
        "apiVersion": "v1", "kind": kind, "name": name_of(owner), "uid": owner["metadata"]["uid"],
        "controller": false, "blockOwnerDeletion": blocks,
    })
}

fn another_owner(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let (one, going) = controller(cluster, &namespace, "simpletest-rc-to-be-deleted", 10);
    let (_, staying) = controller(cluster, &namespace, "simpletest-rc-to-stay", 0);
    let pods = pods_of(api, &namespace, "simpletest-rc-to-be-deleted");
    for pod in &pods[..5] {
        let patch =
            json!({"metadata": {"ownerReferences": [reference("ReplicationController", &staying, false)]}});
        api.strategic(&namespace.core(&format!("pods/{}", name_of(pod))), &patch).ok();
    }
    api.delete_with(&one, &propagating("Foreground", &going)).ok();
    wait::until("the controller is gone", || {
        let answer = api.get(&one);
        if is_gone(&answer) { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    let left = until_there_are(api, &namespace.core("pods"), 5);
    for pod in items(&left) {
        let owners = pod["metadata"]["ownerReferences"].as_array().unwrap();
        assert!(owners.len() == 1 && owners[0]["name"] == "simpletest-rc-to-stay", "{pod}");
        assert!(pod["metadata"]["deletionTimestamp"].is_null());
    }
}

/// A pod that nobody takes.
fn lonely(api: &Api, namespace: &Namespace, name: &str) -> Value {
    let mut object = pod(name);
    object["spec"]["nodeSelector"] = json!({"e2e-no-node": "at-all"});
    api.post(&namespace.core("pods"), &object).ok()
}

fn circle(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let pods = ["pod1", "pod2", "pod3"].map(|name| lonely(api, &namespace, name));
    for (index, pod) in pods.iter().enumerate() {
        let patch =
            json!({"metadata": {"ownerReferences": [reference("Pod", &pods[(index + 2) % 3], true)]}});
        api.strategic(&namespace.core(&format!("pods/{}", name_of(pod))), &patch).ok();
    }
    api.delete_with(&namespace.core("pods/pod1"), &propagating("Foreground", &pods[0])).ok();
    until_there_are(api, &namespace.core("pods"), 0);
}
