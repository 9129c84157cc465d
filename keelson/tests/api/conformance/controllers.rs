//! Titles that need controllers, and no pod that runs.

use serde_json::{Value, json};

use super::Title;
use super::client::Api;
use super::cluster::{Cluster, Namespace, items, name_of, names, until_there_are};
use super::life::{Life, contains, is_gone, replaced};
use super::node::pod;
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new("CronJob", "CronJob API operations", cron_jobs),
    Title::new("Namespaces", "apply a finalizer to a Namespace", namespace_finalizer),
    Title::new("Namespaces", "all services are removed when a namespace is deleted", namespace_services),
    Title::new(
        "DisruptionController",
        "list and delete a collection of PDBs (all namespaces)",
        budget_collection,
    ),
    Title::new("DisruptionController", "create/update/patch/delete a PDB", budget),
    Title::new("DisruptionController", "update/patch PDB status", budget_status),
    Title::new("Job", "manage the lifecycle of a (suspended) job", suspended_job),
    Title::new("ReplicationController", "release no longer matching pods", released_pod),
    Title::new("ReplicationController", "surface a failure condition on exceeded quota", failed_controller),
    Title::new("ServiceAccounts", "kube-root-ca.crt exists in any namespace (recreate, reconcile)", root_ca),
    Title::new("EndpointSlice", "EndpointSlices for a Service that matches no pods", slices_without_pods),
    Title::new("EndpointSliceMirroring", "mirror a custom Endpoints (create/update/delete)", mirrored),
    Title::new("EndpointsController", "Endpoints for a Service that matches no pods", endpoints_without_pods),
];

fn cron_jobs(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let template = json!({"spec": {"template": {"spec": {
        "restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10.1"}],
    }}}});
    Life {
        group_version: "batch/v1",
        plural: "cronjobs",
        kind: "CronJob",
        namespace: Some(&namespace.name),
        sample: json!({"spec": {"schedule": "* */1 * * ?", "concurrencyPolicy": "Allow", "jobTemplate": template}}),
        change: json!({"spec": {"suspend": true}}),
        status: Some(json!({"status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}})),
    }
    .live(cluster);
}

fn namespace_object(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn namespace_finalizer(cluster: &Cluster<'_>) {
    let api = &cluster.api;
    let name = format!("e2e-ns-{}", cluster.namespace().name);
    api.post("/api/v1/namespaces", &namespace_object(&name)).ok();
    let (one, finalize) =
        (format!("/api/v1/namespaces/{name}"), format!("/api/v1/namespaces/{name}/finalize"));
    let mut read = api.get(&one).ok();
    let with = json!(["kubernetes", "e2e.example.com/fakeFinalizer"]);
    read["spec"]["finalizers"] = with.clone();
    assert_eq!(api.put(&finalize, &read).ok()["spec"]["finalizers"], with);
    let mut read = api.get(&one).ok();
    read["spec"]["finalizers"] = json!(["kubernetes"]);
    assert_eq!(api.put(&finalize, &read).ok()["spec"]["finalizers"], json!(["kubernetes"]));
    api.delete(&one).ok();
    until_gone(api, &one);
}

fn until_gone(api: &Api, path: &str) {
    wait::until(&format!("{path} is gone"), || {
        let answer = api.get(path);
        if is_gone(&answer) { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}

fn service(name: &str, selector: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": selector, "ports": [{"name": "example", "port": 80, "protocol": "TCP"}]},
    })
}

fn namespace_services(cluster: &Cluster<'_>) {
    let api = &cluster.api;
    let name = format!("e2e-nss-{}", cluster.namespace().name);
    api.post("/api/v1/namespaces", &namespace_object(&name)).ok();
    let services = format!("/api/v1/namespaces/{name}/services");
    api.post(&services, &service("test-service", &json!({"foo": "bar"}))).ok();
    let one = format!("/api/v1/namespaces/{name}");
    api.delete(&one).ok();
    until_gone(api, &one);
    api.post("/api/v1/namespaces", &namespace_object(&name)).ok();
    assert!(items(&api.get(&services).ok()).is_empty());
    api.delete(&one).ok();
}

const POLICY: &str = "policy/v1";

fn budget_object(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": POLICY, "kind": "PodDisruptionBudget", "metadata": {"name": name, "labels": labels},
        "spec": {"selector": {"matchLabels": {"foo": "bar"}}, "minAvailable": 1},
    })
}

/// Waits until the controller has looked at what is wanted now.
fn until_processed(api: &Api, one: &str) -> Value {
    wait::until("the budget is processed", || {
        let read = api.get(one).ok();
        let is_so = read["status"]["observedGeneration"] == read["metadata"]["generation"];
        if is_so { Ok(read) } else { Err(read.to_string()) }
    })
}

fn budget_collection(cluster: &Cluster<'_>) {
    let (api, first, second) = (&cluster.api, cluster.namespace(), cluster.namespace());
    let labels = json!({"pdb": first.name});
    for (namespace, name) in [(&first, "foo"), (&first, "foo2"), (&second, "foo3")] {
        api.post(&namespace.of(POLICY, "poddisruptionbudgets"), &budget_object(name, &labels)).ok();
    }
    let everywhere = format!("/apis/policy/v1/poddisruptionbudgets?labelSelector=pdb%3D{}", first.name);
    assert_eq!(items(&api.get(&everywhere).ok()).len(), 3);
    assert_eq!(items(&api.get(&first.of(POLICY, "poddisruptionbudgets")).ok()).len(), 2);
    api.delete_with(&first.of(POLICY, "poddisruptionbudgets"), &json!({})).ok();
    assert_eq!(names(&until_there_are(api, &everywhere, 1)), ["foo3"]);
}

fn budget(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.of(POLICY, "poddisruptionbudgets");
    let one = format!("{path}/foo");
    api.post(&path, &budget_object("foo", &json!({}))).ok();
    until_processed(api, &one);
    replaced(api, &one, |read| read["spec"]["minAvailable"] = "30%".into());
    assert_eq!(until_processed(api, &one)["spec"]["minAvailable"], "30%");
    let patch = json!({"spec": {"maxUnavailable": 3, "minAvailable": null}});
    api.strategic(&one, &patch).ok();
    assert_eq!(until_processed(api, &one)["spec"]["maxUnavailable"], 3);
    api.delete(&one).ok();
    until_gone(api, &one);
}

fn budget_status(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.of(POLICY, "poddisruptionbudgets");
    let status = format!("{path}/foo/status");
    api.post(&path, &budget_object("foo", &json!({}))).ok();
    until_processed(api, &format!("{path}/foo"));
    let lost = json!({"pod-1": "2026-01-01T00:00:00Z"});
    let told = replaced(api, &status, |read| read["status"]["disruptedPods"] = lost.clone());
    assert_eq!(told["status"]["disruptedPods"], lost);
    let patched = api.merge(&status, &json!({"status": {"disruptedPods": null}})).ok();
    assert!(
        patched["status"]["disruptedPods"].as_object().is_none_or(serde_json::Map::is_empty),
        "{patched}"
    );
}

fn suspended_job(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.of("batch/v1", "jobs");
    let object = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "e2e-job", "labels": {"e2e-job": namespace.name}},
        "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10.1"}],
        }}},
    });
    let own = format!("{path}?labelSelector=e2e-job%3D{}", namespace.name);
    let mut watch = api.watch(&own);
    api.post(&path, &object).ok();
    watch.expect("ADDED");
    watch.until("MODIFIED", |it| it["status"]["conditions"][0]["type"] == "Suspended");
    assert!(items(&api.get(&namespace.core("pods")).ok()).is_empty());
    let one = format!("{path}/e2e-job");
    let patch = json!({"metadata": {"labels": {"e2e-patched": "true"}}});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    watch.until("MODIFIED", |it| it["metadata"]["labels"]["e2e-patched"] == "true");
    replaced(api, &one, |read| read["metadata"]["annotations"]["updated"] = "true".into());
    watch.until("MODIFIED", |it| it["metadata"]["annotations"]["updated"] == "true");
    let everywhere = format!("/apis/batch/v1/jobs?labelSelector=e2e-job%3D{}", namespace.name);
    assert_eq!(items(&api.get(&everywhere).ok()).len(), 1);
    api.delete_with(&own, &json!({"propagationPolicy": "Background"})).ok();
    watch.until("DELETED", |it| name_of(it) == "e2e-job");
}

/// A replication controller of pods that nobody runs.
pub(super) fn replication_controller(name: &str, replicas: u32, labels: &Value) -> Value {
    let mut template = json!({"metadata": {"labels": labels}, "spec": pod("")["spec"]});
    // So that no node of any other scenario takes them.
    template["spec"]["nodeSelector"] = json!({"e2e-no-node": "at-all"});
    json!({
        "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": labels, "template": template},
    })
}

/// The pods of a namespace that belong to a controller of this name.
pub(super) fn pods_of(api: &Api, namespace: &Namespace, owner: &str) -> Vec<Value> {
    let list = api.get(&namespace.core("pods")).ok();
    let is_own = |pod: &&Value| {
        let mut references = pod["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        references.any(|it| it["name"] == owner && it["controller"] == true)
    };
    items(&list).iter().filter(is_own).cloned().collect()
}

/// Waits until so many pods belong to it.
pub(super) fn until_it_has(api: &Api, namespace: &Namespace, owner: &str, count: usize) -> Vec<Value> {
    wait::until(&format!("{owner} has {count} pods"), || {
        let pods = pods_of(api, namespace, owner);
        if pods.len() == count { Ok(pods) } else { Err(format!("{} pods", pods.len())) }
    })
}

fn released_pod(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let object = replication_controller("pod-release", 1, &json!({"name": "pod-release"}));
    api.post(&namespace.core("replicationcontrollers"), &object).ok();
    let pods = until_it_has(api, &namespace, "pod-release", 1);
    let one = namespace.core(&format!("pods/{}", name_of(&pods[0])));
    api.strategic(&one, &json!({"metadata": {"labels": {"name": "not-matching-name"}}})).ok();
    wait::until("it is released", || {
        let read = api.get(&one).ok();
        let owners = &read["metadata"]["ownerReferences"];
        if owners.as_array().is_none_or(Vec::is_empty) { Ok(()) } else { Err(owners.to_string()) }
    });
    let new = until_it_has(api, &namespace, "pod-release", 1);
    assert_ne!(name_of(&new[0]), name_of(&pods[0]));
}

fn failed_controller(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "condition-test"}, "spec": {"hard": {"pods": "2"}},
    });
    api.post(&namespace.core("resourcequotas"), &quota).ok();
    wait::until("the quota is in force", || {
        let read = api.get(&namespace.core("resourcequotas/condition-test")).ok();
        if read["status"]["hard"]["pods"] == "2" { Ok(()) } else { Err(read.to_string()) }
    });
    let path = namespace.core("replicationcontrollers");
    let one = format!("{path}/condition-test");
    api.post(&path, &replication_controller("condition-test", 3, &json!({"name": "condition-test"}))).ok();
    let failure = |read: &Value| {
        let mut conditions = read["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|it| it["type"] == "ReplicaFailure" && it["status"] == "True")
    };
    wait::until("it says that it has failed", || {
        let read = api.get(&one).ok();
        if failure(&read) && read["status"]["observedGeneration"].as_i64() >= Some(1) {
            return Ok(());
        }
        Err(read.to_string())
    });
    api.strategic(&one, &json!({"spec": {"replicas": 2}})).ok();
    wait::until("it says so no more", || {
        let read = api.get(&one).ok();
        if failure(&read) { Err(read.to_string()) } else { Ok(()) }
    });
}

fn root_ca(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let one = namespace.core("configmaps/kube-root-ca.crt");
    let data = api.get(&one).ok()["data"].clone();
    let until_there = || {
        wait::until("it is as it was", || {
            let answer = api.get(&one);
            if answer.object["data"] == data { Ok(()) } else { Err(format!("{answer:?}")) }
        });
    };
    api.delete(&one).ok();
    until_there();
    let mut read = api.get(&one).ok();
    read["data"] = json!({"ca.crt": ""});
    api.put(&one, &read).ok();
    until_there();
}

fn slices(api: &Api, namespace: &Namespace, service: &str) -> Vec<Value> {
    let selector = format!("endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{service}");
    items(&api.get(&namespace.of("discovery.k8s.io/v1", &selector)).ok()).to_vec()
}

fn slices_without_pods(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let services = namespace.core("services");
    api.post(
        &services,
        &service(
            "example-empty-selector",
            &json!({"does-not-match-anything": "endpoints-and-endpoint-slices-should-still-be-created"}),
        ),
    )
    .ok();
    let found = wait::until("there is a slice", || {
        let found = slices(api, &namespace, "example-empty-selector");
        if found.is_empty() { Err("none".to_owned()) } else { Ok(found) }
    });
    for slice in &found {
        assert!(slice["endpoints"].as_array().is_none_or(Vec::is_empty), "{slice}");
        assert_eq!(
            slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"],
            "endpointslice-controller.k8s.io"
        );
    }
    api.delete(&format!("{services}/example-empty-selector")).ok();
    wait::until("there is none any more", || {
        let found = slices(api, &namespace, "example-empty-selector");
        if found.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

fn endpoints_without_pods(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let services = namespace.core("services");
    api.post(&services, &service("example-empty-selector", &json!({"does-not-match-anything": "true"}))).ok();
    let one = namespace.core("endpoints/example-empty-selector");
    wait::until("there are endpoints", || {
        let answer = api.get(&one);
        if answer.code == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    assert!(api.get(&one).ok()["subsets"].as_array().is_none_or(Vec::is_empty));
    api.delete(&format!("{services}/example-empty-selector")).ok();
    until_gone(api, &one);
}

fn mirrored(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let mut object = service("example-custom-endpoints", &Value::Null);
    object["spec"].as_object_mut().unwrap().remove("selector");
    api.post(&namespace.core("services"), &object).ok();
    let mut endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "example-custom-endpoints"},
        "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}],
    });
    api.post(&namespace.core("endpoints"), &endpoints).ok();
    let until = |address: &str| {
        wait::until("they are mirrored", || {
            let found = slices(api, &namespace, "example-custom-endpoints");
            match found.as_slice() {
                [slice]
                    if slice["endpoints"][0]["addresses"] == json!([address])
                        && slice["ports"][0]["port"] == 80 =>
                {
                    Ok(slice.clone())
                }
                _ => Err(format!("{found:?}")),
            }
        })
    };
    let slice = until("10.1.2.3");
    let by = &slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"];
    assert_eq!(by, "endpointslicemirroring-controller.k8s.io");
    endpoints["subsets"][0]["addresses"][0]["ip"] = "10.2.3.4".into();
    let one = namespace.core("endpoints/example-custom-endpoints");
    api.put(&one, &endpoints).ok();
    until("10.2.3.4");
    api.delete(&one).ok();
    wait::until("the mirror is empty", || {
        let found = slices(api, &namespace, "example-custom-endpoints");
        if found.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
    });
}
