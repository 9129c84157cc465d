//! Classes that are the default, and classes that pods name.

use keelson_api_registry::resources;

use super::*;

const STORAGE: &str = "/apis/storage.k8s.io/v1/storageclasses";
const INGRESS_CLASSES: &str = "/apis/networking.k8s.io/v1/ingressclasses";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses";
const CLAIMS: &str = "/api/v1/namespaces/shop/persistentvolumeclaims";
const RUNTIMES: &str = "/apis/node.k8s.io/v1/runtimeclasses";
const PODS: &str = "/api/v1/namespaces/shop/pods";

/// Waits until admission knows what was made.
async fn known(cluster: &Cluster, group: &str, plural: &str) {
    cluster.server.objects.fresh(resources::find(group, "v1", plural).unwrap()).await.unwrap();
}

#[test]
fn claims_and_ingresses_get_the_class_that_is_the_default() {
    with_cluster(async |cluster| {
        let mark = |key: &str| json!({"name": "usual", "annotations": {key: "true"}});
        cluster.post(STORAGE, json!({"metadata": {"name": "other"}, "provisioner": "a.example.com"})).await;
        let metadata = mark("storageclass.kubernetes.io/is-default-class");
        cluster.post(STORAGE, json!({"metadata": metadata, "provisioner": "a.example.com"})).await;
        let metadata = mark("ingressclass.kubernetes.io/is-default-class");
        let spec = json!({"controller": "example.com/edge"});
        cluster.post(INGRESS_CLASSES, json!({"metadata": metadata, "spec": spec})).await;
        known(&cluster, "storage.k8s.io", "storageclasses").await;
        known(&cluster, "networking.k8s.io", "ingressclasses").await;

        let claim = |name: &str, class: Value| {
            let resources = json!({"requests": {"storage": "1Gi"}});
            let spec =
                json!({"accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": class});
            json!({"metadata": {"name": name}, "spec": spec})
        };
        let made = cluster.post(CLAIMS, claim("a", Value::Null)).await;
        assert_eq!(made["spec"]["storageClassName"], "usual");
        let made = cluster.post(CLAIMS, claim("b", json!(""))).await;
        assert_eq!(made["spec"]["storageClassName"], "", "no class is a wish, too");
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        let ingress = json!({"metadata": {"name": "web"}, "spec": {"defaultBackend": backend}});
        assert_eq!(cluster.post(INGRESSES, ingress).await["spec"]["ingressClassName"], "usual");
    });
}

#[test]
fn a_pod_gets_what_its_runtime_class_says() {
    with_cluster(async |cluster| {
        cluster.pod("before").await;
        let mut vm = pod("vm");
        vm["spec"]["runtimeClassName"] = "vm".into();
        let error = cluster.post_refused(PODS, vm.clone()).await;
        let why = "pods \"vm\" is forbidden: pod rejected: RuntimeClass \"vm\" not found";
        assert_refused(&error, 403, "Forbidden", why);
        let class = json!({
            "metadata": {"name": "vm"}, "handler": "kata", "overhead": {"podFixed": {"cpu": "100m"}},
            "scheduling": {"nodeSelector": {"vm": "yes"}},
        });
        cluster.post(RUNTIMES, class).await;
        let made = cluster.post(PODS, vm).await;
        assert_eq!(made["spec"]["overhead"], json!({"cpu": "100m"}));
        assert_eq!(made["spec"]["nodeSelector"], json!({"vm": "yes"}));
        let mut dear = pod("dear");
        dear["spec"]["overhead"] = json!({"cpu": "1"});
        let error = cluster.post_refused(PODS, dear).await;
        let why = "pods \"dear\" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
        assert_refused(&error, 403, "Forbidden", why);
    });
}

#[test]
fn a_claim_grows_where_it_has_a_volume_and_its_class_lets_it() {
    with_cluster(async |cluster| {
        let class = |name: &str, grows: bool| json!({"metadata": {"name": name}, "provisioner": "a.example.com", "allowVolumeExpansion": grows});
        cluster.post(STORAGE, class("elastic", true)).await;
        cluster.post(STORAGE, class("stiff", false)).await;
        known(&cluster, "storage.k8s.io", "storageclasses").await;
        let grow = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
        for class in ["elastic", "stiff"] {
            let resources = json!({"requests": {"storage": "1Gi"}});
            let spec =
                json!({"accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": class});
            cluster.post(CLAIMS, json!({"metadata": {"name": class}, "spec": spec})).await;
            let path = format!("{CLAIMS}/{class}");
            cluster.merge(&path, json!({"spec": {"volumeName": class}})).await.unwrap();
            let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
            cluster.merge(&format!("{path}/status"), bound).await.unwrap();
        }
        let error = refused(cluster.merge(&format!("{CLAIMS}/stiff"), grow.clone()).await);
        let why = "persistentvolumeclaims \"stiff\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
        assert_refused(&error, 403, "Forbidden", why);
        cluster.merge(&format!("{CLAIMS}/elastic"), grow).await.unwrap();
        let deleted = cluster.delete(&format!("{CLAIMS}/elastic"), Value::Null).await.unwrap().body;
        assert_eq!(deleted["kind"], "PersistentVolumeClaim", "what is deleted is shown");
    });
}
