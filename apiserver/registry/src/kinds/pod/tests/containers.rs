//! Containers that are not ordinary: those that run before the others, those that are added to look around, and rules
//! about when to run again.

use super::*;

#[test]
fn containers_that_run_before_others_are_not_resized_by_running_again() {
    let policy = json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]);
    let mut spec = with(json!({}));
    spec["initContainers"] = json!([
        {"name": "a", "image": "x:1", "resizePolicy": policy},
        {"name": "b", "image": "x:1", "resizePolicy": policy, "restartPolicy": "Always"}
    ]);
    assert_eq!(
        wrong(spec),
        [
            "spec.initContainers[0].resizePolicy[0].restartPolicy: Invalid value: \"RestartContainer\": must not be set to \
          'RestartContainer' for non-sidecar initContainers"
        ]
    );
}

#[test]
fn rules_name_no_more_exit_codes_than_there_are() {
    let rule = |codes: Vec<i32>| {
        wrong(with(json!({"restartPolicy": "Never", "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": "In", "values": codes}}
        ]})))
    };
    assert_eq!(rule(vec![]), [""; 0]);
    assert_eq!(
        rule((0..256).collect()),
        [
            "spec.containers[0].restartPolicyRules[0].exitCodes.values: Too many: 256: must have at most 255 items"
        ]
    );
}

#[test]
fn ephemeral_containers_have_little() {
    let mut object = made(with(json!({})));
    object.set(
        &["spec", "ephemeralContainers"],
        json!([{
            "name": "e", "image": "x:1", "imagePullPolicy": "Always", "terminationMessagePolicy": "File",
            "ports": [{"containerPort": 1, "protocol": "TCP"}], "resources": {}, "restartPolicyRules": [],
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}], "lifecycle": {}
        }]),
    );
    let text = |field: &str| {
        format!("spec.ephemeralContainers[0].{field}: Forbidden: cannot be set for an Ephemeral Container")
    };
    assert_eq!(texts(&Rules.validate(&object)), [text("ports"), text("resizePolicy"), text("lifecycle")]);
}

#[test]
fn mounts_are_read_only_throughout_where_nothing_comes_through() {
    let mount = json!({"name": "v", "mountPath": "/a", "mountPropagation": "HostToContainer",
                       "recursiveReadOnly": "Enabled"});
    let mut spec = with(json!({"volumeMounts": [mount]}));
    spec["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    let place = "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when";
    assert_eq!(
        wrong(spec),
        [format!("{place} readOnly is true"), format!("{place} mountPropagation is None or not specified")]
    );
}

#[test]
fn mirrors_have_no_claims() {
    let mut spec = with(json!({}));
    spec["nodeName"] = json!("n");
    spec["resourceClaims"] = json!([{"name": "a", "resourceClaimName": "a"}]);
    let mut object = made(spec);
    object.set(&["metadata", "annotations", MIRROR], "x");
    assert_eq!(
        texts(&Rules.validate(&object)),
        ["[]: Forbidden: static pods do not support resource claims"]
    );
}
