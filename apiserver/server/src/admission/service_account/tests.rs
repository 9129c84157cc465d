//! What a pod gets from its account.

use serde_json::json;

use super::*;

fn pod(spec: Value) -> Object {
    let mut pod = Object(json!({"metadata": {"name": "web", "namespace": "shop"}}));
    pod.set(&["spec"], spec);
    pod
}

fn account(fields: Value) -> Object {
    Object(fields)
}

#[test]
fn every_container_gets_the_token_volume() {
    let mut pod =
        pod(json!({"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]}));
    equip(&mut pod, &account(json!({})));
    let volume = &pod.list(&["spec", "volumes"])[0];
    let name = volume["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == "kube-api-access-".len() + 5, "{name}");
    assert_eq!(volume["projected"]["defaultMode"], 420);
    let sources = volume["projected"]["sources"].as_array().unwrap();
    assert_eq!(sources[0]["serviceAccountToken"], json!({"expirationSeconds": 3607, "path": "token"}));
    assert_eq!(sources[1]["configMap"]["name"], "kube-root-ca.crt");
    assert_eq!(sources[2]["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"], "metadata.namespace");
    let mount = json!([{"name": name, "readOnly": true, "mountPath": MOUNT_PATH}]);
    for container in pod.list(&["spec", "containers"]).iter().chain(pod.list(&["spec", "initContainers"])) {
        assert_eq!(container["volumeMounts"], mount);
    }
}

#[test]
fn whoever_has_something_else_there_or_wants_none_gets_none() {
    let own = json!({"name": "a", "volumeMounts": [{"name": "mine", "mountPath": MOUNT_PATH}]});
    let mut taken = pod(json!({"containers": [own]}));
    equip(&mut taken, &account(json!({})));
    assert_eq!(taken, pod(json!({"containers": [own]})));

    let mut shy = pod(json!({"containers": [{"name": "a"}]}));
    equip(&mut shy, &account(json!({"automountServiceAccountToken": false})));
    assert!(shy.list(&["spec", "volumes"]).is_empty());

    let mut keen = pod(json!({"containers": [{"name": "a"}], "automountServiceAccountToken": true}));
    equip(&mut keen, &account(json!({"automountServiceAccountToken": false})));
    assert_eq!(keen.list(&["spec", "volumes"]).len(), 1);
}

#[test]
fn an_init_container_alone_is_enough_for_the_volume() {
    let own = json!({"name": "a", "volumeMounts": [{"name": "mine", "mountPath": MOUNT_PATH}]});
    let mut pod = pod(json!({"containers": [own], "initContainers": [{"name": "i"}]}));
    equip(&mut pod, &account(json!({})));
    assert_eq!(pod.list(&["spec", "volumes"]).len(), 1);
    assert_eq!(pod.list(&["spec", "containers"])[0], own);
}

#[test]
fn pull_secrets_come_from_the_account_unless_the_pod_has_some() {
    let account =
        account(json!({"imagePullSecrets": [{"name": "registry"}], "automountServiceAccountToken": false}));
    let mut without = pod(json!({}));
    equip(&mut without, &account);
    assert_eq!(without.list(&["spec", "imagePullSecrets"]), [json!({"name": "registry"})]);
    let mut with = pod(json!({"imagePullSecrets": [{"name": "own"}]}));
    equip(&mut with, &account);
    assert_eq!(with.list(&["spec", "imagePullSecrets"]), [json!({"name": "own"})]);
}

#[test]
fn a_mirror_pod_has_nothing_from_the_api() {
    let cases = [
        (json!({"serviceAccountName": "default"}), "a mirror pod may not reference service accounts"),
        (json!({"volumes": [{"secret": {}}]}), "a mirror pod may not reference secrets"),
        (
            json!({"volumes": [{"projected": {"sources": [{"serviceAccountToken": {}}]}}]}),
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ];
    for (spec, why) in cases {
        assert_eq!(unfit_for_mirror(&pod(spec)), Some(why));
    }
    assert_eq!(unfit_for_mirror(&pod(json!({"volumes": [{"emptyDir": {}}]}))), None);
}
