//! CSIDriver: what a driver of volumes needs, under the driver's name.
//!
//! Source: `pkg/apis/storage/{v1/defaults,validation}`, `pkg/registry/storage/csidriver`.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_dns1123_subdomain;
use serde_json::{Value, json};

use super::workload::differs;
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{Strategy, drop_unless_used},
};

/// The longest name of a driver, in bytes.
const NAME_MAX: usize = 63;

/// How long a token for a driver lives, in seconds.
const TOKEN_SECONDS_MIN: i64 = 600;
const TOKEN_SECONDS_MAX: i64 = 1 << 32;

/// How often a driver may ask to be asked how many volumes a node takes, in seconds.
const UPDATE_PERIOD_MIN: i64 = 10;

/// Fields a change of which counts as a new generation.
const COUNTED: [&str; 6] = [
    "tokenRequests",
    "requiresRepublish",
    "seLinuxMount",
    "nodeAllocatableUpdatePeriodSeconds",
    "serviceAccountTokenInSecrets",
    "preventPodSchedulingIfMissing",
];

/// What an alpha feature would know: that pods are not to come to nodes without the driver.
const NOT_SCHEDULED: &[&str] = &["spec", "preventPodSchedulingIfMissing"];

/// The columns of CSIDrivers.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("AttachRequired", "boolean", |object, _| flag(object, "attachRequired").into()),
    Column::new("PodInfoOnMount", "boolean", |object, _| flag(object, "podInfoOnMount").into()),
    Column::new("StorageCapacity", "boolean", |object, _| flag(object, "storageCapacity").into()),
    Column::new("TokenRequests", "string", |object, _| {
        let requests = object.list(&["spec", "tokenRequests"]).iter();
        let audiences: Vec<&str> = requests.filter_map(|request| request["audience"].as_str()).collect();
        if audiences.is_empty() { "<unset>".into() } else { audiences.join(",").into() }
    }),
    Column::new("RequiresRepublish", "boolean", |object, _| flag(object, "requiresRepublish").into()),
    Column::new("Modes", "string", |object, _| {
        let modes = object.list(&["spec", "volumeLifecycleModes"]).iter().filter_map(Value::as_str);
        modes.collect::<Vec<_>>().join(",").into()
    }),
    AGE,
];

fn flag(object: &Object, field: &str) -> bool {
    Place::at(object, &["spec", field]).flag()
}

/// The rules of CSIDrivers.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        drop_unless_used(object, None, NOT_SCHEDULED);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_unless_used(object, Some(old), NOT_SCHEDULED);
        let changed = COUNTED.iter().any(|field| differs(object, old, &["spec", field]));
        match old.generation() + i64::from(changed) {
            // Nobody counted when it was made, and Go leaves a zero out.
            0 => drop(object.remove(&["metadata", "generation"])),
            generation => object.set(&["metadata", "generation"], generation),
        }
    }

    fn default(&self, object: &mut Object) {
        let flags = [
            ("attachRequired", true),
            ("podInfoOnMount", false),
            ("storageCapacity", false),
            ("requiresRepublish", false),
            ("seLinuxMount", false),
        ];
        for (field, value) in flags {
            object.set_default(&["spec", field], value);
        }
        object.set_default(&["spec", "fsGroupPolicy"], "ReadWriteOnceWithFSType");
        if object.list(&["spec", "volumeLifecycleModes"]).is_empty() {
            object.set(&["spec", "volumeLifecycleModes"], json!(["Persistent"]));
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_driver_name(&Place::at(object, &["metadata", "name"]), &mut errors);
        let spec = Place::at(object, &["spec"]);
        spec.child("fsGroupPolicy").one_of(&["File", "None", "ReadWriteOnceWithFSType"], &mut errors);
        check_requests(&spec.child("tokenRequests"), &mut errors);
        for mode in spec.child("volumeLifecycleModes").items() {
            mode.shown_as("spec.volumeLifecycleModes").one_of(&["Ephemeral", "Persistent"], &mut errors);
        }
        let period = spec.child("nodeAllocatableUpdatePeriodSeconds");
        if period.integer().is_some_and(|seconds| seconds < UPDATE_PERIOD_MIN) {
            errors.push(period.invalid("must be greater than or equal to 10 seconds"));
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for (field, shown) in [
            ("attachRequired", "spec.attachedRequired"),
            ("volumeLifecycleModes", "spec.volumeLifecycleModes"),
        ] {
            let path = ["spec", field];
            Place::at(object, &path).shown_as(shown).unchanged(&Place::at(old, &path), &mut errors);
        }
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

/// The name of a driver.
pub(super) fn check_driver_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.text().is_empty() {
        errors.push(name.required(""));
        return;
    }
    if name.text().len() > NAME_MAX {
        errors.push(FieldError::too_long(name.path(), NAME_MAX));
    }
    errors.extend(name.each_invalid(check_dns1123_subdomain(&name.text().to_lowercase())));
}

fn check_requests(requests: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut audiences = BTreeSet::new();
    for request in requests.items() {
        let (audience, seconds) = (request.child("audience"), request.child("expirationSeconds"));
        if !audiences.insert(audience.text()) {
            errors.push(audience.duplicate());
        }
        match seconds.integer() {
            Some(short) if short < TOKEN_SECONDS_MIN => {
                errors.push(seconds.invalid("may not specify a duration less than 10 minutes"));
            }
            Some(long) if long > TOKEN_SECONDS_MAX => {
                errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn driver(spec: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "disk.example.com"}, "spec": spec}));
        Rules.default(&mut object);
        object
    }

    #[test]
    fn a_driver_is_attached_and_its_volumes_stay_unless_it_says_otherwise() {
        let object = driver(&json!({}));
        assert_eq!(Rules.validate(&object), []);
        let row: Vec<Value> =
            COLUMNS[1..7].iter().map(|column| (column.cell)(&object, OffsetDateTime::UNIX_EPOCH)).collect();
        assert_eq!(
            row,
            [json!(true), json!(false), json!(false), json!("<unset>"), json!(false), json!("Persistent")]
        );
    }

    #[test]
    fn nobody_counts_what_has_never_changed() {
        let mut object = driver(&json!({"preventPodSchedulingIfMissing": true}));
        Rules.prepare_create(&mut object);
        assert_eq!(object.get(NOT_SCHEDULED), None, "the feature is off");
        let mut same = object.clone();
        same.set(&["metadata", "generation"], 0);
        Rules.prepare_update(&mut same, &object);
        assert_eq!(same.get(&["metadata", "generation"]), None);
        same.set(&["spec", "requiresRepublish"], true);
        Rules.prepare_update(&mut same, &object);
        assert_eq!(same.generation(), 1);
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let cases = [
            (
                json!({"tokenRequests": [{"audience": "a"}, {"audience": "a"}]}),
                "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
            ),
            (
                json!({"tokenRequests": [{"audience": "a", "expirationSeconds": 1}]}),
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
            ),
            (
                json!({"volumeLifecycleModes": ["Eternal"]}),
                "spec.volumeLifecycleModes: Unsupported value: \"Eternal\": supported values: \"Ephemeral\", \"Persistent\"",
            ),
            (
                json!({"fsGroupPolicy": "All"}),
                "spec.fsGroupPolicy: Unsupported value: \"All\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&driver(&spec))), [text]);
        }
    }

    #[test]
    fn attachment_stays_and_tokens_are_counted() {
        let old = driver(&json!({}));
        let mut new = driver(&json!({"attachRequired": false, "requiresRepublish": true}));
        assert_eq!(
            texts(&Rules.validate_update(&new, &old)),
            ["spec.attachedRequired: Invalid value: false: field is immutable"]
        );
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.generation(), 1);
    }
}
