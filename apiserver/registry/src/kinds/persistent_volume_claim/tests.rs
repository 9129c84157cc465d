//! Claims for storage.

use time::OffsetDateTime;

use super::*;
use crate::field::texts;

fn claim(spec: &Value) -> Object {
    let mut object = Object(json!({
        "metadata": {"name": "data", "namespace": "shop"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }));
    for (field, value) in spec.as_object().into_iter().flatten() {
        object.set(&["spec", field], value.clone());
    }
    Rules.default(&mut object);
    Rules.prepare_create(&mut object);
    object
}

#[test]
fn what_an_alpha_feature_would_know_is_dropped_unless_it_was_there() {
    let old = Object(json!({"status": {"phase": "Bound"}}));
    let mut new = Object(json!({"status": {"phase": "Bound", "healthStatus": {"a": 1}}}));
    let used = new.clone();
    Rules.prepare_status_update(&mut new, &old);
    assert_eq!(new, old);
    let mut again = used.clone();
    Rules.prepare_status_update(&mut again, &used);
    assert_eq!(again, used);
}

#[test]
fn a_new_claim_is_pending_and_wants_a_file_system() {
    let object = claim(&json!({}));
    assert_eq!(object.0["status"], json!({"phase": "Pending"}));
    assert_eq!(object.text(&["spec", "volumeMode"]), "Filesystem");
    assert_eq!(texts(&Rules.validate(&object)), [""; 0]);
}

#[test]
fn sources_have_an_older_and_a_newer_name() {
    let source = json!({"apiGroup": null, "kind": "PersistentVolumeClaim", "name": "old"});
    let older = claim(&json!({"dataSource": source}));
    assert_eq!(older.0["spec"]["dataSourceRef"], source);
    let newer = claim(&json!({"dataSourceRef": source}));
    assert_eq!(newer.0["spec"]["dataSource"], source);
    let other = json!({"apiGroup": "example.com", "kind": "Backup", "name": "b"});
    assert_eq!(claim(&json!({"dataSource": other})).get(&["spec", "dataSource"]), None);
    let mixed = json!({"dataSource": source, "dataSourceRef": other});
    assert_eq!(
        texts(&Rules.validate(&claim(&mixed))),
        ["spec: Invalid value: \"spec.dataSource\": must match dataSourceRef"]
    );
}

#[test]
fn what_breaks_a_rule_is_told_in_upstreams_words() {
    let cases = [
        (json!({"accessModes": []}), "spec.accessModes: Required value: at least 1 access mode is required"),
        (
            json!({"accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]}),
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        ),
        (
            json!({"accessModes": ["Sometimes"]}),
            "spec.accessModes: Unsupported value: \"Sometimes\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
        ),
        (json!({"resources": {}}), "spec.resources[storage]: Required value"),
        (
            json!({"resources": {"requests": {"storage": "0"}}}),
            "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
        ),
        (
            json!({"volumeMode": "Tape"}),
            "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
        ),
    ];
    for (spec, text) in cases {
        assert_eq!(texts(&Rules.validate(&claim(&spec))), [text]);
    }
}

#[test]
fn a_claim_gets_its_volume_once_and_grows_once_it_is_bound() {
    let old = claim(&json!({}));
    let mut bound = old.clone();
    bound.set(&["spec", "volumeName"], "pv-1");
    assert_eq!(texts(&Rules.validate_update(&bound, &old)), [""; 0]);
    let mut moved = bound.clone();
    moved.set(&["spec", "volumeName"], "pv-2");
    let refused = texts(&Rules.validate_update(&moved, &bound));
    assert_eq!(
        refused,
        [
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName \
          for bound claims\n  volumeName: \"pv-1\" → \"pv-2\"\n"
        ]
    );
    let mut grown = bound.clone();
    grown.set(&STORAGE, "2Gi");
    assert_eq!(Rules.validate_update(&grown, &bound).len(), 1);
    bound.set(&["status"], json!({"phase": "Bound", "capacity": {"storage": "1Gi"}}));
    grown.set(&["status"], json!({"phase": "Bound", "capacity": {"storage": "1Gi"}}));
    assert_eq!(texts(&Rules.validate_update(&grown, &bound)), [""; 0]);
    let mut shrunk = grown.clone();
    shrunk.set(&STORAGE, "1536Mi");
    assert_eq!(texts(&Rules.validate_update(&shrunk, &grown)), [""; 0]);
    shrunk.set(&STORAGE, "1Gi");
    assert_eq!(
        texts(&Rules.validate_update(&shrunk, &grown)),
        ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
    );
}

#[test]
fn a_class_is_named_once_and_an_annotation_may_become_the_field() {
    let mut old = claim(&json!({}));
    let mut new = old.clone();
    new.set(&["spec", "storageClassName"], "fast");
    assert_eq!(texts(&Rules.validate_update(&new, &old)), [""; 0]);
    assert_eq!(Rules.validate_update(&old, &new).len(), 1);
    old.set(&LEGACY_CLASS, "fast");
    assert_eq!(texts(&Rules.validate_update(&new, &old)), [""; 0]);
    new.set(&["spec", "storageClassName"], "slow");
    assert_eq!(Rules.validate_update(&new, &old).len(), 2);
    new = old.clone();
    new.set(&ATTRIBUTES, "gold");
    assert_eq!(texts(&Rules.validate_update(&new, &old)), [""; 0]);
    assert_eq!(
        texts(&Rules.validate_update(&old, &new)),
        ["spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden"]
    );
}

#[test]
fn a_status_tells_amounts_and_how_far_a_resize_is() {
    let mut object = claim(&json!({}));
    object.set(
        &["status"],
        json!({
            "capacity": {"storage": "-1"}, "allocatedResources": {"cpu": "1"},
            "allocatedResourceStatuses": {"storage": "Nearly"},
        }),
    );
    let found = texts(&Rules.validate_status_update(&object, &object));
    assert_eq!(found[0], "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity");
    assert!(
        found[1].starts_with(
            "status.allocatedResourceStatus: Unsupported value: \"storage\": supported values: "
        )
    );
    assert_eq!(
        found[2],
        "status.allocatedResources: Unsupported value: \"cpu\": supported values: \"storage\""
    );
}

#[test]
fn rows_are_upstreams() {
    let now = OffsetDateTime::UNIX_EPOCH;
    let row = |object: &Object| -> Vec<Value> {
        COLUMNS[1..7].iter().chain(&COLUMNS[8..]).map(|column| (column.cell)(object, now)).collect()
    };
    let mut object = claim(&json!({"storageClassName": "fast"}));
    assert_eq!(
        row(&object),
        ["Pending", "", "", "", "fast", "<unset>", "Filesystem"].map(|text| json!(text))
    );
    object.set(&["spec", "volumeName"], "pv-1");
    let modes = json!(["ReadWriteMany", "ReadWriteOnce"]);
    object.set(&["status"], json!({"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": modes}));
    assert_eq!(row(&object)[..4], ["Bound", "pv-1", "1Gi", "RWO,RWX"].map(|text| json!(text)));
}

#[test]
fn an_old_annotation_and_parts_of_bytes_are_warned_of() {
    assert_eq!(Rules.warnings(&claim(&json!({})), None), [""; 0]);
    let amounts = json!({"storage": "1500m"});
    let mut object = claim(&json!({"resources": {"requests": amounts, "limits": amounts}}));
    object.set(&storage::LEGACY_CLASS, "slow");
    let what = "fractional byte value \"1500m\" is invalid, must be an integer";
    assert_eq!(
        Rules.warnings(&object, Some(&object)),
        [
            "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \
             \"storageClassName\" attribute instead"
                .to_owned(),
            format!("spec.resources.requests[storage]: {what}"),
            format!("spec.resources.limits[storage]: {what}"),
        ]
    );
}
