//! Titles of sig-api-machinery: discovery, flow control, field validation, policies, namespaces.

use serde_json::{Value, json};

use super::Title;
use super::client::Answer;
use super::cluster::{Cluster, Namespace, name_of};
use super::life::{Life, contains};
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new("API priority and fairness", "FlowSchema API operations", flow_schemas),
    Title::new("API priority and fairness", "PriorityLevelConfiguration API operations", priority_levels),
    Title::new(
        "AggregatedDiscovery",
        "aggregated discovery client interface, built-ins",
        aggregated_discovery,
    ),
    Title::new("AggregatedDiscovery", "raw endpoint Accept headers, built-ins", aggregated_documents),
    Title::new("Discovery", "locate groupVersion and a resource within each APIGroup", every_group_version),
    Title::new("Discovery", "validate PreferredVersion for each APIGroup", preferred_versions),
    Title::new(
        "FieldValidation",
        "unknown and duplicate fields of a typed object",
        unknown_and_duplicate_fields,
    ),
    Title::new("FieldValidation", "unknown metadata fields of a typed object", unknown_metadata),
    Title::new("MutatingAdmissionPolicy", "MutatingAdmissionPolicy API operations", mutating_policies),
    Title::new(
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding API operations",
        mutating_policy_bindings,
    ),
    Title::new("Namespaces", "apply an update to a Namespace", namespace_updated),
    Title::new("Namespaces", "apply changes to a namespace status", namespace_status),
    Title::new("Namespaces", "patch a Namespace", namespace_patched),
    Title::new(
        "Servers with support for Table transformation",
        "406 for a backend which does not implement metadata",
        no_table,
    ),
    Title::new("StorageVersionMigration", "storagemigration.k8s.io/v1 CRUD", migrations),
    Title::new("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicy API operations", validating_policies),
    Title::new(
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding API operations",
        validating_policy_bindings,
    ),
    Title::new("server version", "find the server version (integer major/minor)", version),
];

/// What upstream's suite expects every server to have, beside namespaces.
const BUILT_IN: [(&str, &str); 18] = [
    ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    ("apiregistration.k8s.io/v1", "apiservices"),
    ("apps/v1", "deployments"),
    ("authentication.k8s.io/v1", "tokenreviews"),
    ("authorization.k8s.io/v1", "selfsubjectaccessreviews"),
    ("autoscaling/v1", "horizontalpodautoscalers"),
    ("autoscaling/v2", "horizontalpodautoscalers"),
    ("batch/v1", "jobs"),
    ("certificates.k8s.io/v1", "certificatesigningrequests"),
    ("coordination.k8s.io/v1", "leases"),
    ("discovery.k8s.io/v1", "endpointslices"),
    ("events.k8s.io/v1", "events"),
    ("networking.k8s.io/v1", "ingresses"),
    ("node.k8s.io/v1", "runtimeclasses"),
    ("policy/v1", "poddisruptionbudgets"),
    ("scheduling.k8s.io/v1", "priorityclasses"),
    ("storage.k8s.io/v1", "csinodes"),
];

/// A condition as many kinds have them.
pub(super) fn condition(kind: &str) -> Value {
    json!({
        "type": kind, "status": "True", "reason": "E2E", "message": "Set from an e2e test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

fn in_cluster<'a>(
    group_version: &'a str,
    plural: &'a str,
    kind: &'a str,
    sample: Value,
    change: Value,
) -> Life<'a> {
    Life { group_version, plural, kind, namespace: None, sample, change, status: None }
}

fn flow_schemas(cluster: &Cluster<'_>) {
    let rules = json!([{
        "subjects": [{"kind": "User", "user": {"name": "example-e2e-non-existent-user"}}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }]);
    let spec = json!({
        "matchingPrecedence": 10_000, "rules": rules, "distinguisherMethod": {"type": "ByUser"},
        "priorityLevelConfiguration": {"name": "global-default"},
    });
    let change = json!({"spec": {"matchingPrecedence": 9999}});
    let mut life = in_cluster(
        "flowcontrol.apiserver.k8s.io/v1",
        "flowschemas",
        "FlowSchema",
        json!({"spec": spec}),
        change,
    );
    life.status = Some(json!({"status": {"conditions": [condition("Dangling")]}}));
    life.live(cluster);
}

fn priority_levels(cluster: &Cluster<'_>) {
    let limited = json!({"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}});
    let mut life = in_cluster(
        "flowcontrol.apiserver.k8s.io/v1",
        "prioritylevelconfigurations",
        "PriorityLevelConfiguration",
        json!({"spec": {"type": "Limited", "limited": limited}}),
        json!({"spec": {"limited": {"nominalConcurrencyShares": 4}}}),
    );
    life.status = Some(json!({"status": {"conditions": [condition("E2E")]}}));
    life.live(cluster);
}

fn match_constraints() -> Value {
    json!({"resourceRules": [{
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
    }], "namespaceSelector": {"matchLabels": {"none": "such"}}})
}

fn validating_policies(cluster: &Cluster<'_>) {
    let spec = json!({
        "matchConstraints": match_constraints(),
        "validations": [{"expression": "object.spec.replicas > 1", "messageExpression": "'too few'"}],
    });
    let mut life = in_cluster(
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        json!({"spec": spec}),
        json!({"spec": {"failurePolicy": "Ignore"}}),
    );
    life.status = Some(json!({"status": {"conditions": [condition("E2E")]}}));
    life.live(cluster);
}

fn validating_policy_bindings(cluster: &Cluster<'_>) {
    let spec = json!({"policyName": "none-such", "validationActions": ["Deny"]});
    in_cluster(
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        json!({"spec": spec}),
        json!({"spec": {"validationActions": ["Warn"]}}),
    )
    .live(cluster);
}

fn mutating_policies(cluster: &Cluster<'_>) {
    let expression = "Object{metadata: Object.metadata{labels: {'a': 'b'}}}";
    let spec = json!({
        "matchConstraints": match_constraints(),
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
        "reinvocationPolicy": "Never",
    });
    in_cluster(
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicies",
        "MutatingAdmissionPolicy",
        json!({"spec": spec}),
        json!({"spec": {"failurePolicy": "Ignore"}}),
    )
    .live(cluster);
}

fn mutating_policy_bindings(cluster: &Cluster<'_>) {
    in_cluster(
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicybindings",
        "MutatingAdmissionPolicyBinding",
        json!({"spec": {"policyName": "none-such"}}),
        json!({"spec": {"matchResources": {"matchPolicy": "Exact"}}}),
    )
    .live(cluster);
}

fn migrations(cluster: &Cluster<'_>) {
    let mut life = in_cluster(
        "storagemigration.k8s.io/v1",
        "storageversionmigrations",
        "StorageVersionMigration",
        json!({"metadata": {"name": "svm-#"}, "spec": {"resource": {"group": "example.com", "resource": "none"}}}),
        json!({"metadata": {"annotations": {"changed": "true"}}}),
    );
    life.status = Some(json!({"status": {"conditions": [condition("Running")]}}));
    life.as_resource(cluster);
    migrates(cluster);
}

/// Upstream's test asks for no more than that migrations are kept; here they are carried out, too.
fn migrates(cluster: &Cluster<'_>) {
    let path = "/apis/storagemigration.k8s.io/v1/storageversionmigrations";
    let wish = json!({
        "apiVersion": "storagemigration.k8s.io/v1", "kind": "StorageVersionMigration",
        "metadata": {"generateName": "svm-"}, "spec": {"resource": {"group": "", "resource": "serviceaccounts"}},
    });
    let made = cluster.api.post(path, &wish).ok();
    let one = format!("{path}/{}", name_of(&made));
    wait::until("a migration has succeeded", || {
        let migration = cluster.api.get(&one).ok();
        let conditions = migration["status"]["conditions"].as_array();
        let has_succeeded = conditions
            .is_some_and(|all| all.iter().any(|it| it["type"] == "Succeeded" && it["status"] == "True"));
        if has_succeeded { Ok(()) } else { Err(migration["status"].to_string()) }
    });
    cluster.api.delete(&one).ok();
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn is_in(document: &Value, group_version: &str, resource: &str) -> bool {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let groups = document["items"].as_array().unwrap();
    let of_group = groups.iter().filter(|it| it["metadata"]["name"].as_str().unwrap_or_default() == group);
    let versions = of_group.flat_map(|it| it["versions"].as_array().unwrap());
    let mut resources =
        versions.filter(|it| it["version"] == version).flat_map(|it| it["resources"].as_array().unwrap());
    resources.any(|it| it["resource"] == resource)
}

fn aggregated_documents(cluster: &Cluster<'_>) {
    let get = |path: &str| cluster.api.get_as(path, AGGREGATED).ok();
    let groups = get("/apis");
    assert_eq!(groups["kind"], "APIGroupDiscoveryList");
    for (group_version, resource) in BUILT_IN {
        assert!(is_in(&groups, group_version, resource), "{group_version} {resource}");
    }
    assert!(is_in(&get("/api"), "v1", "namespaces"));
}

/// What the client makes of both documents is what those say who are asked one by one.
fn aggregated_discovery(cluster: &Cluster<'_>) {
    let accept = format!("{AGGREGATED},application/json");
    let both = ["/api", "/apis"].map(|path| cluster.api.get_as(path, &accept).ok());
    for document in &both {
        for group in document["items"].as_array().unwrap() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().unwrap() {
                let version_name = version["version"].as_str().unwrap();
                let path = if name.is_empty() {
                    "/api/v1".to_owned()
                } else {
                    format!("/apis/{name}/{version_name}")
                };
                let plain = cluster.api.in_json().get(&path).ok();
                let of = |list: &Value, field: &str| -> Vec<String> {
                    let all = list["resources"].as_array().unwrap().iter();
                    let names = all.map(|it| it[field].as_str().unwrap().to_owned());
                    names.filter(|name| !name.contains('/')).collect()
                };
                assert_eq!(of(version, "resource"), of(&plain, "name"), "{path}");
            }
        }
    }
    assert!(is_in(&both[0], "v1", "namespaces"));
    assert!(BUILT_IN.iter().all(|(group_version, resource)| is_in(&both[1], group_version, resource)));
}

fn every_group_version(cluster: &Cluster<'_>) {
    let core = [("v1", "namespaces")];
    for (group_version, resource) in core.iter().chain(&BUILT_IN) {
        let root = if *group_version == "v1" { "/api" } else { "/apis" };
        let list = cluster.api.in_json().get(&format!("{root}/{group_version}")).ok();
        assert_eq!(list["groupVersion"], *group_version);
        let mut resources = list["resources"].as_array().unwrap().iter();
        assert!(resources.any(|it| it["name"] == *resource), "{list}");
    }
}

fn preferred_versions(cluster: &Cluster<'_>) {
    let groups = cluster.api.in_json().get("/apis/").ok();
    for group in groups["groups"].as_array().unwrap() {
        let path = format!("/apis/{}/", group["name"].as_str().unwrap());
        let group = cluster.api.in_json().get(&path).ok();
        let preferred = &group["preferredVersion"]["groupVersion"];
        let mut versions = group["versions"].as_array().unwrap().iter();
        assert!(versions.any(|it| it["groupVersion"] == *preferred), "{group}");
    }
}

fn strict_deployment(cluster: &Cluster<'_>, metadata: &str, spec: &str) -> Answer {
    let namespace = cluster.namespace();
    let path = format!(
        "{}?fieldManager=field_validation_mgr&fieldValidation=Strict",
        namespace.of("apps/v1", "deployments")
    );
    let body = format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"my-dep",{metadata}"labels":{{"app":"nginx"}}}},
        "spec":{{{spec}"selector":{{"matchLabels":{{"app":"nginx"}}}},"template":{{"metadata":{{"labels":{{"app":"nginx"}}}},
        "spec":{{"containers":[{{"name":"nginx","image":"nginx:latest"}}]}}}}}}}}"#
    );
    // A typed client's request in which the bytes are given says nothing about their type but what it always says.
    cluster.api.post_bytes(
        &path,
        ("application/vnd.kubernetes.protobuf,application/json", "application/json"),
        &body,
    )
}

fn unknown_and_duplicate_fields(cluster: &Cluster<'_>) {
    let refused =
        strict_deployment(cluster, "", r#""unknownField":"foo","replicas":2,"replicas":3,"#).refused(400);
    let wanted =
        r#"strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas""#;
    assert!(refused.contains(wanted), "{refused}");
}

fn unknown_metadata(cluster: &Cluster<'_>) {
    let refused = strict_deployment(cluster, r#""unknownMeta":"foo","#, "").refused(400);
    let wanted = r#"strict decoding error: unknown field "metadata.unknownMeta""#;
    assert!(refused.contains(wanted), "{refused}");
}

fn path_of(namespace: &Namespace) -> String {
    format!("/api/v1/namespaces/{}", namespace.name)
}

fn namespace_patched(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let patch = json!({"metadata": {"labels": {"testLabel": "testValue"}}});
    cluster.api.strategic(&path_of(&namespace), &patch).ok();
    contains(&cluster.api.get(&path_of(&namespace)).ok(), &patch);
}

fn namespace_updated(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let mut object = cluster.api.get(&path_of(&namespace)).ok();
    object["metadata"]["labels"][&namespace.name] = "updated".into();
    assert_eq!(
        cluster.api.put(&path_of(&namespace), &object).ok()["metadata"]["labels"][&namespace.name],
        "updated"
    );
}

fn namespace_status(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = format!("{}/status", path_of(&namespace));
    assert_eq!(api.in_json().get(&path).ok()["status"]["phase"], "Active");
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "reason": "E2E", "message": "Set by an e2e test",
               "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let patch = json!({
        "metadata": {"annotations": {"e2e-patched-ns-status": "e2e"}},
        "status": {"conditions": [condition("StatusPatch")]},
    });
    contains(&api.merge(&path, &patch).ok(), &patch);
    let mut object = api.get(&path).ok();
    object["status"]["conditions"].as_array_mut().unwrap().push(condition("StatusUpdate"));
    let updated = api.put(&path, &object).ok();
    assert_eq!(updated["status"]["conditions"][1]["type"], "StatusUpdate");
    assert_eq!(updated["status"]["phase"], "Active");
}

fn no_table(cluster: &Cluster<'_>) {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let table = ("application/json;as=Table;v=v1;g=meta.k8s.io", "application/json");
    let answer = cluster.api.post_bytes(path, table, &review.to_string());
    assert_eq!(answer.object["reason"], "NotAcceptable");
    answer.refused(406);
}

fn version(cluster: &Cluster<'_>) {
    let version = cluster.api.in_json().get("/version").ok();
    for part in ["major", "minor"] {
        assert!(version[part].as_str().unwrap().parse::<u32>().is_ok(), "{version}");
    }
}
