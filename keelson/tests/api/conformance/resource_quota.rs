//! Titles of quotas: what is used is counted promptly, and what would be too much is refused.

use serde_json::{Value, json};

use super::Title;
use super::cluster::{Cluster, Namespace, items, until_there_are};
use super::life::{contains, is_gone, replaced};
use super::node::pod;
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new("ResourceQuota", "apply changes to a resourcequota status", status),
    Title::new("ResourceQuota", "update and delete ResourceQuota", update_and_delete),
    Title::new("ResourceQuota", "capture the life of a configMap", of_config_maps),
    Title::new("ResourceQuota", "capture the life of a pod (cpu/mem/ephemeral/extended resource)", of_pods),
    Title::new("ResourceQuota", "capture the life of a replica set", of_replica_sets),
    Title::new("ResourceQuota", "capture the life of a replication controller", of_replication_controllers),
    Title::new("ResourceQuota", "capture the life of a secret", of_secrets),
    Title::new("ResourceQuota", "capture the life of a service", of_services),
    Title::new("ResourceQuota", "status is promptly calculated", prompt),
    Title::new("ResourceQuota", "manage the lifecycle of a ResourceQuota", life),
    Title::new("ResourceQuota", "BestEffort / NotBestEffort scopes", by_quality_of_service),
    Title::new("ResourceQuota", "Terminating / NotTerminating scopes", by_deadline),
];

/// What upstream's tests allow a namespace.
fn hard() -> Value {
    json!({
        "pods": "5", "services": "10", "services.nodeports": "1", "services.loadbalancers": "1",
        "replicationcontrollers": "10", "resourcequotas": "1", "cpu": "1", "memory": "500Mi", "configmaps": "10",
        "secrets": "10", "persistentvolumeclaims": "10", "requests.storage": "10Gi", "requests.ephemeral-storage": "50Gi",
        "count/replicasets.apps": "5", "requests.example.com/dongle": "3",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "10",
        "gold.storageclass.storage.k8s.io/requests.storage": "10Gi",
    })
}

fn quota(name: &str, hard: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}})
}

fn path(namespace: &Namespace) -> String {
    namespace.core("resourcequotas")
}

/// Waits until a quota says that so much is used.
fn until_used(cluster: &Cluster<'_>, namespace: &Namespace, name: &str, wanted: &Value) {
    wait::until("the quota is up to date", || {
        let quota = cluster.api.get(&format!("{}/{name}", path(namespace))).ok();
        let used = &quota["status"]["used"];
        let is_so = wanted.as_object().unwrap().iter().all(|(resource, amount)| used[resource] == *amount);
        if is_so { Ok(()) } else { Err(format!("{used}, not {wanted}")) }
    });
}

/// A namespace with the usual quota, which is in force everywhere.
fn limited(cluster: &Cluster<'_>) -> Namespace {
    let namespace = cluster.namespace();
    cluster.api.post(&path(&namespace), &quota("test-quota", &hard())).ok();
    until_used(cluster, &namespace, "test-quota", &json!({"resourcequotas": "1"}));
    namespace
}

fn prompt(cluster: &Cluster<'_>) {
    let namespace = limited(cluster);
    let quota = cluster.api.get(&format!("{}/test-quota", path(&namespace))).ok();
    assert_eq!(quota["status"]["hard"], quota["spec"]["hard"]);
    assert_eq!(quota["status"]["used"].as_object().unwrap().len(), hard().as_object().unwrap().len());
}

/// Makes an object, sees that it is counted, deletes it, and sees that it is not.
fn counted(cluster: &Cluster<'_>, namespace: &Namespace, path: &str, object: &Value, resource: &str) {
    let before = cluster.api.get(&format!("{}/test-quota", self::path(namespace))).ok();
    let before = before["status"]["used"][resource].as_str().unwrap().parse::<u32>().unwrap();
    let used = |count: u32| {
        let wanted = json!({resource: count.to_string()});
        until_used(cluster, namespace, "test-quota", &wanted);
    };
    cluster.api.post(path, object).ok();
    used(before + 1);
    cluster.api.delete(&format!("{path}/{}", object["metadata"]["name"].as_str().unwrap())).ok();
    used(before);
}

fn of_config_maps(cluster: &Cluster<'_>) {
    let namespace = limited(cluster);
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "test"}, "data": {"a": "b"}});
    counted(cluster, &namespace, &namespace.core("configmaps"), &object, "configmaps");
}

fn of_secrets(cluster: &Cluster<'_>) {
    let namespace = limited(cluster);
    let object =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "test"}, "stringData": {"a": "b"}});
    counted(cluster, &namespace, &namespace.core("secrets"), &object, "secrets");
}

fn template() -> Value {
    json!({"metadata": {"labels": {"name": "test"}}, "spec": pod("")["spec"]})
}

fn of_replica_sets(cluster: &Cluster<'_>) {
    let namespace = limited(cluster);
    let object = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "test-rs"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"name": "test"}}, "template": template()},
    });
    counted(cluster, &namespace, &namespace.of("apps/v1", "replicasets"), &object, "count/replicasets.apps");
}

fn of_replication_controllers(cluster: &Cluster<'_>) {
    let namespace = limited(cluster);
    let object = json!({
        "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "test-rc"},
        "spec": {"replicas": 0, "selector": {"name": "test"}, "template": template()},
    });
    counted(
        cluster,
        &namespace,
        &namespace.core("replicationcontrollers"),
        &object,
        "replicationcontrollers",
    );
}

fn service(name: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": kind, "ports": [{"port": 80, "targetPort": 80}]},
    })
}

fn of_services(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, limited(cluster));
    let services = namespace.core("services");
    let used = |all: &str, ports: &str| {
        let wanted = json!({"services": all, "services.nodeports": ports, "services.loadbalancers": "0"});
        until_used(cluster, &namespace, "test-quota", &wanted);
    };
    api.post(&services, &service("test-service", "ClusterIP")).ok();
    api.post(&services, &service("test-service-np", "NodePort")).ok();
    used("2", "1");
    let refused = api.post(&services, &service("test-service-lb", "LoadBalancer")).refused(403);
    assert!(refused.contains("exceeded quota: test-quota"), "{refused}");
    for name in ["test-service", "test-service-np"] {
        api.delete(&format!("{services}/{name}")).ok();
    }
    used("0", "0");
}

fn with_requests(name: &str, requests: &Value) -> Value {
    let mut object = pod(name);
    let limits: Value = requests
        .as_object()
        .unwrap()
        .iter()
        .filter(|(resource, _)| resource.contains('/'))
        .map(|(resource, amount)| (resource.clone(), amount.clone()))
        .collect();
    object["spec"]["containers"][0]["resources"] = json!({"requests": requests, "limits": limits});
    object
}

fn of_pods(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, limited(cluster));
    let pods = namespace.core("pods");
    let fits =
        json!({"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2"});
    let used = json!({
        "pods": "1", "cpu": "500m", "memory": "252Mi", "requests.ephemeral-storage": "30Gi",
        "requests.example.com/dongle": "2",
    });
    api.post(&pods, &with_requests("test-pod", &fits)).ok();
    until_used(cluster, &namespace, "test-quota", &used);
    for too_much in [
        json!({"cpu": "600m", "memory": "100Mi"}),
        json!({"cpu": "500m", "memory": "100Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2"}),
    ] {
        let refused = api.post(&pods, &with_requests("fail-pod", &too_much)).refused(403);
        assert!(refused.contains("exceeded quota: test-quota"), "{refused}");
    }
    // What a pod asks for does not change.
    let patch =
        json!({"spec": {"containers": [{"name": "pause", "resources": {"requests": {"cpu": "100m"}}}]}});
    api.strategic(&format!("{pods}/test-pod"), &patch).refused(422);
    until_used(cluster, &namespace, "test-quota", &used);
    api.delete_with(&format!("{pods}/test-pod"), &json!({"gracePeriodSeconds": 0})).ok();
    let nothing = json!({
        "pods": "0", "cpu": "0", "memory": "0", "requests.ephemeral-storage": "0", "requests.example.com/dongle": "0",
    });
    until_used(cluster, &namespace, "test-quota", &nothing);
}

/// Two quotas for pods of opposite sorts: a pod is counted by the one that it belongs to.
fn by_scope(cluster: &Cluster<'_>, scopes: [&str; 2], cases: [(Value, usize); 2], hard: [&Value; 2]) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let names = ["quota-one", "quota-two"];
    for ((name, scope), hard) in names.iter().zip(scopes).zip(hard) {
        let mut object = quota(name, hard);
        object["spec"]["scopes"] = json!([scope]);
        api.post(&path(&namespace), &object).ok();
        until_used(cluster, &namespace, name, &json!({"pods": "0"}));
    }
    for (pod, index) in cases {
        api.post(&namespace.core("pods"), &pod).ok();
        until_used(cluster, &namespace, names[index], &json!({"pods": "1"}));
        until_used(cluster, &namespace, names[1 - index], &json!({"pods": "0"}));
        let one = namespace.core(&format!("pods/{}", pod["metadata"]["name"].as_str().unwrap()));
        api.delete_with(&one, &json!({"gracePeriodSeconds": 0})).ok();
        until_used(cluster, &namespace, names[index], &json!({"pods": "0"}));
    }
}

fn by_quality_of_service(cluster: &Cluster<'_>) {
    let burstable = with_requests("burstable-pod", &json!({"cpu": "500m", "memory": "252Mi"}));
    let cases = [(pod("besteffort-pod"), 0), (burstable, 1)];
    let hard = json!({"pods": "5"});
    by_scope(cluster, ["BestEffort", "NotBestEffort"], cases, [&hard, &hard]);
}

fn by_deadline(cluster: &Cluster<'_>) {
    let requests = json!({"cpu": "500m", "memory": "200Mi"});
    let mut ends = with_requests("terminating-pod", &requests);
    ends["spec"]["activeDeadlineSeconds"] = 3600.into();
    let cases = [(with_requests("test-pod", &requests), 1), (ends, 0)];
    let hard = json!({"pods": "5", "requests.cpu": "1", "requests.memory": "500Mi"});
    by_scope(cluster, ["Terminating", "NotTerminating"], cases, [&hard, &hard]);
}

fn update_and_delete(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let one = format!("{}/test-quota", path(&namespace));
    api.post(&path(&namespace), &quota("test-quota", &json!({"cpu": "1", "memory": "500Mi"}))).ok();
    replaced(api, &one, |read| read["spec"]["hard"] = json!({"cpu": "2", "memory": "1Gi"}));
    assert_eq!(api.get(&one).ok()["spec"]["hard"], json!({"cpu": "2", "memory": "1Gi"}));
    api.delete(&one).ok();
    assert!(is_gone(&api.get(&one)));
}

fn life(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let mut object = quota("e2e-quota", &json!({"cpu": "500m"}));
    object["metadata"]["labels"] = json!({"e2e-quota": namespace.name});
    api.post(&path(&namespace), &object).ok();
    let everywhere = format!("/api/v1/resourcequotas?labelSelector=e2e-quota%3D{}", namespace.name);
    assert_eq!(items(&api.get(&everywhere).ok()).len(), 1);
    let patch = json!({
        "metadata": {"labels": {&namespace.name: "patched"}}, "spec": {"hard": {"memory": "750Mi"}},
    });
    contains(&api.strategic(&format!("{}/e2e-quota", path(&namespace)), &patch).ok(), &patch);
    let patched = format!("{}?labelSelector={}%3Dpatched", path(&namespace), namespace.name);
    api.delete_with(&patched, &json!({})).ok();
    until_there_are(api, &everywhere, 0);
}

fn status(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let one = format!("{}/e2e-rq-status", path(&namespace));
    let mut object = quota("e2e-rq-status", &json!({"cpu": "500m", "memory": "500Mi"}));
    object["metadata"]["labels"] = json!({"e2e-rq-status": namespace.name});
    let mut watch =
        api.watch(&format!("{}?labelSelector=e2e-rq-status%3D{}", path(&namespace), namespace.name));
    api.post(&path(&namespace), &object).ok();
    until_used(cluster, &namespace, "e2e-rq-status", &json!({"cpu": "0"}));
    // Whoever counts says otherwise again, soon; so what is seen is the answer, and the watch's event.
    let wanted = json!({"status": {"hard": {"cpu": "1", "memory": "1Gi"}}});
    let status = format!("{one}/status");
    let told = replaced(api, &status, |read| read["status"]["hard"] = wanted["status"]["hard"].clone());
    contains(&told, &wanted);
    watch.until("MODIFIED", |it| it["status"]["hard"]["cpu"] == "1");
    let patch = json!({"status": {"hard": {"cpu": "2", "memory": "2Gi"}}});
    contains(&api.merge(&status, &patch).ok(), &patch);
    watch.until("MODIFIED", |it| it["status"]["hard"]["cpu"] == "2");
    let read = api.get(&one).ok();
    assert_eq!(read["spec"]["hard"], json!({"cpu": "500m", "memory": "500Mi"}), "what is wanted stays");
    let again = watch.until("MODIFIED", |it| it["status"]["hard"]["cpu"] == "500m");
    assert_eq!(again["status"]["hard"], again["spec"]["hard"]);
}
