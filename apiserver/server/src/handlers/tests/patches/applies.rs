//! Server-side apply, and who manages what after every kind of write.

use super::*;

const APPLY: &str = "application/apply-patch+yaml";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

async fn apply(cluster: &Cluster, path: &str, query: &str, config: &Value) -> Result<Answer, ApiError> {
    cluster.ask(Method::PATCH, &format!("{path}?{query}"), APPLY, &config.to_string()).await
}

fn settings(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]},
            },
        },
    })
}

/// `manager operation [subresource]` and the fields, of every entry.
fn entries(object: &Value) -> Vec<(String, Value)> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let name = |entry: &Value| {
        let words =
            ["manager", "operation", "subresource"].map(|word| entry[word].as_str().unwrap_or_default());
        words.join(" ").trim_end().to_owned()
    };
    entries.iter().map(|entry| (name(entry), entry["fieldsV1"].clone())).collect()
}

#[test]
fn an_apply_creates_changes_and_then_writes_nothing() {
    with_cluster(async |cluster| {
        let created = apply(&cluster, A, "fieldManager=me", &settings(&json!({"x": "1"}))).await.unwrap();
        assert_eq!((created.code, &created.body["data"]), (201, &json!({"x": "1"})));
        let expected = json!([{
            "manager": "me", "operation": "Apply", "apiVersion": "v1", "time": "2026-11-23T01:02:03Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}},
        }]);
        assert_eq!(created.body["metadata"]["managedFields"], expected);
        let changed = apply(&cluster, A, "fieldManager=me", &settings(&json!({"y": "1"}))).await.unwrap();
        assert_eq!((changed.code, &changed.body["data"]), (200, &json!({"y": "1"})));
        let again = apply(&cluster, A, "fieldManager=me", &settings(&json!({"y": "1"}))).await.unwrap();
        assert_eq!(again.body, changed.body, "not even the resourceVersion");
        assert_eq!(cluster.get(A).await, Some(changed.body));
    });
}

#[test]
fn a_dry_run_of_an_apply_says_what_would_be_and_writes_nothing() {
    with_cluster(async |cluster| {
        let config = settings(&json!({"x": "1"}));
        let pretended = apply(&cluster, A, "fieldManager=me&dryRun=All", &config).await.unwrap();
        assert_eq!((pretended.code, &pretended.body["data"]), (201, &json!({"x": "1"})));
        assert_eq!(cluster.get(A).await, None);
    });
}

#[test]
fn a_conflict_names_managers_and_fields_as_upstream_does() {
    with_cluster(async |cluster| {
        let path = format!("{DEPLOYMENTS}?fieldManager=kubectl-client-side-apply");
        cluster.post(&path, deployment()).await;
        let mut config = deployment();
        config["spec"]["replicas"] = 3.into();
        let error = refused(apply(&cluster, WEB, "fieldManager=kubectl", &config).await);
        let message = "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: \
                       .spec.replicas";
        assert_refused(&error, 409, "Conflict", message);
        let causes = error.status()["details"]["causes"].clone();
        let expected = json!([{
            "reason": "FieldManagerConflict", "field": ".spec.replicas",
            "message": "conflict with \"kubectl-client-side-apply\" using apps/v1",
        }]);
        assert_eq!(causes, expected);
        let forced = apply(&cluster, WEB, "fieldManager=kubectl&force=true", &config).await.unwrap();
        assert_eq!(forced.body["spec"]["replicas"], 3);
        assert_eq!(forced.body["metadata"]["generation"], 2);
        let owners: Vec<_> = entries(&forced.body)
            .into_iter()
            .filter(|(_, fields)| fields["f:spec"]["f:replicas"].is_object())
            .collect();
        assert_eq!(owners.len(), 1, "{owners:?}");
        assert_eq!(owners[0].0, "kubectl Apply");
    });
}

#[test]
fn an_applier_must_have_a_name_and_speak_of_the_object() {
    with_cluster(async |cluster| {
        let config = settings(&json!({"x": "1"}));
        let error = refused(apply(&cluster, A, "force=true", &config).await);
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        assert_refused(&error, 422, "Invalid", message);
        let error = refused(cluster.merge(&format!("{A}?force=true"), json!({})).await);
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch";
        assert_refused(&error, 422, "Invalid", message);

        let refused_config = async |change: Value| {
            let mut config = settings(&json!({"x": "1"}));
            merge_into(&mut config, &change);
            refused(apply(&cluster, A, "fieldManager=me", &config).await)
        };
        let error = refused_config(json!({"apiVersion": "v2"})).await;
        assert_refused(&error, 400, "BadRequest", "invalid object type: /v2, Kind=ConfigMap");
        let error = refused_config(json!({"metadata": {"name": "b"}})).await;
        let message = "the name of the object (b) does not match the name on the URL (a)";
        assert_refused(&error, 400, "BadRequest", message);
        let error = refused_config(json!({"metadata": {"uid": "u"}})).await;
        assert!(error.message.contains("uid mismatch: the provided object specified uid u"), "{error:?}");
        let error = refused_config(json!({"dta": {}})).await;
        let message = "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .dta: field not declared in schema";
        assert_refused(&error, 500, "", message);

        let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n  x: '2'\n";
        let strict = format!("{A}?fieldManager=me&fieldValidation=Strict");
        let error = refused(cluster.ask(Method::PATCH, &strict, APPLY, twice).await);
        assert_eq!(error.code, 400);
        assert!(error.message.starts_with("error strict decoding YAML: "), "{error:?}");
        assert!(error.message.contains("line 7: key \"x\" already set in map"), "{error:?}");
        let warned = cluster.ask(Method::PATCH, &format!("{A}?fieldManager=me"), APPLY, twice).await.unwrap();
        assert_eq!((&warned.body["data"], warned.warnings.len()), (&json!({"x": "2"}), 1));
    });
}

fn merge_into(object: &mut Value, change: &Value) {
    for (name, value) in change.as_object().unwrap() {
        match value.is_object() && object[name].is_object() {
            true => merge_into(&mut object[name], value),
            false => object[name] = value.clone(),
        }
    }
}

#[test]
fn every_kind_of_write_is_noted() {
    with_cluster(async |cluster| {
        let mut object = cluster.post(&format!("{CONFIG_MAPS}?fieldManager=creator"), config_map("a")).await;
        object["data"]["y"] = "1".into();
        let put = cluster.put(&format!("{A}?fieldManager=editor"), &object).await.unwrap().body;
        let patch = json!({"data": {"z": "1"}});
        let patched = cluster.merge(&format!("{A}?fieldManager=patcher"), patch.clone()).await.unwrap().body;
        assert_eq!(
            entries(&patched),
            [
                ("creator Update".to_owned(), json!({"f:data": {".": {}, "f:x": {}}})),
                ("editor Update".to_owned(), json!({"f:data": {"f:y": {}}})),
                ("patcher Update".to_owned(), json!({"f:data": {"f:z": {}}})),
            ]
        );
        assert_eq!(entries(&put).len(), 2);
        let again = cluster.merge(&format!("{A}?fieldManager=other"), patch).await.unwrap().body;
        assert_eq!(again, patched, "what changes nothing is not noted");
        let stripped = json!({"metadata": {"managedFields": [{}]}});
        assert_eq!(entries(&cluster.merge(A, stripped).await.unwrap().body), []);
        let long = json!({"metadata": {"managedFields": [{
            "manager": "x".repeat(129), "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {}},
        }]}});
        let error = refused(cluster.merge(A, long).await);
        assert!(error.message.contains("metadata.managedFields[0].manager: Too long"), "{error:?}");
    });
}

#[test]
fn status_and_scale_have_managers_of_their_own() {
    with_cluster(async |cluster| {
        cluster.post(&format!("{DEPLOYMENTS}?fieldManager=creator"), deployment()).await;
        let status = json!({"spec": {"replicas": 7}, "status": {"replicas": 1}});
        let path = format!("{WEB}/status?fieldManager=controller");
        let written = cluster.merge(&path, status).await.unwrap().body;
        assert_eq!((&written["spec"]["replicas"], &written["status"]["replicas"]), (&json!(2), &json!(1)));
        let fields =
            entries(&written).into_iter().find(|(name, _)| name == "controller Update status").unwrap().1;
        assert_eq!(fields, json!({"f:status": {"f:replicas": {}}}));

        let scale = json!({"spec": {"replicas": 5}});
        cluster.merge(&format!("{WEB}/scale?fieldManager=scaler"), scale).await.unwrap();
        let scaled = cluster.get(WEB).await.unwrap();
        let of_scaler =
            |object: &Value, name: &str| entries(object).into_iter().find(|(found, _)| found == name);
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        assert_eq!(of_scaler(&scaled, "scaler Update scale").unwrap().1, replicas);
        let creator = of_scaler(&scaled, "creator Update").unwrap().1;
        assert_eq!(creator["f:spec"].get("f:replicas"), None);

        let mut config = deployment();
        config["spec"]["replicas"] = 9.into();
        let error = refused(apply(&cluster, WEB, "fieldManager=me", &config).await);
        let message = "Apply failed with 1 conflict: conflict with \"scaler\" with subresource \"scale\" using apps/v1: \
                       .spec.replicas";
        assert_refused(&error, 409, "Conflict", message);

        let config = json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 6},
        });
        let path = format!("{WEB}/scale");
        assert_eq!(refused(apply(&cluster, &path, "fieldManager=me", &config).await).reason, "Conflict");
        let applied = apply(&cluster, &path, "fieldManager=me&force=true", &config).await.unwrap();
        assert_eq!((&applied.body["kind"], &applied.body["spec"]["replicas"]), (&json!("Scale"), &json!(6)));
        let scaled = cluster.get(WEB).await.unwrap();
        assert_eq!(of_scaler(&scaled, "me Apply scale").unwrap().1, replicas);
        assert_eq!(of_scaler(&scaled, "scaler Update scale"), None);
    });
}

#[test]
fn a_status_can_be_applied_but_not_made() {
    with_cluster(async |cluster| {
        let path = format!("{WEB}/status");
        let mut config = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 3},
        });
        let error = refused(apply(&cluster, &path, "fieldManager=me", &config).await);
        assert_refused(&error, 404, "NotFound", "deployments.apps \"web\" not found");
        cluster.post(DEPLOYMENTS, deployment()).await;
        let applied = apply(&cluster, &path, "fieldManager=me", &config).await.unwrap().body;
        assert_eq!(applied["status"]["replicas"], 3);
        config["status"] = json!({});
        let applied = apply(&cluster, &path, "fieldManager=me", &config).await.unwrap().body;
        assert_eq!(applied["status"].get("replicas"), None);
    });
}

#[test]
fn whoever_may_only_patch_does_not_create() {
    with_cluster(async |cluster| {
        let nobody = User { name: "jane".to_owned(), ..User::default() };
        let path = format!("{A}?fieldManager=me");
        let config = settings(&json!({"x": "1"})).to_string();
        let error = refused(cluster.ask_as(nobody, Method::PATCH, &path, APPLY, &config).await);
        assert_eq!(error.code, 403, "{error:?}");
        assert!(error.message.contains("cannot create resource \"configmaps\""), "{error:?}");
    });
}

#[test]
fn who_manages_a_field_in_another_version_is_asked_in_that_version() {
    const V1: &str = "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers";
    const WEB: &str = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web";
    with_cluster(async |cluster| {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        let spec = json!({"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 50});
        let path = format!("{V1}?fieldManager=older");
        cluster.post(&path, json!({"metadata": {"name": "web"}, "spec": spec})).await;
        let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}});
        let newer = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": [{"type": "Resource", "resource": cpu}]},
        });
        let refused = refused(apply(&cluster, WEB, "fieldManager=newer", &newer).await);
        let conflict = "Apply failed with 1 conflict: conflict with \"older\" using autoscaling/v1: \
                        .spec.targetCPUUtilizationPercentage";
        assert_refused(&refused, 409, "Conflict", conflict);

        let forced = apply(&cluster, WEB, "fieldManager=newer&force=true", &newer).await.unwrap().body;
        let older = entries(&forced).into_iter().find(|(who, _)| who == "older Update").unwrap().1;
        assert_eq!(
            older["f:spec"],
            json!({"f:maxReplicas": {}, "f:minReplicas": {}, "f:scaleTargetRef": {}}),
            "what it still manages"
        );
        let seen = cluster.get(&format!("{V1}/web")).await.unwrap();
        assert_eq!(seen["spec"]["targetCPUUtilizationPercentage"], 70);
    });
}
