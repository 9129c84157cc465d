//! ResourceSlice: some of the devices that a driver has in a pool.
//!
//! Source: `pkg/apis/resource/validation`, `pkg/registry/resource/resourceslice`.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_dns1123_subdomain;
use serde_json::Value;

use super::{
    check_attribute_name, check_device, check_length, check_pool, check_taint, counters, version::is_semantic,
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::{csi_driver::check_driver_name, pod::scheduling, workload::differs},
    object::Object,
    place::Place,
    resources::Column,
    strategy::{Strategy, drop_unless_used},
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

/// Those of them that are lists.
const LISTS: [&str; 4] = ["ints", "bools", "strings", "versions"];

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
        drop_alpha(object, None);
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_alpha(object, Some(old));
        let changed = differs(object, old, &["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        check_driver_name(&spec.child("driver"), &mut errors);
        check_whole(&spec.child("pool"), &mut errors);
        check_place(&spec, &mut errors);
        if !spec.child("sharedCounters").is_empty() && !spec.child("devices").is_empty() {
            let detail = "only one of `sharedCounters` or `devices` is allowed";
            errors.push(FieldError::invalid(spec.path(), "", detail));
        }
        check_devices(&spec, &mut errors);
        counters::check_shared(&spec.child("sharedCounters"), &mut errors);
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

/// Drops what alpha features would know: attributes that are lists, which attribute tells types of partitions apart, and
/// whether nodes have anything to do.
fn drop_alpha(object: &mut Object, old: Option<&Object>) {
    for field in ["skipNodeOperations", "partitionTypeAttribute"] {
        drop_unless_used(object, old, &["spec", field]);
    }
    if old.is_some_and(has_lists) || !has_lists(object) {
        return;
    }
    let devices = object.slot(&["spec", "devices"]).and_then(Value::as_array_mut);
    for device in devices.into_iter().flatten() {
        let attributes = device.get_mut("attributes").and_then(Value::as_object_mut);
        for attribute in attributes.into_iter().flat_map(|all| all.values_mut()) {
            if let Some(attribute) = attribute.as_object_mut() {
                attribute.retain(|field, _| !LISTS.contains(&field.as_str()));
            }
        }
    }
}

/// Whether an attribute of a device is a list.
fn has_lists(object: &Object) -> bool {
    let attributes = object.list(&["spec", "devices"]).iter().filter_map(|it| it["attributes"].as_object());
    let mut values = attributes.flat_map(serde_json::Map::values);
    values.any(|attribute| LISTS.iter().any(|field| attribute.get(field).is_some_and(|it| !it.is_null())))
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
    if named.is_set() && named.text().is_empty() {
        errors.push(named.invalid("must be either unset or set to a non-empty string"));
    } else if named.is_set() {
        errors.extend(named.each_invalid(check_dns1123_subdomain(named.text())));
    }
    if selector.is_set() {
        scheduling::node_selector(&selector, errors);
        let terms = selector.child("nodeSelectorTerms");
        if terms.len() != 1 {
            let shown = terms.value().cloned().unwrap_or(Value::Null);
            let detail = "must have exactly one node selector term";
            errors.push(FieldError::invalid(terms.path(), shown, detail));
        }
    }
    let set = set_places(spec, &PLACES);
    const ONE: &str =
        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => errors.push(spec.required(ONE)),
        1 => {}
        _ => {
            let shown = format!("{{{}}}", set.join(", "));
            let detail = format!("{ONE}, but multiple fields are set");
            errors.push(FieldError::invalid(spec.path(), shown, detail));
        }
    }
}

/// Which of these fields say where devices are, as upstream shows them.
fn set_places(place: &Place<'_>, fields: &[&str]) -> Vec<String> {
    let says = |field: &&&str| match place.child(field).value() {
        None | Some(Value::Bool(false)) => false,
        Some(Value::String(name)) => !name.is_empty(),
        Some(_) => true,
    };
    fields.iter().filter(says).map(|field| format!("`{field}`")).collect()
}

/// Where one device is, if not where the slice is.
fn check_device_place(device: &Place<'_>, is_own: bool, errors: &mut Vec<FieldError>) {
    const FIELDS: [&str; 3] = ["nodeName", "nodeSelector", "allNodes"];
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` \
                       is set to true in the ResourceSlice spec";
    if !is_own {
        if FIELDS.iter().any(|field| device.child(field).is_set()) {
            let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to \
                          true in the ResourceSlice spec";
            errors.push(FieldError::invalid(device.path(), Value::Null, detail));
        }
        return;
    }
    let [name, selector, all] = FIELDS.map(|field| device.child(field));
    if name.is_set() && name.text().is_empty() {
        errors.push(name.invalid("must not be empty"));
    } else if name.is_set() {
        errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
    }
    if selector.is_set() {
        scheduling::node_selector(&selector, errors);
    }
    if all.is_set() && !all.flag() {
        errors.push(all.invalid("must be either unset or set to true"));
    }
    let set = set_places(device, &FIELDS);
    match set.len() {
        0 => errors.push(device.required(ONE)),
        1 => {}
        _ => errors.push(FieldError::invalid(device.path(), format!("{{{}}}", set.join(", ")), ONE)),
    }
}

fn check_devices(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let devices = spec.child("devices");
    let is_rich = |device: Place<'_>| {
        !device.child("taints").is_empty() || !device.child("consumesCounters").is_empty()
    };
    let most = if devices.items().any(is_rich) { RICH_DEVICES_MAX } else { DEVICES_MAX };
    if devices.len() > most {
        check_length(&devices, most, errors);
        return;
    }
    let is_own = spec.child("perDeviceNodeSelection").flag();
    for device in devices.items() {
        check_device(&device.child("name"), errors);
        check_facts(&device, errors);
        let taints = device.child("taints");
        check_length(&taints, TAINTS_MAX, errors);
        taints.items().for_each(|taint| check_taint(&taint, errors));
        counters::check_consumed(&device.child("consumesCounters"), errors);
        check_device_place(&device, is_own, errors);
    }
    let mut seen = BTreeSet::new();
    for device in devices.items() {
        let name = device.child("name").text();
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(device.path(), name));
        }
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
        let version = attribute.child("version");
        if version.is_set() && !is_semantic(version.text()) {
            errors.push(version.invalid("must be a string compatible with semver.org spec 2.0.0"));
        }
        for place in set.iter().filter(|place| place.text().len() > TEXT_MAX) {
            errors.push(FieldError::too_long(place.path(), TEXT_MAX));
        }
    }
    for (name, amount) in capacity.entries() {
        check_attribute_name(name, false, &capacity, errors);
        let policy = amount.child("requestPolicy");
        if policy.is_set() && !device.child("allowMultipleAllocations").flag() {
            errors.push(policy.forbidden("allowMultipleAllocations must be true"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            (json!({"devices": [{"name": "a"}, {"name": "a"}]}), "spec.devices[1]: Duplicate value: \"a\""),
            (
                device(json!({"firmware": {"version": "1.x"}})),
                "spec.devices[0].attributes[firmware].version: Invalid value: \"1.x\": must be a string compatible with semver.org spec 2.0.0",
            ),
            (
                json!({"allNodes": true}),
                "spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set",
            ),
            (
                json!({"devices": [{"name": "a", "allNodes": true}]}),
                "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
            ),
            (
                json!({"nodeName": null, "perDeviceNodeSelection": true, "devices": [{"name": "a"}]}),
                "spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
            ),
            (json!({"sharedCounters": [{"name": "s"}]}), "spec.sharedCounters[0].counters: Required value"),
            (
                json!({"sharedCounters": [{"name": "s", "counters": {"m": {"value": "1"}}}], "devices": [{"name": "a"}]}),
                "spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed",
            ),
            (
                json!({"devices": [{"name": "a", "consumesCounters": [{"counters": {"m": {"value": "1"}}}]}]}),
                "spec.devices[0].consumesCounters[0].counterSet: Required value",
            ),
            (
                json!({"devices": [{"name": "a", "capacity": {"m": {"value": "1", "requestPolicy": {}}}}]}),
                "spec.devices[0].capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true",
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
    fn a_selector_of_nodes_has_one_term() {
        let term = json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]});
        let selected =
            |terms: Value| slice(&json!({"nodeName": null, "nodeSelector": {"nodeSelectorTerms": terms}}));
        assert_eq!(Rules.validate(&selected(json!([term]))), []);
        let refused = texts(&Rules.validate(&selected(json!([term, term]))));
        assert!(
            refused[0].starts_with("spec.nodeSelector.nodeSelectorTerms: Invalid value: [{"),
            "{refused:?}"
        );
        assert!(refused[0].ends_with("must have exactly one node selector term") && refused.len() == 1);
    }

    #[test]
    fn fields_of_features_that_are_off_are_dropped_unless_they_were_there() {
        let lists = json!({
            "skipNodeOperations": ["a"], "devices": [{"name": "a", "attributes": {"b": {"ints": [1]}, "c": {"int": 1}}}],
        });
        let mut made = slice(&lists);
        assert_eq!(made.get(&["spec", "skipNodeOperations"]), None);
        assert_eq!(made.0["spec"]["devices"][0]["attributes"], json!({"b": {}, "c": {"int": 1}}));
        made.set(&["spec", "devices"], lists["devices"].clone());
        let old = made.clone();
        Rules.prepare_update(&mut made, &old);
        assert_eq!(made.0["spec"], old.0["spec"]);
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
