//! PersistentVolume: storage that is there, for a claim to have.
//!
//! Deliberately absent: the finalizer that protects a volume in use; the time of a later change of phase, which whoever
//! changes it tells.
//!
//! Source: `pkg/apis/core/{v1/defaults,validation}`, `pkg/registry/core/persistentvolume`.

use serde_json::{Map, Value, json};

use super::{
    metadata,
    node_label::{self, Values},
    pod,
    storage::{self, ATTRIBUTES_CLASS, VOLUME_MODE},
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

mod source;

/// The fields of a spec that are no source. Whatever else is there is one.
const NO_SOURCES: &[&str] = &[
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// Sources that are no more: the field, its name in upstream's words, and since when.
const DEPRECATED_SOURCES: [(&str, &str, &str); 6] = [
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// The columns of PersistentVolumes.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Capacity", "string", |object, _| {
        storage::storage_text(object, &["spec", "capacity"]).into()
    }),
    Column::new("Access Modes", "string", |object, _| {
        storage::modes_text(object.list(&["spec", "accessModes"])).into()
    }),
    Column::new("Reclaim Policy", "string", |object, _| {
        object.text(&["spec", "persistentVolumeReclaimPolicy"]).into()
    }),
    Column::new("Status", "string", |object, _| storage::phase(object).into()),
    Column::new("Claim", "string", |object, _| claim(object).into()),
    Column::new("StorageClass", "string", |object, _| storage::class(object).into()),
    ATTRIBUTES_CLASS,
    Column::new("Reason", "string", |object, _| object.text(&["status", "reason"]).into()),
    AGE,
    VOLUME_MODE,
];

fn claim(object: &Object) -> String {
    let text = |field: &str| object.text(&["spec", "claimRef", field]);
    match object.get(&["spec", "claimRef"]) {
        None => String::new(),
        Some(_) => format!("{}/{}", text("namespace"), text("name")),
    }
}

/// The rules of PersistentVolumes.
pub struct Rules;

impl Strategy for Rules {
    /// The time of creation must be there already: it is that of the first phase.
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], json!({"phase": "Pending"}));
        if let Some(now) = object.get(&["metadata", "creationTimestamp"]).cloned() {
            object.set(&["status", "lastPhaseTransitionTime"], now);
        }
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        match old.get(&["status"]) {
            Some(status) => object.set(&["status"], status.clone()),
            None => drop(object.remove(&["status"])),
        }
    }

    fn default(&self, object: &mut Object) {
        for (path, text) in [
            (["status", "phase"], "Pending"),
            (["spec", "persistentVolumeReclaimPolicy"], "Retain"),
            (["spec", "volumeMode"], "Filesystem"),
        ] {
            if object.text(&path).is_empty() {
                object.set(&path, text);
            }
        }
        if let Some(spec) = object.slot(&["spec"]) {
            pod::round_up(spec, "capacity");
            if let Some(path) = spec.get_mut("hostPath") {
                pod::host_path_type(path);
            }
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        let modes = spec.child("accessModes");
        if modes.is_empty() {
            errors.push(modes.required(""));
        }
        storage::validate_modes(&modes, &mut errors);
        validate_capacity(&spec.child("capacity"), &mut errors);
        let policy = spec.child("persistentVolumeReclaimPolicy");
        policy.one_of(&["Delete", "Recycle", "Retain"], &mut errors);
        let affinity = spec.child("nodeAffinity");
        if affinity.is_set() {
            validate_affinity(&affinity.child("required"), &mut errors);
        }
        source::validate(&spec, object.text(&["metadata", "name"]), &mut errors);
        storage::validate_class(&spec.child("storageClassName"), &mut errors);
        storage::validate_mode(&spec.child("volumeMode"), &mut errors);
        validate_attributes(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let (now, before) = (fixed_source(object, old), fixed_source(old, old));
        if !metadata::semantically_equal(Some(&now), Some(&before)) {
            let changes = storage::changes(Some(&before), Some(&now));
            let detail = format!("spec.persistentvolumesource is immutable after creation\n{changes}");
            errors.push(FieldError::forbidden("spec.persistentvolumesource", detail));
        }
        let place = |field: &str| Place::at(object, &["spec", field]).shown_as(field);
        place("volumeMode").unchanged(&Place::at(old, &["spec", "volumeMode"]), &mut errors);
        let affinity = Place::at(old, &["spec", "nodeAffinity"]);
        if affinity.is_set() {
            place("nodeAffinity").unchanged(&affinity, &mut errors);
        }
        let class = ["spec", "volumeAttributesClassName"];
        if old.get(&class).is_some() && object.get(&class).is_none() {
            let detail = "update from non-nil value to nil is forbidden";
            errors.push(FieldError::forbidden(class.join("."), detail));
        }
        errors
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings: Vec<String> = storage::legacy_class_warning(object).into_iter().collect();
        let spec = Place::at(object, &["spec"]);
        let policy = spec.child("persistentVolumeReclaimPolicy");
        if policy.text() == "Recycle" {
            let what = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use \
                        dynamic provisioning.";
            warnings.push(format!("{}: {what}", policy.path()));
        }
        for term in spec.child("nodeAffinity").child("required").child("nodeSelectorTerms").items() {
            node_label::warn_term(&term, Values::Any, &mut warnings);
        }
        for (field, shown, why) in DEPRECATED_SOURCES {
            if spec.child(field).is_set() {
                warnings.push(format!("spec.{shown}: {why}"));
            }
        }
        warnings
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

fn validate_capacity(capacity: &Place<'_>, errors: &mut Vec<FieldError>) {
    if capacity.is_empty() {
        errors.push(capacity.required(""));
    }
    if !capacity.child("storage").is_set() || capacity.len() > 1 {
        errors.push(capacity.not_supported(&["storage"]));
    }
    storage::validate_amounts(capacity, errors);
    for (_, amount) in capacity.entries() {
        storage::validate_amount(&amount, errors);
    }
}

fn validate_affinity(required: &Place<'_>, errors: &mut Vec<FieldError>) {
    if required.is_set() {
        pod::scheduling::node_selector(required, errors);
    } else {
        errors.push(required.required("must specify required node constraints"));
    }
}

/// The sources of a spec; there is to be one.
fn sources(spec: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = spec.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    fields.filter(|(name, value)| !NO_SOURCES.contains(name) && !value.is_null())
}

fn validate_attributes(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let class = spec.child("volumeAttributesClassName");
    if !class.is_set() {
        return;
    }
    if class.text().is_empty() {
        errors.push(class.required("an empty string is disallowed"));
    }
    storage::validate_class(&class, errors);
    if !spec.child("csi").is_set() {
        errors.push(spec.child("csi").required("has to be specified when using volumeAttributesClassName"));
    }
}

/// The source without what may be added to it: how a CSI driver gets to expand it.
fn fixed_source(object: &Object, old: &Object) -> Value {
    const SECRET: [&str; 3] = ["spec", "csi", "controllerExpandSecretRef"];
    let mut object = object.clone();
    if old.get(&SECRET).is_none() {
        object.remove(&SECRET);
    }
    let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
    Value::Object(sources(spec).map(|(name, value)| (name.to_owned(), value.clone())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn volume(spec: &Value) -> Object {
        let mut object = Object(json!({
            "metadata": {"name": "pv-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/data"},
            },
        }));
        for (field, value) in spec.as_object().into_iter().flatten() {
            object.set(&["spec", field], value.clone());
        }
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn a_new_volume_is_pending_and_kept_after_use() {
        let object = volume(&json!({}));
        assert_eq!(
            object.0["status"],
            json!({"phase": "Pending", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"})
        );
        assert_eq!(object.text(&["spec", "persistentVolumeReclaimPolicy"]), "Retain");
        assert_eq!(object.text(&["spec", "volumeMode"]), "Filesystem");
        assert_eq!(object.0["spec"]["hostPath"], json!({"path": "/data", "type": ""}));
        assert_eq!(texts(&Rules.validate(&object)), [""; 0]);
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let cases = [
            (json!({"accessModes": []}), "spec.accessModes: Required value"),
            (
                json!({"capacity": {"storage": "1Gi", "cpu": "1"}}),
                "spec.capacity: Unsupported value: {\"cpu\":\"1\",\"storage\":\"1Gi\"}: supported values: \"storage\"",
            ),
            (json!({"hostPath": null}), "spec: Required value: must specify a volume type"),
            (
                json!({"nfs": {"server": "a", "path": "/b"}}),
                "spec.nfs: Forbidden: may not specify more than 1 volume type",
            ),
            (
                json!({"hostPath": {"path": "//"}, "persistentVolumeReclaimPolicy": "Recycle"}),
                "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
            ),
            (
                json!({"hostPath": null, "local": {"path": "/mnt/a"}}),
                "spec.nodeAffinity: Required value: Local volume requires node affinity",
            ),
            (
                json!({"hostPath": null, "csi": {"driver": "a.example.com", "volumeHandle": ""}}),
                "spec.csi.volumeHandle: Required value",
            ),
            (
                json!({"volumeAttributesClassName": "gold"}),
                "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&volume(&spec))), [text]);
        }
    }

    #[test]
    fn secrets_of_drivers_are_named_in_full() {
        let secret = json!({"name": "", "namespace": "A"});
        let csi = json!({"driver": "d", "volumeHandle": "h", "nodePublishSecretRef": secret, "nodeStageSecretRef": {}});
        let wrong = texts(&Rules.validate(&volume(&json!({"hostPath": null, "csi": csi}))));
        assert_eq!(wrong[0], "spec.csi.nodePublishSecretRef.name: Required value");
        let start =
            "spec.csi.nodePublishSecretRef.namespace: Invalid value: \"A\": a lowercase RFC 1123 label";
        assert!(wrong[1].starts_with(start) && wrong.len() == 2, "{wrong:?}");
        let sources = json!({"cephfs": {}, "flexVolume": {}, "local": {}});
        assert_eq!(
            texts(&Rules.validate(&volume(&sources))),
            [
                "spec.cephFS: Forbidden: may not specify more than 1 volume type",
                "spec.flexVolume.driver: Required value",
                "spec.local: Forbidden: may not specify more than 1 volume type",
            ]
        );
        let disk = json!({"hostPath": null, "gcePersistentDisk": {}});
        assert_eq!(texts(&Rules.validate(&volume(&disk))), ["spec.persistentDisk.pdName: Required value"]);
    }

    #[test]
    fn the_source_stays_and_a_place_is_told_once() {
        let old = volume(&json!({}));
        let mut new = old.clone();
        let zone = json!({"key": "zone", "operator": "In", "values": ["a"]});
        new.set(
            &["spec", "nodeAffinity", "required", "nodeSelectorTerms"],
            json!([{"matchExpressions": [zone]}]),
        );
        new.set(&["spec", "capacity", "storage"], "2Gi");
        assert_eq!(texts(&Rules.validate_update(&new, &old)), [""; 0]);
        assert_eq!(
            texts(&Rules.validate_update(&old, &new)),
            ["nodeAffinity: Invalid value: \"\": field is immutable"]
        );
        let mut moved = old.clone();
        moved.set(&["spec", "hostPath", "path"], "/other");
        let refused = texts(&Rules.validate_update(&moved, &old));
        let start = "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n";
        assert!(refused[0].starts_with(start), "{refused:?}");
    }

    #[test]
    fn rows_are_upstreams() {
        let mut object = volume(&json!({"storageClassName": "fast"}));
        object.set(&["spec", "claimRef"], json!({"namespace": "shop", "name": "data"}));
        let now = OffsetDateTime::UNIX_EPOCH;
        let row: Vec<Value> = COLUMNS[1..9].iter().map(|column| (column.cell)(&object, now)).collect();
        let wanted = ["1Gi", "RWO", "Retain", "Pending", "shop/data", "fast", "<unset>", ""];
        assert_eq!(row, wanted.map(|text| json!(text)));
    }

    #[test]
    fn what_is_old_is_warned_of() {
        let mut object = volume(&json!({}));
        assert_eq!(Rules.warnings(&object, None), [""; 0]);
        object.set(&storage::LEGACY_CLASS, "slow");
        object.set(&["spec", "persistentVolumeReclaimPolicy"], "Recycle");
        let expression = json!({"key": "beta.kubernetes.io/arch", "operator": "In", "values": ["-1"]});
        object.set(
            &["spec", "nodeAffinity", "required", "nodeSelectorTerms"],
            json!([{"matchExpressions": [expression]}]),
        );
        assert_eq!(
            Rules.warnings(&object, Some(&object)),
            [
                "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \
                 \"storageClassName\" attribute instead",
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the \
                 recommended approach is to use dynamic provisioning.",
                "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/arch is \
                 deprecated since v1.14; use \"kubernetes.io/arch\" instead",
            ]
        );
        for (field, text) in [
            ("cephfs", "spec.cephfs: deprecated in v1.28, non-functional in v1.31+"),
            (
                "photonPersistentDisk",
                "spec.photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+",
            ),
            ("scaleIO", "spec.scaleIO: deprecated in v1.16, non-functional in v1.22+"),
            ("storageos", "spec.storageOS: deprecated in v1.22, non-functional in v1.25+"),
            ("glusterfs", "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+"),
            ("rbd", "spec.rbd: deprecated in v1.28, non-functional in v1.31+"),
        ] {
            assert_eq!(Rules.warnings(&Object(json!({"spec": {field: {}}})), None), [text]);
        }
    }
}
