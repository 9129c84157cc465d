//! Claims of devices that others use, and what a claim's status may bring along.

use super::*;

const CLAIMS: &str = "/apis/resource.k8s.io/v1/namespaces/shop/resourceclaims";
const TEMPLATES: &str = "/apis/resource.k8s.io/v1/namespaces/shop/resourceclaimtemplates";
const SHOP: &str = "/api/v1/namespaces/shop";

fn label(value: Option<&str>) -> Value {
    json!({"metadata": {"labels": {"resource.kubernetes.io/admin-access": value}}})
}

fn devices(is_admin: bool) -> Value {
    let exactly = json!({"deviceClassName": "gpu.example.com", "adminAccess": is_admin});
    json!({"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}})
}

#[test]
fn only_labelled_namespaces_have_claims_of_devices_in_use() {
    const WHY: &str = "admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the \
                       containing namespace";
    with_cluster(async |cluster| {
        let claim =
            |name: &str, is_admin: bool| json!({"metadata": {"name": name}, "spec": devices(is_admin)});
        let template = json!({"metadata": {"name": "t"}, "spec": {"spec": devices(true)}});
        cluster.post(CLAIMS, claim("usual", false)).await;
        let path = "spec.devices.requests[0].adminAccess";
        for value in [None, Some("false")] {
            cluster.merge(SHOP, label(value)).await.unwrap();
            let error = cluster.post_refused(CLAIMS, claim("admin", true)).await;
            let message =
                format!("ResourceClaim.resource.k8s.io \"admin\" is invalid: {path}: Forbidden: {WHY}");
            assert_refused(&error, 422, "Invalid", &message);
            let error = cluster.post_refused(TEMPLATES, template.clone()).await;
            let message =
                format!("ResourceClaimTemplate.resource.k8s.io \"t\" is invalid: {path}: Forbidden: {WHY}");
            assert_refused(&error, 422, "Invalid", &message);
        }
        let result = json!({
            "request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0", "adminAccess": true,
        });
        let given = json!({"status": {"allocation": {"devices": {"results": [result]}}}});
        let status = format!("{CLAIMS}/usual/status");
        let error = refused(cluster.merge(&status, given.clone()).await);
        let path = "status.allocation.devices.results[0].adminAccess";
        let message = format!("ResourceClaim.resource.k8s.io \"usual\" is invalid: {path}: Forbidden: {WHY}");
        assert_refused(&error, 422, "Invalid", &message);

        cluster.merge(SHOP, label(Some("true"))).await.unwrap();
        cluster.post(CLAIMS, claim("admin", true)).await;
        cluster.post(TEMPLATES, template).await;
        cluster.merge(&status, given).await.unwrap();
        cluster.merge(SHOP, label(None)).await.unwrap();
        let reserved = json!({"status": {"reservedFor": [{"resource": "pods", "name": "web", "uid": "u"}]}});
        cluster.merge(&status, reserved).await.unwrap();
        let labels = json!({"metadata": {"labels": {"a": "b"}}});
        cluster.merge(&format!("{CLAIMS}/admin"), labels).await.unwrap();
    });
}

#[test]
fn a_status_brings_no_metadata_and_nobody_manages_it() {
    with_cluster(async |cluster| {
        cluster.post(CLAIMS, json!({"metadata": {"name": "usual"}, "spec": devices(false)})).await;
        let result = json!({"request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"});
        let patch = json!({
            "metadata": {"labels": {"x": "1"}, "finalizers": ["q.r/s"]},
            "status": {"allocation": {"devices": {"results": [result]}}},
        });
        let path = format!("{CLAIMS}/usual/status?fieldManager=driver");
        let written = cluster.merge(&path, patch).await.unwrap().body;
        assert_eq!((written["metadata"].get("labels"), written["metadata"].get("finalizers")), (None, None));
        let entries = written["metadata"]["managedFields"].as_array().unwrap();
        let own = entries.iter().find(|entry| entry["manager"] == "driver").unwrap();
        assert_eq!(own["fieldsV1"].as_object().unwrap().keys().collect::<Vec<_>>(), ["f:status"]);
    });
}
