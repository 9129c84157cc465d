//! Sources that break rules, with upstream's words.

use serde_json::{Value, json};

use super::*;
use crate::{field::texts, object::Object};

fn wrong(kind: &str, source: Value, owner: Owner<'_>) -> Vec<String> {
    let mut object = Object::default();
    object.set(&["spec", kind], source);
    let mut errors = Vec::new();
    validate(kind, &Place::at(&object, &["spec", kind]), owner, &mut errors);
    texts(&errors)
}

fn of_pod(kind: &str, source: Value) -> Vec<String> {
    wrong(kind, source, Owner::Pod)
}

fn of_volume(kind: &str, source: Value) -> Vec<String> {
    wrong(kind, source, Owner::PersistentVolume("pv-1"))
}

#[test]
fn what_a_source_lacks_is_missed_in_order() {
    for (kind, fields) in NEEDED {
        let name = if *kind == "gcePersistentDisk" { "persistentDisk" } else { kind };
        let mut wanted: Vec<String> =
            fields.iter().map(|field| format!("spec.{name}.{field}: Required value")).collect();
        if *kind == "nfs" {
            wanted.push("spec.nfs.path: Invalid value: \"\": must be an absolute path".to_owned());
        }
        assert_eq!(of_pod(kind, json!({})), wanted);
    }
}

#[test]
fn disks_of_clouds_are_checked() {
    assert_eq!(
        of_pod("gcePersistentDisk", json!({"pdName": "", "partition": 300})),
        [
            "spec.persistentDisk.pdName: Required value",
            "spec.persistentDisk.partition: Invalid value: 300: must be between 1 and 255, inclusive",
        ]
    );
    assert_eq!(
        of_volume("awsElasticBlockStore", json!({"volumeID": "v", "partition": -1})),
        ["spec.awsElasticBlockStore.partition: Invalid value: -1: must be between 1 and 255, inclusive"]
    );
    assert_eq!(
        of_pod("azureDisk", json!({"diskName": "d", "diskURI": "x", "cachingMode": "X", "kind": "Y"})),
        [
            "spec.azureDisk.cachingMode: Unsupported value: \"X\": supported values: \"None\", \"ReadOnly\", \"ReadWrite\"",
            "spec.azureDisk.kind: Unsupported value: \"Y\": supported values: \"Dedicated\", \"Managed\", \"Shared\"",
            "spec.azureDisk.diskURI: Unsupported value: \"x\": supported values: \
             \"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd\"",
        ]
    );
    assert_eq!(
        of_pod("azureDisk", json!({"diskName": "d", "diskURI": "https://x", "kind": "Managed"})),
        [
            "spec.azureDisk.diskURI: Unsupported value: \"https://x\": supported values: \"/subscriptions/{sub-id}/\
          resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}\""
        ]
    );
    let share = json!({"secretName": "s", "shareName": "s", "secretNamespace": ""});
    assert_eq!(of_volume("azureFile", share), ["spec.azureFile.secretNamespace: Required value"]);
}

#[test]
fn volumes_of_servers_are_checked() {
    for (kind, source, texts) in [
        (
            "fc",
            json!({}),
            vec!["spec.fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"],
        ),
        (
            "fc",
            json!({"targetWWNs": ["a"], "wwids": ["b"]}),
            vec![
                "spec.fc.targetWWNs: Invalid value: [\"a\"]: targetWWNs and wwids can not be specified simultaneously",
                "spec.fc.lun: Required value: lun is required if targetWWNs is specified",
            ],
        ),
        (
            "fc",
            json!({"targetWWNs": ["a"], "lun": 256}),
            vec!["spec.fc.lun: Invalid value: 256: must be between 0 and 255, inclusive"],
        ),
        (
            "flocker",
            json!({}),
            vec!["spec.flocker: Required value: one of datasetName and datasetUUID is required"],
        ),
        (
            "flocker",
            json!({"datasetName": "a/b", "datasetUUID": "c"}),
            vec![
                "spec.flocker: Invalid value: \"resource\": datasetName and datasetUUID can not be specified \
                 simultaneously",
                "spec.flocker.datasetName: Invalid value: \"a/b\": must not contain '/'",
            ],
        ),
        (
            "quobyte",
            json!({}),
            vec![
                "spec.quobyte.registry: Required value: must be a host:port pair or multiple pairs separated by commas",
                "spec.quobyte.volume: Required value",
            ],
        ),
        (
            "quobyte",
            json!({"registry": "a:1,b,[::1]:2", "volume": "v"}),
            vec![
                "spec.quobyte.registry: Invalid value: \"a:1,b,[::1]:2\": must be a host:port pair or multiple pairs \
                 separated by commas",
            ],
        ),
        (
            "quobyte",
            json!({"registry": "a:1", "volume": "v", "tenant": "t".repeat(65)}),
            vec![
                "spec.quobyte.tenant: Required value: must be a UUID and may not exceed a length of 64 characters",
            ],
        ),
        (
            "gitRepo",
            json!({"repository": "r", "directory": "/a/.."}),
            vec![
                "spec.gitRepo.directory: Invalid value: \"/a/..\": must be a relative path",
                "spec.gitRepo.directory: Invalid value: \"/a/..\": must not contain '..'",
            ],
        ),
        (
            "flexVolume",
            json!({"driver": "d", "options": {"a": "b", "kubernetes.io/x": "", "Foo.k8s.io/x": ""}}),
            vec![
                "spec.flexVolume.options[Foo.k8s.io/x]: Invalid value: \"Foo.k8s.io/x\": kubernetes.io and k8s.io \
                 namespaces are reserved",
                "spec.flexVolume.options[kubernetes.io/x]: Invalid value: \"kubernetes.io/x\": kubernetes.io and \
                 k8s.io namespaces are reserved",
            ],
        ),
        ("hostPath", json!({"type": "Door"}), vec!["spec.hostPath.path: Required value"]),
    ] {
        assert_eq!(of_pod(kind, source), texts);
    }
}

#[test]
fn secrets_of_persistent_volumes_have_namespaces() {
    for (kind, fields) in [("cinder", json!({"volumeID": "v"})), ("storageos", json!({"volumeName": "v"}))] {
        let mut source = fields;
        source["secretRef"] = json!({});
        let (name, namespace) = (
            format!("spec.{kind}.secretRef.name: Required value"),
            format!("spec.{kind}.secretRef.namespace: Required value"),
        );
        assert_eq!(of_pod(kind, source.clone()), [name.as_str()]);
        assert_eq!(of_volume(kind, source), [name, namespace]);
    }
    let source = json!({"endpoints": "e", "path": "p", "endpointsNamespace": ""});
    assert_eq!(of_pod("glusterfs", source.clone()), [""; 0]);
    assert_eq!(
        of_volume("glusterfs", source),
        [
            "spec.glusterfs.endpointsNamespace: Invalid value: \"\": if the endpointnamespace is set, it must be a valid \
          namespace name"
        ]
    );
    assert_eq!(of_pod("storageos", json!({})), ["spec.storageos.volumeName: Required value"]);
    let wrong = of_pod("storageos", json!({"volumeName": "A", "volumeNamespace": "B"}));
    assert!(
        wrong[0].starts_with("spec.storageos.volumeName: Invalid value: \"A\": a lowercase RFC 1123 label")
    );
    assert!(
        wrong[1].starts_with("spec.storageos.volumeNamespace: Invalid value: \"B\": a lowercase RFC 1123")
    );
}

#[test]
fn iscsi_names_have_three_forms() {
    let named = |name: &str| json!({"targetPortal": "p", "iqn": name});
    for good in
        ["iqn.2015-02.example.com:test", "eui.0123456789abcdef", "naa.60004567BA64678D0123456789ABCDEF"]
    {
        assert_eq!(of_pod("iscsi", named(good)), [""; 0], "{good}");
    }
    for bad in ["iqn.2015-02.example.com", "iqn.15-02.a:b", "iqn.2015-02.a:b c", "eui.0123", "naa.x"] {
        let text = format!("spec.iscsi.iqn: Invalid value: \"{bad}\": must be valid format");
        assert_eq!(of_pod("iscsi", named(bad)), [text]);
    }
    assert_eq!(
        of_pod("iscsi", named("x")),
        ["spec.iscsi.iqn: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa"]
    );
    assert_eq!(
        of_volume("iscsi", named("x")),
        ["spec.iscsi.iqn: Invalid value: \"x\": must be valid format"]
    );
}

#[test]
fn iscsi_targets_are_checked() {
    assert_eq!(
        of_pod("iscsi", json!({"lun": 300, "chapAuthSession": true, "initiatorName": "x"})),
        [
            "spec.iscsi.targetPortal: Required value",
            "spec.iscsi.iqn: Required value",
            "spec.iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive",
            "spec.iscsi.secretRef: Required value",
            "spec.iscsi.initiatorname: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa",
        ]
    );
    let (portal, name) = ("p".repeat(60), "iqn.2015-02.example.com:test");
    let source = json!({"targetPortal": portal, "iqn": name, "initiatorName": name, "secretRef": {}});
    assert_eq!(
        of_volume("iscsi", source),
        [
            format!(
                "spec.iscsi.targetportal: Invalid value: \"{portal}\": Total length of <volume name>:<iscsi.targetPortal> \
                 must be under 64 characters if iscsi.initiatorName is specified."
            ),
            "spec.iscsi.secretRef.name: Required value".to_owned(),
        ]
    );
}
