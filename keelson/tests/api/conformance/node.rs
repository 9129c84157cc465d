//! Titles of sig-node that need no node.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Title;
use super::cluster::{Cluster, items, name_of, names, until_there_are};
use super::life::{Life, contains, is_gone, replaced};
use super::machinery::condition;
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new("ConfigMap", "fail to create ConfigMap with empty key", config_map_without_key),
    Title::new("ConfigMap", "ConfigMap lifecycle", config_map_life),
    Title::new("ConfigMap", "update ConfigMap", config_map_update),
    Title::new("Lease", "lease API available", leases),
    Title::new("Node Lifecycle", "lifecycle of a node (create/patch/list/update/delete)", node_life),
    Title::new("PodTemplates", "delete a collection", pod_template_collection),
    Title::new("PodTemplates", "replace", pod_template_replace),
    Title::new("PodTemplates", "lifecycle", pod_template_life),
    Title::new("Pods Extended", "QOS class set on pods", quality_of_service),
    Title::new("RuntimeClass", "reject a Pod requesting a deleted RuntimeClass", deleted_runtime_class),
    Title::new("RuntimeClass", "reject a Pod requesting a non-existent RuntimeClass", missing_runtime_class),
    Title::new("RuntimeClass", "RuntimeClasses API operations", runtime_classes),
    Title::new("Secrets", "fail to create secret with empty key", secret_without_key),
    Title::new("Secrets", "patch a secret", secret_patch),
    Title::new("Sysctls", "reject invalid sysctls", sysctls),
    Title::new("[DRA] CRUD", "resource.k8s.io/v1 DeviceClass", device_classes),
    Title::new("[DRA] CRUD", "resource.k8s.io/v1 DeviceTaintRule", device_taint_rules),
    Title::new("[DRA] CRUD", "resource.k8s.io/v1 ResourceClaim (+status)", resource_claims),
    Title::new("[DRA] CRUD", "resource.k8s.io/v1 ResourceClaimTemplate", resource_claim_templates),
    Title::new("[DRA] CRUD", "resource.k8s.io/v1 ResourceSlice", resource_slices),
];

/// A pod of one container.
pub(super) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10.1"}]},
    })
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"test-configmap-static": "true"}},
        "data": data,
    })
}

fn config_map_without_key(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let object = config_map("configmap-test-emptyKey".to_lowercase().as_str(), &json!({"": "value-1"}));
    cluster.api.post(&namespace.core("configmaps"), &object).refused(422);
}

fn config_map_life(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("configmaps");
    let own = format!("{path}?labelSelector=test-configmap-static%3Dtrue");
    let mut watch = api.watch(&own);
    api.post(&path, &config_map("test-configmap", &json!({"valueName": "value"}))).ok();
    watch.expect("ADDED");
    let one = format!("{path}/test-configmap");
    let patch =
        json!({"metadata": {"labels": {"test-configmap": "patched"}}, "data": {"valueName": "value1"}});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    contains(&watch.expect("MODIFIED"), &patch);
    contains(&api.get(&one).ok(), &patch);
    let list = api.get("/api/v1/configmaps?labelSelector=test-configmap-static%3Dtrue").ok();
    assert!(names(&list).contains(&"test-configmap"));
    api.delete(&own).ok();
    watch.expect("DELETED");
    until_there_are(api, &own, 0);
}

fn config_map_update(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("configmaps");
    let mut made = api.post(&path, &config_map("configmap-test", &json!({"data-1": "value-1"}))).ok();
    made["data"] = json!({"data": "value"});
    api.put(&format!("{path}/configmap-test"), &made).ok();
    assert_eq!(api.get(&format!("{path}/configmap-test")).ok()["data"], json!({"data": "value"}));
}

fn leases(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.of("coordination.k8s.io/v1", "leases");
    let spec = json!({
        "holderIdentity": "holder", "leaseDurationSeconds": 30, "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:05.000000Z", "leaseTransitions": 0,
    });
    let object = |name: &str| {
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
               "metadata": {"name": name, "labels": {"for-e2e": "true"}}, "spec": spec})
    };
    api.post(&path, &object("lease")).ok();
    let one = format!("{path}/lease");
    let mut read = api.get(&one).ok();
    assert_eq!(read["spec"], spec);
    let next = json!({
        "holderIdentity": "holder2", "leaseDurationSeconds": 60, "acquireTime": "2026-01-01T00:00:50.000000Z",
        "renewTime": "2026-01-01T00:00:55.000000Z", "leaseTransitions": 1,
    });
    read["spec"] = next.clone();
    assert_eq!(api.put(&one, &read).ok()["spec"], next);
    let patch = json!({"spec": {"leaseTransitions": 2, "renewTime": "2026-01-01T00:01:00.000000Z"}});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    api.post(&path, &object("lease2")).ok();
    assert_eq!(items(&api.get(&path).ok()).len(), 2);
    api.strategic(&format!("{path}/lease2"), &json!({"metadata": {"labels": {"keep": "me"}}})).ok();
    api.delete_with(&format!("{path}?labelSelector=keep%3Dme"), &json!({})).ok();
    assert_eq!(names(&until_there_are(api, &path, 1)), ["lease"]);
    api.delete(&one).ok();
    assert!(is_gone(&api.get(&one)));
    assert!(items(&api.get(&format!("{path}?labelSelector=for-e2e%3Dtrue")).ok()).is_empty());
}

/// A node that nobody runs.
pub(super) fn node(name: &str) -> Value {
    let room = json!({"cpu": "10", "memory": "10Gi", "pods": "100", "ephemeral-storage": "10Gi"});
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {
            "phase": "Running", "capacity": room, "allocatable": room,
            "conditions": [
                {"status": "True", "type": "Ready", "reason": "KubeletReady", "message": "fake",
                 "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
        },
    })
}

fn node_life(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let name = format!("e2e-fake-node-{}", namespace.name);
    let made = api.post("/api/v1/nodes", &node(&name)).ok();
    assert_eq!(made["status"]["conditions"][0]["type"], "Ready", "a node says its state when it registers");
    let one = format!("/api/v1/nodes/{name}");
    let patch = json!({"metadata": {"labels": {&name: "patched"}}});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    let own = format!("/api/v1/nodes?labelSelector={name}%3Dpatched");
    assert_eq!(names(&api.get(&own).ok()), [&name]);
    replaced(api, &one, |read| read["metadata"]["labels"][&name] = "updated".into());
    let own = format!("/api/v1/nodes?labelSelector={name}%3Dupdated");
    api.delete_with(&own, &json!({})).ok();
    until_there_are(api, &own, 0);
    assert!(is_gone(&api.get(&one)));
}

fn pod_template(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PodTemplate",
        "metadata": {"name": name, "labels": {"podtemplate-set": "true"}},
        "template": {"spec": {"containers": [{"name": "nginx", "image": "nginx"}]}},
    })
}

fn pod_template_collection(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("podtemplates");
    for name in ["test-podtemplate-1", "test-podtemplate-2", "test-podtemplate-3"] {
        api.post(&path, &pod_template(name)).ok();
    }
    let own = format!("{path}?labelSelector=podtemplate-set%3Dtrue");
    until_there_are(api, &own, 3);
    api.delete_with(&own, &json!({})).ok();
    until_there_are(api, &own, 0);
}

fn pod_template_replace(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("podtemplates");
    let mut made = api.post(&path, &pod_template("podtemplate")).ok();
    made["metadata"]["annotations"] = json!({"updated": "true"});
    let replaced = api.put(&format!("{path}/podtemplate"), &made).ok();
    assert_eq!(replaced["metadata"]["annotations"]["updated"], "true");
}

fn pod_template_life(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("podtemplates");
    api.post(&path, &pod_template("nginx-pod-template")).ok();
    let own = "/api/v1/podtemplates?labelSelector=podtemplate-set%3Dtrue";
    assert!(names(&api.get(own).ok()).contains(&"nginx-pod-template"));
    let one = format!("{path}/nginx-pod-template");
    let patch = json!({"metadata": {"labels": {"podtemplate": "patched"}}});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    contains(&api.get(&one).ok(), &patch);
    api.delete(&one).ok();
    assert!(items(&api.get(&path).ok()).is_empty());
}

fn quality_of_service(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let mut object = pod("pod-qos-class");
    let resources = json!({"cpu": "100m", "memory": "100Mi"});
    object["spec"]["containers"][0]["resources"] = json!({"requests": resources, "limits": resources});
    let made = cluster.api.post(&namespace.core("pods"), &object).ok();
    assert_eq!(made["status"]["qosClass"], "Guaranteed");
    assert_eq!(
        cluster.api.get(&namespace.core("pods/pod-qos-class")).ok()["status"]["qosClass"],
        "Guaranteed"
    );
}

const RUNTIME_CLASSES: &str = "/apis/node.k8s.io/v1/runtimeclasses";

fn runtime_classes(cluster: &Cluster<'_>) {
    Life {
        group_version: "node.k8s.io/v1",
        plural: "runtimeclasses",
        kind: "RuntimeClass",
        namespace: None,
        sample: json!({"handler": "e2e-handler"}),
        change: json!({"metadata": {"annotations": {"changed": "true"}}}),
        status: None,
    }
    .live(cluster);
}

fn rejected(cluster: &Cluster<'_>, class: &str) {
    let namespace = cluster.namespace();
    let mut object = pod("test-runtimeclass");
    object["spec"]["runtimeClassName"] = class.into();
    let refused = wait::until("every server knows", || {
        let answer = cluster.api.post(&namespace.core("pods"), &object);
        if answer.code == 201 {
            cluster.api.delete(&namespace.core("pods/test-runtimeclass")).ok();
            return Err("it was made".to_owned());
        }
        Ok(answer.refused(403))
    });
    let why = format!("pod rejected: RuntimeClass {class:?} not found");
    assert!(refused.contains(&why), "{refused}");
}

fn missing_runtime_class(cluster: &Cluster<'_>) {
    rejected(cluster, "nonexistent");
}

fn deleted_runtime_class(cluster: &Cluster<'_>) {
    let object = json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
        "metadata": {"generateName": "deleted-"}, "handler": "e2e-delete",
    });
    let made = cluster.api.post(RUNTIME_CLASSES, &object).ok();
    cluster.api.delete(&format!("{RUNTIME_CLASSES}/{}", name_of(&made))).ok();
    rejected(cluster, name_of(&made));
}

fn secret(name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": {"testsecret-constant": "true"}},
        "type": "Opaque", "data": data,
    })
}

fn secret_without_key(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let object = secret("secret-emptykey-test", &json!({"": STANDARD.encode("value-1\n")}));
    cluster.api.post(&namespace.core("secrets"), &object).refused(422);
}

fn secret_patch(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("secrets");
    api.post(&path, &secret("test-secret", &json!({"key": STANDARD.encode("value")}))).ok();
    let own = "/api/v1/secrets?labelSelector=testsecret-constant%3Dtrue";
    assert!(names(&api.get(own).ok()).contains(&"test-secret"));
    let patch = json!({
        "metadata": {"labels": {"testsecret": "true"}}, "data": {"key": STANDARD.encode("value1")},
    });
    contains(&api.strategic(&format!("{path}/test-secret"), &patch).ok(), &patch);
    contains(&api.get(&format!("{path}/test-secret")).ok(), &patch);
    api.delete_with(&format!("{path}?labelSelector=testsecret%3Dtrue"), &json!({})).ok();
    until_there_are(api, &format!("{path}?labelSelector=testsecret-constant%3Dtrue"), 0);
}

fn sysctls(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let mut object = pod("sysctl");
    let sysctl = |name: &str| json!({"name": name, "value": "100000000"});
    let all = ["foo-", "kernel.shmmax", "safe-and-unsafe", "bar.."].map(sysctl);
    object["spec"]["securityContext"] = json!({"sysctls": all});
    let refused = cluster.api.post(&namespace.core("pods"), &object).refused(422);
    assert!(
        refused.contains("Invalid value: \"foo-\"") && refused.contains("Invalid value: \"bar..\""),
        "{refused}"
    );
    assert!(!refused.contains("safe-and-unsafe") && !refused.contains("kernel.shmmax"), "{refused}");
}

const DRA: &str = "resource.k8s.io/v1";

fn devices<'a>(plural: &'a str, kind: &'a str, namespace: Option<&'a str>, sample: Value) -> Life<'a> {
    let change = json!({"metadata": {"annotations": {"changed": "true"}}});
    Life { group_version: DRA, plural, kind, namespace, sample, change, status: None }
}

fn device_classes(cluster: &Cluster<'_>) {
    let sample = json!({"metadata": {"name": "e2e-#.example.com"}, "spec": {"selectors": [
        {"cel": {"expression": "device.driver == 'gpu.example.com'"}},
    ]}});
    devices("deviceclasses", "DeviceClass", None, sample).as_resource(cluster);
}

fn device_taint_rules(cluster: &Cluster<'_>) {
    let spec = json!({"deviceSelector": {"driver": "e2e.example.com"}, "taint": {"key": "a", "effect": "NoSchedule"}});
    let sample = json!({"metadata": {"name": "e2e-#"}, "spec": spec});
    let mut life = devices("devicetaintrules", "DeviceTaintRule", None, sample);
    life.status = Some(json!({"status": {"conditions": [condition("EvictionInProgress")]}}));
    life.as_resource(cluster);
}

fn claim_spec() -> Value {
    json!({"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "none.example.com"}}]}})
}

fn resource_claims(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let sample = json!({"metadata": {"name": "claim-#"}, "spec": claim_spec()});
    let mut life = devices("resourceclaims", "ResourceClaim", Some(&namespace.name), sample);
    let result = json!({"request": "gpu", "driver": "gpu.example.com", "pool": "pool", "device": "gpu-0"});
    life.status = Some(json!({"status": {"allocation": {"devices": {"results": [result]}}}}));
    life.as_resource(cluster);
}

fn resource_claim_templates(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let sample = json!({"metadata": {"name": "template-#"}, "spec": {"spec": claim_spec()}});
    devices("resourceclaimtemplates", "ResourceClaimTemplate", Some(&namespace.name), sample)
        .as_resource(cluster);
}

fn resource_slices(cluster: &Cluster<'_>) {
    let spec = json!({
        "driver": "e2e.example.com", "nodeName": "no-such-node",
        "pool": {"name": "pool", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "gpu-0"}],
    });
    let sample = json!({"metadata": {"name": "e2e-#"}, "spec": spec});
    devices("resourceslices", "ResourceSlice", None, sample).as_resource(cluster);
}
