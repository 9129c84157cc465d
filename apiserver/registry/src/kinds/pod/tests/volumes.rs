//! Volumes of pods that break rules. What their sources have in common with PersistentVolumes' is tested there.

use super::*;

/// What is wrong with a pod called `web` with this volume.
fn of_volume(volume: &Value) -> Vec<String> {
    let mut spec = with(json!({}));
    spec["volumes"] = json!([volume]);
    wrong(spec)
}

/// What is wrong with a projected volume of these sources.
fn of_sources(sources: &Value) -> Vec<String> {
    of_volume(&json!({"name": "v", "projected": {"sources": sources}}))
}

#[test]
fn a_volume_has_one_source_and_a_bad_one_cannot_be_mounted() {
    let mut spec = with(json!({"volumeMounts": [{"name": "a", "mountPath": "/a"}]}));
    spec["volumes"] = json!([
        {"name": "a", "downwardAPI": {}, "cephfs": {"monitors": ["m"]}, "hostPath": {"path": "/x"}},
        {"name": "b", "emptyDir": {}},
        {"name": "b", "emptyDir": {}}
    ]);
    assert_eq!(
        wrong(spec),
        [
            "spec.volumes[0].cephFS: Forbidden: may not specify more than 1 volume type",
            "spec.volumes[0].downwarAPI: Forbidden: may not specify more than 1 volume type",
            "spec.volumes[2].name: Duplicate value: \"b\"",
            "spec.containers[0].volumeMounts[0].name: Not found: \"a\"",
        ]
    );
}

#[test]
fn the_claim_of_an_ephemeral_volume_is_checked() {
    let place = "spec.volumes[0].ephemeral.volumeClaimTemplate";
    assert_eq!(of_volume(&json!({"name": "v", "ephemeral": {}})), [format!("{place}: Required value")]);
    let claim = |metadata: Value, size: &str| {
        json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {
            "metadata": metadata,
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        }}})
    };
    assert_eq!(of_volume(&claim(json!({"labels": {"a": "b"}}), "1Gi")), [""; 0]);
    assert_eq!(
        of_volume(&claim(
            json!({"name": "x", "uid": "u", "finalizers": ["a/b"], "labels": {"a": "b c"}}),
            "0"
        )),
        [
            format!(
                "{place}.metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or consist of \
                 alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
                 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ),
            format!("{place}.metadata.name: Forbidden: cannot be set"),
            format!("{place}.metadata.uID: Forbidden: cannot be set"),
            format!("{place}.metadata.finalizers: Forbidden: cannot be set"),
            format!("{place}.spec.resources[storage]: Invalid value: \"0\": must be greater than zero"),
        ]
    );
    let mut spec = with(json!({}));
    spec["volumes"] = json!([
        claim(json!({}), "1Gi"),
        {"name": "w", "persistentVolumeClaim": {"claimName": "web-v"}}
    ]);
    assert_eq!(
        wrong(spec),
        [
            "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"web-v\": must not reference a PVC that \
          gets created for an ephemeral volume"
        ]
    );
}

#[test]
fn the_claim_of_an_ephemeral_volume_has_a_good_name() {
    let mut object = made(with(json!({})));
    object.set(&["metadata", "name"], "a".repeat(253));
    object.set(
        &["spec", "volumes"],
        json!([{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}
        }}}}]),
    );
    let name = format!("{}-v", "a".repeat(253));
    assert_eq!(
        texts(&Rules.validate(&object)),
        [format!(
            "spec.volumes[0].name: Invalid value: \"v\": PVC name \"{name}\": must be no more than 253 characters"
        )]
    );
}

#[test]
fn images_and_drivers_are_checked() {
    assert_eq!(
        of_volume(&json!({"name": "v", "image": {"reference": "", "pullPolicy": "X"}})),
        [
            "spec.volumes[0].image.reference: Required value",
            "spec.volumes[0].image.pullPolicy: Unsupported value: \"X\": supported values: \"Always\", \
             \"IfNotPresent\", \"Never\"",
        ]
    );
    let wrong =
        of_volume(&json!({"name": "v", "csi": {"driver": "A_B!", "nodePublishSecretRef": {"name": ""}}}));
    assert!(
        wrong[0].starts_with("spec.volumes[0].csi.driver: Invalid value: \"A_B!\": a lowercase RFC 1123 sub")
    );
    assert_eq!(wrong[1..], ["spec.volumes[0].csi.nodePublishSecretRef.name: Required value"]);
    let wrong =
        of_volume(&json!({"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "A"}}}));
    assert!(
        wrong[0]
            .starts_with("spec.volumes[0].csi.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain")
    );
    let name = "iqn.2015-02.example.com:test";
    let source = json!({"targetPortal": "p".repeat(63), "iqn": name, "initiatorName": name});
    assert_eq!(
        of_volume(&json!({"name": "v", "iscsi": source})),
        [
            "spec.volumes[0].name: Invalid value: \"v\": Total length of <volume name>:<iscsi.targetPortal> must be under \
          64 characters if iscsi.initiatorName is specified."
        ]
    );
}

#[test]
fn files_show_a_field_or_a_resource() {
    let reference = json!({"fieldPath": "spec.nodeName"});
    let resource = json!({"containerName": "main", "resource": "limits.cpu"});
    let items = json!([
        {"path": "a"},
        {"path": "b", "fieldRef": reference, "resourceFieldRef": resource},
        {"path": "..", "fieldRef": {"fieldPath": "metadata.name"}}
    ]);
    let place = "spec.volumes[0].downwardAPI";
    assert_eq!(
        of_volume(&json!({"name": "v", "downwardAPI": {"items": items}})),
        [
            format!("{place}: Required value: one of fieldRef and resourceFieldRef is required"),
            format!(
                "{place}.fieldRef.fieldPath: Unsupported value: \"spec.nodeName\": supported values: \
                 \"metadata.annotations\", \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", \
                 \"metadata.uid\""
            ),
            format!(
                "{place}: Invalid value: \"resource\": fieldRef and resourceFieldRef can not be specified simultaneously"
            ),
            format!("{place}.path: Invalid value: \"..\": must not contain '..'"),
            format!("{place}.path: Invalid value: \"..\": must not start with '..'"),
        ]
    );
}

#[test]
fn a_file_comes_from_one_source() {
    let place = "spec.volumes[0].projected";
    let twice = "conflicting duplicate paths";
    let certificate = json!({"signerName": "example.com/s", "keyType": "ED25519", "keyPath": "f", "certificateChainPath": "g"});
    assert_eq!(
        of_sources(&json!([
            {"secret": {"name": "s", "items": [{"key": "a", "path": "f"}]}},
            {"configMap": {"name": "c", "items": [{"key": "a", "path": "f"}]}},
            {"downwardAPI": {"items": [{"path": "f", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"clusterTrustBundle": {"name": "b", "path": "f"}},
            {"podCertificate": certificate}
        ])),
        [
            format!("{place}: Invalid value: \"c\": {twice}"),
            format!("{place}: Invalid value: \"f\": {twice}"),
            format!("{place}: Invalid value: \"f\": {twice}"),
            format!("{place}: Invalid value: \"f\": {twice}"),
        ]
    );
    assert_eq!(
        of_sources(&json!([{"secret": {"name": "s"}, "configMap": {"name": ""}}])),
        [
            format!("{place}.sources[0].configMap.name: Required value"),
            format!("{place}.sources[0]: Forbidden: may not specify more than 1 volume type per source"),
        ]
    );
}

#[test]
fn trust_bundles_have_names_that_say_whose_they_are() {
    let place = "spec.volumes[0].projected.sources[0].clusterTrustBundle";
    let of_name = |name: &str| of_sources(&json!([{"clusterTrustBundle": {"name": name, "path": "p"}}]));
    assert_eq!(of_name("example.com:s:b"), [""; 0]);
    let wrong = of_name("A_");
    assert!(wrong[0].starts_with(&format!(
        "{place}.name: Invalid value: \"A_\": not a valid clustertrustbundlename: a lowercase RFC 1123 subdomain"
    )));
    assert_eq!(
        of_name(":b"),
        [format!(
            "{place}.name: Invalid value: \":b\": not a valid clustertrustbundlename: ClusterTrustBundle without signer \
             name must not have \":\" in its name"
        )]
    );
    assert_eq!(of_name("")[0], format!("{place}.name: Required value: must be a valid object name"));
    assert_eq!(
        of_sources(&json!([{"clusterTrustBundle": {"signerName": "", "path": "p"}}])),
        [
            format!("{place}.signerName: Required value: must be a valid signer name"),
            format!("{place}.signerName: Required value"),
        ]
    );
    assert_eq!(
        of_sources(&json!([{"serviceAccountToken": {"path": "/t", "expirationSeconds": 1}}]))[..2],
        [
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 1: may not \
             specify a duration less than 10 minutes",
            "spec.volumes[0].projected.path: Invalid value: \"/t\": must be a relative path",
        ]
    );
}

#[test]
fn variables_come_from_files_of_empty_directories() {
    let variable = |name: &str, path: &str, key: &str| json!({"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": name, "path": path, "key": key}}});
    let mut spec = with(json!({"env": [
        variable("e", "a", "K"), variable("none", "a/../b", "K=L"), variable("h", "", "")
    ]}));
    spec["volumes"] = json!([{"name": "e", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/x"}}]);
    let place = |at: usize, field: &str| format!("spec.containers[0].env[{at}].valueFrom.fileKeyRef.{field}");
    assert_eq!(
        wrong(spec),
        [
            format!(
                "{}: Invalid value: \"K=L\": a valid environment variable name must consist only of printable ASCII \
                 characters other than '='",
                place(1, "key")
            ),
            format!("{}: Invalid value: \"a/../b\": must not contain '..'", place(1, "path")),
            format!("{}: Required value", place(2, "key")),
            format!("{}: Required value", place(2, "path")),
            format!("{}: Not found: \"none\"", place(1, "volumeName")),
            format!(
                "{}: Invalid value: \"h\": referenced volume must be of type emptyDir",
                place(2, "volumeName")
            ),
        ]
    );
}
