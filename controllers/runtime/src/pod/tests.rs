//! What is kept of pods.

use serde_json::{Value, json};

use super::*;

fn pod(value: &Value) -> Pod {
    serde_json::from_str(&value.to_string()).unwrap()
}

#[test]
fn what_somebody_reads_is_kept_and_nothing_else() {
    let kept = json!({
        "metadata": {"name": "p", "namespace": "x", "uid": "u", "labels": {"a": "b"}, "finalizers": ["f"],
                     "annotations": {DELETION_COST: "5"}},
        "spec": {"nodeName": "n", "schedulerName": "s", "priority": 0,
                 "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}},
                                 "ports": [{"containerPort": 80, "hostIP": "127.0.0.1"}]}],
                 "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}, {"name": "e", "ephemeral": {}}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
                   "containerStatuses": [{"name": "c", "restartCount": 1,
                                          "state": {"terminated": {"exitCode": 3}}}]},
    });
    let mut whole = kept.clone();
    whole["apiVersion"] = "v1".into();
    whole["metadata"]["annotations"]["padding"] = "x".into();
    whole["metadata"]["managedFields"] = json!([{"manager": "m", "fieldsV1": {"f:spec": {}}}]);
    whole["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "B"}]);
    whole["spec"]["containers"][0]["resources"]["limits"] = json!({"cpu": "2"});
    whole["spec"]["volumes"].as_array_mut().unwrap().push(json!({"name": "w", "hostPath": {"path": "/"}}));
    whole["status"]["containerStatuses"][0]["imageID"] = "sha256:0".into();
    let read = pod(&whole);
    assert_eq!(serde_json::to_value(&read).unwrap(), kept);
    let claims = read.spec.unwrap().volumes.unwrap();
    assert_eq!(claims.capacity(), claims.len());
}

#[test]
fn what_is_null_or_missing_is_read_as_upstream_reads_it() {
    let null = json!({
        "metadata": {"name": "p", "annotations": null, "labels": null, "managedFields": null},
        "spec": {"containers": null, "initContainers": null, "volumes": null, "tolerations": null, "nodeName": null},
        "status": {"conditions": null, "podIPs": null},
    });
    let expected = json!({"metadata": {"name": "p"}, "spec": {"containers": []}, "status": {}});
    assert_eq!(pod(&null), pod(&expected));
    let statuses = [json!({"name": null, "restartCount": null, "state": {"terminated": {"exitCode": null}}})];
    let read = pod(&json!({"metadata": null, "status": {"containerStatuses": statuses}}));
    let state = ContainerState { terminated: Some(ContainerStateTerminated::default()) };
    let status = ContainerStatus { state: Some(state), ..ContainerStatus::default() };
    assert_eq!(read.status.unwrap().container_statuses, Some(vec![status]));
    for empty in [json!({}), json!({"metadata": null, "spec": null, "status": null})] {
        assert_eq!(pod(&empty), Pod::default());
    }
}
