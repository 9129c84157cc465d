//! Titles of sig-storage that need no node.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Title;
use super::cluster::{Cluster, Namespace, items, names, until_there_are};
use super::life::{Life, contains, is_gone};
use super::node::pod;

pub(super) const TITLES: &[Title] = &[
    Title::new("CSIInlineVolumes", "lifecycle of a CSIDriver", csi_drivers),
    Title::new(
        "CSIInlineVolumes",
        "CSIVolumeSource in Pod API (create/get/list/patch/delete)",
        csi_volume_of_pod,
    ),
    Title::new("CSINodes", "lifecycle of a csinode", csi_nodes),
    Title::new("CSIStorageCapacity", "CSIStorageCapacities API operations", csi_storage_capacities),
    Title::new("ConfigMap volume", "immutable field", immutable_config_map),
    Title::new("Secrets volume", "immutable field", immutable_secret),
    Title::new("StorageClasses", "lifecycle of a StorageClass", storage_classes),
    Title::new("VolumeAttachment", "apply changes to a volumeattachment status", volume_attachment_status),
    Title::new("VolumeAttachment", "lifecycle", volume_attachments),
    Title::new("VolumeAttributesClass", "lifecycle", volume_attributes_classes),
    Title::new("PersistentVolumes", "apply changes to a pv/pvc status", volume_and_claim_status),
    Title::new("PersistentVolumes", "lifecycle of a PV and a PVC", volume_and_claim),
];

const STORAGE: &str = "storage.k8s.io/v1";

fn annotated() -> Value {
    json!({"metadata": {"annotations": {"changed": "true"}}})
}

fn stored<'a>(plural: &'a str, kind: &'a str, sample: Value, change: Value) -> Life<'a> {
    Life { group_version: STORAGE, plural, kind, namespace: None, sample, change, status: None }
}

fn csi_drivers(cluster: &Cluster<'_>) {
    let spec = json!({"volumeLifecycleModes": ["Persistent", "Ephemeral"]});
    let sample = json!({"metadata": {"name": "inline-driver-#.example.com"}, "spec": spec});
    stored("csidrivers", "CSIDriver", sample, json!({"spec": {"requiresRepublish": true}})).live(cluster);
}

fn csi_volume_of_pod(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let driver = format!("{}.example.com", namespace.name);
    let drivers = "/apis/storage.k8s.io/v1/csidrivers";
    let object = json!({
        "apiVersion": STORAGE, "kind": "CSIDriver",
        "metadata": {"name": driver, "labels": {"security.kubernetes.io/csi-ephemeral-volume-profile": "restricted"}},
        "spec": {"volumeLifecycleModes": ["Ephemeral"]},
    });
    api.post(drivers, &object).ok();
    let mut object = pod("pod-csi-inline-volumes");
    object["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "csi-inline-vol", "mountPath": "/csi", "readOnly": true}]);
    object["spec"]["volumes"] = json!([{"name": "csi-inline-vol", "csi": {"driver": driver}}]);
    api.post(&namespace.core("pods"), &object).ok();
    let one = namespace.core("pods/pod-csi-inline-volumes");
    let has = |pod: &Value| {
        pod["spec"]["volumes"].as_array().unwrap().iter().any(|it| it["csi"]["driver"] == *driver)
    };
    assert!(has(&api.get(&one).ok()));
    assert!(items(&api.get(&namespace.core("pods")).ok()).iter().any(has));
    let patch = json!({"metadata": {"labels": {"e2e": "patched"}}});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    api.delete_with(&one, &json!({"gracePeriodSeconds": 0})).ok();
    assert!(is_gone(&api.get(&one)));
    api.delete(&format!("{drivers}/{driver}")).ok();
}

fn csi_nodes(cluster: &Cluster<'_>) {
    let sample = json!({"metadata": {"name": "e2e-csinode-#"}, "spec": {"drivers": [
        {"name": "e2e.example.com", "nodeID": "node", "topologyKeys": ["topology.example.com/zone"]},
    ]}});
    stored("csinodes", "CSINode", sample, annotated()).live(cluster);
}

fn csi_storage_capacities(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let sample = json!({
        "storageClassName": "example-fast", "nodeTopology": {}, "capacity": "100Mi",
    });
    let change = json!({"capacity": "90Mi"});
    let mut life = stored("csistoragecapacities", "CSIStorageCapacity", sample, change);
    life.namespace = Some(&namespace.name);
    life.live(cluster);
}

fn storage_classes(cluster: &Cluster<'_>) {
    let sample = json!({"provisioner": "e2e-fake-provisioner"});
    stored("storageclasses", "StorageClass", sample, annotated()).live(cluster);
}

fn attachment() -> Value {
    json!({"spec": {
        "attacher": "e2e-test.csi.example.com", "nodeName": "no-such-node",
        "source": {"persistentVolumeName": "e2e-no-such-volume"},
    }})
}

fn volume_attachments(cluster: &Cluster<'_>) {
    stored("volumeattachments", "VolumeAttachment", attachment(), annotated()).live(cluster);
}

fn volume_attachment_status(cluster: &Cluster<'_>) {
    let mut life = stored("volumeattachments", "VolumeAttachment", attachment(), annotated());
    life.status = Some(json!({"status": {"attached": true}}));
    life.live(cluster);
}

fn volume_attributes_classes(cluster: &Cluster<'_>) {
    let sample = json!({"driverName": "e2e-fake-csi.example.com", "parameters": {"type": "gold"}});
    stored("volumeattributesclasses", "VolumeAttributesClass", sample, annotated()).live(cluster);
}

fn immutable_config_map(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    immutable(cluster, &namespace.core("configmaps"), "ConfigMap", &json!("value-1"), &json!("value-2"));
}

fn immutable_secret(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let encoded = |text: &str| STANDARD.encode(text).into();
    immutable(cluster, &namespace.core("secrets"), "Secret", &encoded("value-1"), &encoded("value-2"));
}

fn immutable(cluster: &Cluster<'_>, path: &str, kind: &str, one: &Value, two: &Value) {
    let api = &cluster.api;
    let object =
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "immutable"}, "data": {"data-1": one}});
    api.post(path, &object).ok();
    let path = format!("{path}/immutable");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut object = api.get(&path).ok();
        change(&mut object);
        api.put(&path, &object)
    };
    // It can be changed, then it is closed, and then it cannot be.
    changed(&|it| it["data"]["data-2"] = one.clone()).ok();
    changed(&|it| it["immutable"] = true.into()).ok();
    let refused = changed(&|it| it["data"]["data-2"] = two.clone()).refused(422);
    assert!(refused.contains("field is immutable when `immutable` is set"), "{refused}");
    changed(&|it| it["data"]["data-3"] = two.clone()).refused(422);
    changed(&|it| it["immutable"] = false.into()).refused(422);
    changed(&|it| it["immutable"] = Value::Null).refused(422);
    changed(&|it| it["metadata"]["labels"] = json!({"label1": "value1"})).ok();
    api.delete(&path).ok();
    assert!(is_gone(&api.get(&path)));
}

const VOLUMES: &str = "/api/v1/persistentvolumes";

fn volume(name: &str, namespace: &Namespace) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"e2e-pv": namespace.name}},
        "spec": {
            "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "e2e-no-such-class", "hostPath": {"path": "/tmp/e2e"},
        },
    })
}

fn claim(name: &str, namespace: &Namespace) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": {"e2e-pvc": namespace.name}},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "e2e-no-such-class",
        },
    })
}

fn volume_and_claim(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, &cluster.namespace());
    let name = format!("pv-{}", namespace.name);
    let claims = namespace.core("persistentvolumeclaims");
    let own = format!("{VOLUMES}?labelSelector=e2e-pv%3D{}", namespace.name);
    for (path, list, object) in
        [(VOLUMES, &own, volume(&name, namespace)), (&claims, &claims, claim("pvc", namespace))]
    {
        let one = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
        api.post(path, &object).ok();
        assert_eq!(items(&api.get(list).ok()).len(), 1);
        let patch = json!({"metadata": {"labels": {&name: "patched"}}});
        contains(&api.strategic(&one, &patch).ok(), &patch);
        contains(&api.get(&one).ok(), &patch);
        api.delete(&one).ok();
        until_there_are(api, list, 0);
        api.post(path, &object).ok();
        let mut read = api.get(&one).ok();
        read["metadata"]["labels"][&name] = "updated".into();
        assert_eq!(api.put(&one, &read).ok()["metadata"]["labels"][&name], "updated");
        let updated = format!("{path}?labelSelector={name}%3Dupdated");
        assert_eq!(names(&api.get(&updated).ok()).len(), 1);
        api.delete_with(&updated, &json!({})).ok();
        until_there_are(api, list, 0);
    }
}

fn volume_and_claim_status(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, &cluster.namespace());
    let name = format!("pv-{}", namespace.name);
    let claims = namespace.core("persistentvolumeclaims");
    let condition =
        |kind: &str| json!({"type": kind, "status": "True", "reason": "E2E", "message": "Set from e2e test"});
    api.post(VOLUMES, &volume(&name, namespace)).ok();
    api.post(&claims, &claim("pvc", namespace)).ok();
    let of_claim = format!("{claims}/pvc/status");
    let patch = json!({
        "metadata": {"annotations": {"e2e": "patched"}}, "status": {"conditions": [condition("StatusPatched")]},
    });
    contains(&api.merge(&of_claim, &patch).ok(), &patch);
    let mut read = api.get(&of_claim).ok();
    read["status"]["conditions"].as_array_mut().unwrap().push(condition("StatusUpdate"));
    assert_eq!(api.put(&of_claim, &read).ok()["status"]["conditions"][1]["type"], "StatusUpdate");
    let of_volume = format!("{VOLUMES}/{name}/status");
    let patch = json!({"status": {"message": "StatusPatched", "reason": "E2E patch"}});
    contains(&api.merge(&of_volume, &patch).ok(), &patch);
    let mut read = api.get(&of_volume).ok();
    read["status"]["reason"] = "E2E update".into();
    assert_eq!(api.put(&of_volume, &read).ok()["status"]["reason"], "E2E update");
    api.delete(&format!("{VOLUMES}/{name}")).ok();
}
