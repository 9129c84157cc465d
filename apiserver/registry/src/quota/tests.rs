//! What is counted, under which names, and when it is too much.

use serde_json::json;

use super::*;
use crate::resources;

fn quota(spec: &Value) -> Object {
    Object(json!({"metadata": {"name": "most", "namespace": "shop"}, "spec": spec}))
}

fn resource(group: &str, plural: &str) -> &'static ResourceInfo {
    resources::find(group, "v1", plural).unwrap()
}

fn used(plural: &str, object: &Value) -> BTreeMap<String, String> {
    let usage = usage(resource("", plural), &Object(object.clone()));
    usage.into_iter().map(|(name, amount)| (name, amount.to_string())).collect()
}

fn pod(resources: &Value) -> Value {
    json!({"spec": {"containers": [{"name": "a", "resources": resources}]}})
}

#[test]
fn a_pod_counts_until_it_is_over() {
    let web = pod(&json!({
        "requests": {"cpu": "1", "example.com/gpu": "2"}, "limits": {"memory": "1Gi"},
    }));
    let wanted = json!({
        "count/pods": "1", "pods": "1", "cpu": "1", "requests.cpu": "1", "requests.example.com/gpu": "2",
        "limits.memory": "1Gi",
    });
    assert_eq!(json!(used("pods", &web)), wanted);
    let mut over = web.clone();
    over["status"] = json!({"phase": "Succeeded"});
    assert_eq!(json!(used("pods", &over)), json!({"count/pods": "1"}));
}

#[test]
fn services_count_their_ports_and_claims_their_class() {
    let balanced = json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}});
    assert_eq!(
        json!(used("services", &balanced)),
        json!({"count/services": "1", "services": "1", "services.nodeports": "2", "services.loadbalancers": "1"})
    );
    let claim = json!({"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "5Gi"}}}});
    assert_eq!(
        json!(used("persistentvolumeclaims", &claim)),
        json!({
            "count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "5Gi",
            "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            "gold.storageclass.storage.k8s.io/requests.storage": "5Gi",
        })
    );
}

#[test]
fn every_limit_is_of_some_resource_and_none_of_another() {
    let concerned = |name: &str| -> Vec<String> {
        let quota = quota(&json!({"hard": {name: "1"}}));
        counted().filter(|resource| concerns(&quota, resource)).map(|resource| resource.qualified()).collect()
    };
    for (name, resource) in [
        ("requests.cpu", "pods"),
        ("hugepages-2Mi", "pods"),
        ("requests.storage", "persistentvolumeclaims"),
        ("gold.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"),
        ("services.nodeports", "services"),
        ("configmaps", "configmaps"),
        ("count/deployments.apps", "deployments.apps"),
        ("count/pods", "pods"),
    ] {
        assert_eq!(concerned(name), [resource], "{name}");
    }
}

#[test]
fn scopes_narrow_a_quota_down() {
    let pods = resource("", "pods");
    let covered = |spec: &Value, pod: Value| covers(&quota(spec), pods, &Object(pod));
    let best_effort = pod(&json!({}));
    let burstable = pod(&json!({"requests": {"cpu": "1"}}));
    assert!(covered(&json!({"scopes": ["BestEffort"]}), best_effort.clone()));
    assert!(!covered(&json!({"scopes": ["BestEffort"]}), burstable.clone()));
    assert!(covered(&json!({"scopes": ["NotTerminating", "NotBestEffort"]}), burstable));
    let mut short = best_effort.clone();
    short["spec"]["activeDeadlineSeconds"] = 5.into();
    assert!(covered(&json!({"scopes": ["Terminating"]}), short));
    let high = json!({"scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]},
    ]}});
    let mut important = best_effort.clone();
    important["spec"]["priorityClassName"] = "high".into();
    assert!(covered(&high, important) && !covered(&high, best_effort.clone()));
    let secret = Object(json!({}));
    assert!(covers(&quota(&json!({})), resource("", "secrets"), &secret));
    assert!(!covers(&quota(&json!({"scopes": ["BestEffort"]})), resource("", "secrets"), &secret));
    let mut near = best_effort.clone();
    near["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!([{"namespaces": ["other"]}]);
    let crossing = json!({"scopes": ["CrossNamespacePodAffinity"]});
    assert!(covered(&crossing, near) && !covered(&crossing, best_effort));
}

#[test]
fn what_is_limited_has_to_be_said() {
    let limited = quota(&json!({"hard": {"cpu": "1", "limits.memory": "1Gi", "pods": "1"}}));
    let silent = Object(pod(&json!({})));
    assert_eq!(
        unspecified(&limited, &silent).as_deref(),
        Some("failed quota: most: must specify cpu for: a; limits.memory for: a")
    );
    let said = Object(pod(&json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}})));
    assert_eq!(unspecified(&limited, &said), None);
    let mut whole = silent.clone();
    whole.set(&["spec", "resources"], json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}));
    assert_eq!(unspecified(&limited, &whole), None);
}

#[test]
fn too_much_is_told_in_upstreams_words() {
    let limited = quota(&json!({"hard": {"cpu": "1", "pods": "2"}}));
    let more =
        masked(&limited, &usage(resource("", "pods"), &Object(pod(&json!({"requests": {"cpu": "600m"}})))));
    let once = charge(&limited, &Amounts::new(), &more).unwrap();
    assert_eq!(
        charge(&limited, &once, &more).unwrap_err(),
        "exceeded quota: most, requested: cpu=600m, used: cpu=600m, limited: cpu=1"
    );
    let less: Amounts = more.iter().map(|(name, amount)| (name.clone(), -*amount)).collect();
    assert!(charge(&limited, &amounts(&json!({"cpu": "5", "pods": "5"})), &less).is_ok());
}
