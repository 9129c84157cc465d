//! Titles of sig-scheduling: limit ranges, priority classes, what the scheduler leaves alone; and runtime classes that it
//! counts with.

use serde_json::{Value, json};

use super::Title;
use super::cluster::{Cluster, Namespace, items, name_of, until_there_are};
use super::life::contains;
use super::node::{node, pod};
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new("LimitRange", "defaults applied to pods", limit_range_defaults),
    Title::new("LimitRange", "list, patch and delete by collection", limit_range_collection),
    Title::new("SchedulerPreemption", "PriorityClass endpoints (mutable/immutable fields)", priority_classes),
    Title::new("SchedulerPredicates", "NodeSelector respected if not matching", node_selector),
    Title::new("RuntimeClass", "schedule a Pod + initialize Overhead", with_overhead),
    Title::new("RuntimeClass", "schedule a Pod without PodOverhead", without_overhead),
];

fn range(name: &str) -> Value {
    let resources = |cpu: &str, memory: &str, storage: &str| json!({"cpu": cpu, "memory": memory, "ephemeral-storage": storage});
    json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name, "labels": {"e2e-limit": name}},
        "spec": {"limits": [{
            "type": "Container", "min": resources("50m", "100Mi", "100Gi"), "max": resources("500m", "500Mi", "500Gi"),
            "default": resources("500m", "500Mi", "500Gi"), "defaultRequest": resources("100m", "200Mi", "200Gi"),
        }]},
    })
}

fn with_resources(name: &str, requests: &Value, limits: &Value) -> Value {
    let mut object = pod(name);
    object["spec"]["containers"][0]["resources"] = json!({"requests": requests, "limits": limits});
    object
}

fn limit_range_defaults(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let (pods, ranges) = (namespace.core("pods"), namespace.core("limitranges"));
    let mut watch = api.watch(&ranges);
    let made = api.post(&ranges, &range("limit-range")).ok();
    assert_eq!(watch.expect("ADDED")["spec"], made["spec"]);
    let nothing = json!({});
    let filled = wait::until("every server knows of the range", || {
        let made = api.post(&pods, &with_resources("pod-no-resources", &nothing, &nothing)).ok();
        if made["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "500m" {
            return Ok(made);
        }
        api.delete_with(&namespace.core("pods/pod-no-resources"), &json!({"gracePeriodSeconds": 0})).ok();
        Err(made.to_string())
    });
    let wanted = json!({
        "requests": {"cpu": "100m", "memory": "200Mi", "ephemeral-storage": "200Gi"},
        "limits": {"cpu": "500m", "memory": "500Mi", "ephemeral-storage": "500Gi"},
    });
    assert_eq!(filled["spec"]["containers"][0]["resources"], wanted);
    let partly = with_resources(
        "pod-partial-resources",
        &json!({"cpu": "150m", "memory": "150Mi"}),
        &json!({"cpu": "300m"}),
    );
    let partly = api.post(&pods, &partly).ok();
    let wanted = json!({
        "requests": {"cpu": "150m", "memory": "150Mi", "ephemeral-storage": "200Gi"},
        "limits": {"cpu": "300m", "memory": "500Mi", "ephemeral-storage": "500Gi"},
    });
    assert_eq!(partly["spec"]["containers"][0]["resources"], wanted);
    let little = with_resources("pfpod", &json!({"cpu": "10m", "memory": "50Mi"}), &nothing);
    api.post(&pods, &little).refused(403);
    let much = with_resources(
        "pfpod2",
        &json!({"cpu": "600m", "memory": "600Mi"}),
        &json!({"cpu": "600m", "memory": "600Mi"}),
    );
    api.post(&pods, &much).refused(403);
    let mut read = api.get(&format!("{ranges}/limit-range")).ok();
    read["spec"]["limits"][0]["min"] = json!({"cpu": "9m", "memory": "49Mi", "ephemeral-storage": "49Gi"});
    api.put(&format!("{ranges}/limit-range"), &read).ok();
    succeeds_soon(cluster, &pods, &little);
    api.post(&pods, &with_resources("pfpod3", &json!({"cpu": "600m"}), &json!({"cpu": "600m"}))).refused(403);
    api.delete_with(&format!("{ranges}/limit-range"), &json!({"gracePeriodSeconds": 30})).ok();
    until_there_are(api, &ranges, 0);
    succeeds_soon(cluster, &pods, &much);
}

fn succeeds_soon(cluster: &Cluster<'_>, path: &str, object: &Value) {
    wait::until("every server knows of it", || {
        let answer = cluster.api.post(path, object);
        if answer.code == 201 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}

fn limit_range_collection(cluster: &Cluster<'_>) {
    let (api, first, second) = (&cluster.api, cluster.namespace(), cluster.namespace());
    let name = format!("e2e-limitrange-{}", first.name);
    for namespace in [&first, &second] {
        api.post(&namespace.core("limitranges"), &range(&name)).ok();
    }
    let everywhere = format!("/api/v1/limitranges?labelSelector=e2e-limit%3D{name}");
    until_there_are(api, &everywhere, 2);
    let patch = json!({"metadata": {"labels": {&name: "patched"}}});
    contains(&api.strategic(&first.core(&format!("limitranges/{name}")), &patch).ok(), &patch);
    api.delete_with(&first.core(&format!("limitranges?labelSelector={name}%3Dpatched")), &json!({})).ok();
    let left = until_there_are(api, &everywhere, 1);
    assert_eq!(items(&left)[0]["metadata"]["namespace"], second.name.as_str());
}

const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";

fn priority_classes(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    for (number, value) in [("p1", 1), ("p2", 2)] {
        let name = format!("{number}-{}", namespace.name);
        let object = json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value,
        });
        let made = api.post(CLASSES, &object).ok();
        let one = format!("{CLASSES}/{name}");
        for change in [json!({"value": value * 10}), json!({"preemptionPolicy": "Never"})] {
            let refused = api.strategic(&one, &change).refused(422);
            assert!(
                refused.contains("may not be changed in an update") || refused.contains("field is immutable"),
                "{refused}"
            );
            let mut other = made.clone();
            other.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            api.put(&one, &other).refused(422);
        }
        let change =
            json!({"description": "updated description", "metadata": {"labels": {"e2e": "updated"}}});
        contains(&api.strategic(&one, &change).ok(), &change);
        let mut read = api.get(&one).ok();
        read["description"] = "once more".into();
        assert_eq!(api.put(&one, &read).ok()["description"], "once more");
        api.delete(&one).ok();
    }
}

/// A node that is ready as far as anybody knows, until it is dropped. A label is its own.
struct Node<'c> {
    cluster: &'c Cluster<'c>,
    name: String,
}

impl<'c> Node<'c> {
    fn new(cluster: &'c Cluster<'c>, namespace: &Namespace) -> Self {
        let name = format!("node-{}", namespace.name);
        let mut object = node(&name);
        object["metadata"]["labels"] = json!({"e2e-node": name});
        let now = time::OffsetDateTime::now_utc();
        let now = now.format(&time::format_description::well_known::Rfc3339).unwrap();
        object["status"]["conditions"][0]["lastHeartbeatTime"] = now.into();
        cluster.api.post("/api/v1/nodes", &object).ok();
        Self { cluster, name }
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        self.cluster.api.delete(&format!("/api/v1/nodes/{}", self.name));
    }
}

fn node_selector(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let mut object = pod("restricted-pod");
    object["spec"]["nodeSelector"] = json!({"label": "nonempty"});
    api.post(&namespace.core("pods"), &object).ok();
    let pod = wait::until("the scheduler has looked at it", || {
        let pod = api.get(&namespace.core("pods/restricted-pod")).ok();
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        match conditions.into_iter().find(|it| it["type"] == "PodScheduled") {
            Some(condition) => Ok((condition.clone(), pod.clone())),
            None => Err(pod.to_string()),
        }
    });
    assert_eq!((&pod.0["status"], &pod.0["reason"]), (&"False".into(), &"Unschedulable".into()));
    assert!(pod.1["spec"]["nodeName"].is_null());
    let events = format!(
        "{}?fieldSelector=involvedObject.name%3Drestricted-pod,reason%3DFailedScheduling",
        namespace.core("events")
    );
    let events = until_there_are(api, &events, 1);
    assert_eq!(items(&events)[0]["type"], "Warning");
}

fn scheduled(cluster: &Cluster<'_>, overhead: &Value) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let node = Node::new(cluster, &namespace);
    let mut class = json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"generateName": "e2e-overhead-"},
        "handler": "e2e", "scheduling": {"nodeSelector": {"e2e-node": node.name}},
    });
    if !overhead.is_null() {
        class["overhead"] = json!({"podFixed": overhead});
    }
    let class = api.post("/apis/node.k8s.io/v1/runtimeclasses", &class).ok();
    let mut object = pod("test-runtimeclass");
    object["spec"]["runtimeClassName"] = name_of(&class).into();
    // The node is new: it has a taint until somebody has seen that it is ready.
    object["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    wait::until("every server knows of the class", || {
        let answer = api.post(&namespace.core("pods"), &object);
        if answer.code == 201 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    let made = wait::until("it is scheduled", || {
        let pod = api.get(&namespace.core("pods/test-runtimeclass")).ok();
        if pod["spec"]["nodeName"] == *node.name { Ok(pod) } else { Err(pod.to_string()) }
    });
    assert_eq!(made["spec"]["overhead"], *overhead);
    api.delete_with(&namespace.core("pods/test-runtimeclass"), &json!({"gracePeriodSeconds": 0})).ok();
    api.delete(&format!("/apis/node.k8s.io/v1/runtimeclasses/{}", name_of(&class))).ok();
}

fn with_overhead(cluster: &Cluster<'_>) {
    scheduled(cluster, &json!({"cpu": "10m", "memory": "1Mi"}));
}

fn without_overhead(cluster: &Cluster<'_>) {
    scheduled(cluster, &Value::Null);
}
