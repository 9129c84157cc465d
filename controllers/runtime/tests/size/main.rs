//! How much memory informers keep of an object, counted by an allocator: no stopwatch, and no machine that matters.
//!
//! In: pods as a cluster has them, in JSON. Out: bytes that are allocated for each byte of JSON, which must stay few.

mod counting;

use std::fmt::Debug;

use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Informer, Outline, Pool};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::counting::allocated;

/// How many there are of each.
const COUNT: usize = 1000;

/// A pod that a ReplicaSet has made and a node runs, as the API server stores it.
fn running(number: usize) -> Value {
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "observedGeneration": 1, "lastProbeTime": null,
               "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10,
                       "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3});
    let toleration = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("web-7d4b9c8f6d-{number:05}"), "generateName": "web-7d4b9c8f6d-", "namespace": "shop",
            "uid": format!("0b1d3c52-7f0e-4d3c-9b58-{number:012}"), "resourceVersion": number.to_string(),
            "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "7d4b9c8f6d"},
            "annotations": {"example.com/notes": "x".repeat(400)},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c8f6d",
                                 "uid": "5c2e8a0e-3a6c-4a8e-8f5e-1f0f5d1f9a11", "controller": true,
                                 "blockOwnerDeletion": true}],
            "managedFields": [
                {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "time": "2026-01-01T00:00:00Z",
                 "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}}},
                              "f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {".": {}, "f:image": {}, "f:name": {}}}}}},
                {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "subresource": "status", "time": "2026-01-01T00:00:00Z",
                 "fieldsV1": {"f:status": {"f:conditions": {"k:{\"type\":\"Ready\"}": {".": {}, "f:status": {}}}}}},
            ],
        },
        "spec": {
            "nodeName": "node-1", "schedulerName": "default-scheduler", "priority": 0, "restartPolicy": "Always",
            "preemptionPolicy": "PreemptLowerPriority", "serviceAccountName": "default", "dnsPolicy": "ClusterFirst",
            "containers": [{
                "name": "main", "image": "registry.example/web:1.2.3", "imagePullPolicy": "IfNotPresent",
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "env": [{"name": "MODE", "value": "production"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "livenessProbe": probe, "readinessProbe": probe,
                "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            }],
            "tolerations": [toleration("node.kubernetes.io/not-ready"), toleration("node.kubernetes.io/unreachable")],
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            ]}}],
        },
        "status": {
            "phase": "Running", "qosClass": "Burstable", "startTime": "2026-01-01T00:00:00Z",
            "hostIP": "192.0.2.1", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
            "conditions": conditions.map(condition),
            "containerStatuses": [{
                "name": "main", "ready": true, "started": true, "restartCount": 0,
                "image": "registry.example/web:1.2.3", "imageID": format!("sha256:{}", "0".repeat(64)),
                "containerID": format!("containerd://{}", "0".repeat(64)),
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }],
        },
    })
}

/// How many bytes are kept of such objects for each byte of their JSON.
fn kept<K>(informer: &Informer<K>) -> f64
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let texts: Vec<String> = (0..COUNT).map(|number| running(number).to_string()).collect();
    let before = allocated();
    for text in &texts {
        informer.apply(serde_json::from_str(text).expect("it is an object"));
    }
    let kept = allocated() - before;
    assert_eq!(informer.len(), COUNT);
    kept as f64 / texts.iter().map(String::len).sum::<usize>() as f64
}

/// One test alone in its process: whatever else allocates would count too.
#[test]
fn informers_keep_less_of_pods_than_their_json_and_little_more_where_two_keep_them() {
    let pool = Pool::default();
    let pods = || {
        let pods = Informer::<Pod>::detached();
        pods.share(&pool);
        pods.add_index("namespace", |pod| pod.metadata.namespace.clone().into_iter().collect());
        pods
    };
    let (one, other, outlines) = (pods(), pods(), Informer::<Outline>::detached());
    let figures =
        [("pods", kept(&one), 0.95), ("again", kept(&other), 0.08), ("outlines", kept(&outlines), 0.2)];
    println!("{figures:.2?}");
    for (what, kept, limit) in figures {
        assert!(
            kept < limit,
            "{what}: {kept:.2} bytes for each of JSON, and no more than {limit} were expected"
        );
    }
}
