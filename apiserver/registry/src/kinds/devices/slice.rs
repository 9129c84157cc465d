//! ResourceSlice: some of the devices that a driver has in a pool.
//!
//! Source: `pkg/apis/resource/validation`, `pkg/registry/resource/resourceslice`.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_dns1123_subdomain;

use super::{check_attribute_name, check_device, check_length, check_pool, check_taint};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::{csi_driver::check_driver_name, pod::scheduling, workload::differs},
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// How many devices a slice has; how many if any of them has taints or counters; how many facts a device has.
const DEVICES_MAX: usize = 128;
const RICH_DEVICES_MAX: usize = 64;
const FACTS_MAX: usize = 32;
const TAINTS_MAX: usize = 16;

/// The longest text of an attribute, in bytes.
const TEXT_MAX: usize = 64;

/// How an attribute can say what it says.
const VALUES: [&str; 8] = ["int", "bool", "string", "version", "ints", "bools", "strings", "versions"];

/// Where the devices of a slice are.
const PLACES: [&str; 4] = ["nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection"];

/// The columns of ResourceSlices.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Node", "string", |object, _| object.text(&["spec", "nodeName"]).into()),
    Column::new("Driver", "string", |object, _| object.text(&["spec", "driver"]).into()),
    Column::new("Pool", "string", |object, _| object.text(&["spec", "pool", "name"]).into()),
    AGE,
];

/// The rules of ResourceSlices.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        check_driver_name(&spec.child("driver"), &mut errors);
        check_whole(&spec.child("pool"), &mut errors);
        check_place(&spec, &mut errors);
        check_devices(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for path in
            [&["spec", "driver"][..], &["spec", "pool", "name"], &["spec", "nodeName"], &["spec", "allNodes"]]
        {
            Place::at(object, path).unchanged(&Place::at(old, path), &mut errors);
        }
        errors
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

/// The pool that the slice is a part of.
fn check_whole(pool: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_pool(&pool.child("name"), errors);
    let (generation, count) = (pool.child("generation"), pool.child("resourceSliceCount"));
    if generation.integer().is_some_and(|generation| generation < 0) {
        errors.push(generation.invalid("must be greater than or equal to zero"));
    }
    if count.integer().unwrap_or(0) <= 0 {
        let shown = count.integer().unwrap_or(0);
        errors.push(FieldError::invalid(count.path(), shown, "must be greater than zero"));
    }
}

fn check_place(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let named = spec.child("nodeName");
    let selector = spec.child("nodeSelector");
    for flag in ["allNodes", "perDeviceNodeSelection"] {
        let place = spec.child(flag);
        if place.is_set() && !place.flag() {
            errors.push(place.invalid("must be either unset or set to true"));
        }
    }
    if named.is_set() {
        errors.extend(named.each_invalid(check_dns1123_subdomain(named.text())));
    }
    if selector.is_set() {
        scheduling::node_selector(&selector, errors);
    }
    let set: Vec<&str> = PLACES.into_iter().filter(|field| spec.child(field).is_set()).collect();
    const ONE: &str =
        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => errors.push(spec.required(ONE)),
        1 => {}
        _ => {
            let shown = format!("{{{}}}", set.join(", "));
            errors.push(FieldError::invalid(spec.path(), shown, ONE));
        }
    }
}

fn check_devices(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let devices = spec.child("devices");
    let is_rich = |device: Place<'_>| {
        !device.child("taints").is_empty() || !device.child("consumesCounters").is_empty()
    };
    let most = if devices.items().any(is_rich) { RICH_DEVICES_MAX } else { DEVICES_MAX };
    check_length(&devices, most, errors);
    let mut seen = BTreeSet::new();
    for device in devices.items() {
        let name = device.child("name");
        check_device(&name, errors);
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        check_facts(&device, errors);
        let taints = device.child("taints");
        check_length(&taints, TAINTS_MAX, errors);
        taints.items().for_each(|taint| check_taint(&taint, errors));
    }
}

fn check_facts(device: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (attributes, capacity) = (device.child("attributes"), device.child("capacity"));
    let count = attributes.len() + capacity.len();
    if count > FACTS_MAX {
        errors.push(FieldError::invalid(
            device.path(),
            count,
            format!("the total number of attributes and capacities must not exceed {FACTS_MAX}"),
        ));
    }
    for (name, attribute) in attributes.entries() {
        check_attribute_name(name, false, &attributes, errors);
        let set: Vec<Place<'_>> =
            VALUES.iter().map(|field| attribute.child(field)).filter(Place::is_set).collect();
        match set.len() {
            0 => errors.push(attribute.required("exactly one value must be specified")),
            1 => {}
            _ => errors.push(attribute.invalid("exactly one value must be specified")),
        }
        for place in set.iter().filter(|place| place.text().len() > TEXT_MAX) {
            errors.push(FieldError::too_long(place.path(), TEXT_MAX));
        }
    }
    for (name, _) in capacity.entries() {
        check_attribute_name(name, false, &capacity, errors);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::field::texts;

    fn slice(fields: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "s"}, "spec": {
            "driver": "gpu.example.com", "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1}, "nodeName": "n1",
        }}));
        for (name, value) in fields.as_object().unwrap() {
            object.set(&["spec", name], value.clone());
        }
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn devices_are_somewhere_and_have_facts() {
        let device = |attributes: Value| json!({"devices": [{"name": "gpu-0", "attributes": attributes}]});
        assert_eq!(Rules.validate(&slice(&device(json!({"model": {"string": "X"}})))), []);
        let cases = [
            (
                json!({"nodeName": null}),
                "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required",
            ),
            (
                json!({"pool": {"name": "n1", "resourceSliceCount": 0}}),
                "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
            ),
            (
                device(json!({"model": {}})),
                "spec.devices[0].attributes[model]: Required value: exactly one value must be specified",
            ),
            (
                json!({"devices": [{"name": "a"}, {"name": "a"}]}),
                "spec.devices[1].name: Duplicate value: \"a\"",
            ),
            (
                json!({"devices": [{"name": "a", "taints": [{"key": "broken", "effect": "Burn"}]}]}),
                "spec.devices[0].taints[0].effect: Unsupported value: \"Burn\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
            ),
        ];
        for (fields, text) in cases {
            assert_eq!(texts(&Rules.validate(&slice(&fields))), [text]);
        }
    }

    #[test]
    fn whose_and_where_stays() {
        let old = slice(&json!({}));
        let mut new = slice(&json!({"nodeName": "n2", "devices": [{"name": "a"}]}));
        assert_eq!(
            texts(&Rules.validate_update(&new, &old)),
            ["spec.nodeName: Invalid value: \"n2\": field is immutable"]
        );
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.generation(), 2);
    }
}
