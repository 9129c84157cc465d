//! What drivers tell of the devices that a claim has: `status.devices`.
//!
//! Source: `validateDeviceStatus` in `pkg/apis/resource/validation`, `dropDeallocatedStatusDevices` in
//! `pkg/registry/resource/resourceclaim`.

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::Value;

use super::{PARAMETERS_MAX, check_device, check_length, check_pool};
use crate::{
    field::FieldError,
    kinds::{condition, csi_driver::check_driver_name},
    object::Object,
    place::Place,
};

/// The most conditions and addresses of a device.
const CONDITIONS_MAX: usize = 8;
const ADDRESSES_MAX: usize = 16;

/// The longest names of network devices, in bytes: of the interface, and of the hardware.
const NAMES_MAX: [(&str, usize); 2] = [("interfaceName", 256), ("hardwareAddress", 128)];

const RESULTS: [&str; 4] = ["status", "allocation", "devices", "results"];
const DEVICES: [&str; 2] = ["status", "devices"];

/// Which device it is, and which share of it.
type Id = [String; 4];

fn id(device: &Value) -> Id {
    ["driver", "pool", "device", "shareID"]
        .map(|part| device.get(part).and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn allocated(claim: &Object) -> BTreeSet<Id> {
    claim.list(&RESULTS).iter().map(id).collect()
}

/// As upstream writes it.
fn shown(id: &Id) -> String {
    let parts: Vec<&str> = id.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

/// Forgets what was told of devices that the claim had, and has no longer.
pub(super) fn drop_released(claim: &mut Object, old: &Object) {
    let now = allocated(claim);
    let released: BTreeSet<Id> = allocated(old).difference(&now).cloned().collect();
    if claim.list(&DEVICES).is_empty() || released.is_empty() {
        return;
    }
    if let Some(Value::Array(devices)) = claim.slot(&DEVICES) {
        devices.retain(|device| !released.contains(&id(device)));
    }
    if claim.list(&DEVICES).is_empty() {
        claim.remove(&DEVICES);
    }
}

/// Drops what an alpha feature would know of given devices: whether nodes have anything to do with them.
pub(super) fn drop_alpha(claim: &mut Object, old: &Object) {
    const FIELD: &str = "skipNodeOperations";
    let has = |claim: &Object| claim.list(&RESULTS).iter().any(|it| !it[FIELD].is_null());
    if has(old) || !has(claim) {
        return;
    }
    let results = claim.slot(&RESULTS).and_then(Value::as_array_mut);
    for result in results.into_iter().flatten().filter_map(Value::as_object_mut) {
        result.remove(FIELD);
    }
}

/// What is wrong with what is told.
pub(super) fn check(claim: &Object, errors: &mut Vec<FieldError>) {
    let (devices, allocated) = (Place::at(claim, &DEVICES), allocated(claim));
    for device in devices.items() {
        check_driver_name(&device.child("driver"), errors);
        check_pool(&device.child("pool"), errors);
        check_device(&device.child("device"), errors);
        let id = device.value().map(id).unwrap_or_default();
        if !allocated.contains(&id) {
            let detail = "must be an allocated device in the claim";
            errors.push(FieldError::invalid(device.path(), shown(&id), detail));
        }
        check_length(&device.child("conditions"), CONDITIONS_MAX, errors);
        condition::validate(&device.child("conditions"), errors);
        check_data(&device.child("data"), errors);
        check_network(&device.child("networkData"), errors);
    }
    let mut seen = BTreeSet::new();
    for device in devices.items() {
        let id = device.value().map(id).unwrap_or_default();
        if seen.contains(&id) {
            errors.push(FieldError::duplicate(device.path(), shown(&id)));
        }
        seen.insert(id);
    }
}

fn check_data(data: &Place<'_>, errors: &mut Vec<FieldError>) {
    match data.value() {
        None => {}
        Some(value) if value.to_string().len() > PARAMETERS_MAX => {
            errors.push(FieldError::too_long(data.path(), PARAMETERS_MAX));
        }
        Some(Value::Object(_)) => {}
        Some(_) => {
            errors.push(FieldError::invalid(data.path(), "<value omitted>", "must be a valid JSON object"));
        }
    }
}

fn check_network(network: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (field, most) in NAMES_MAX {
        let place = network.child(field);
        if place.text().len() > most {
            errors.push(FieldError::too_long(place.path(), most));
        }
    }
    let addresses = network.child("ips");
    check_length(&addresses, ADDRESSES_MAX, errors);
    let mut seen = BTreeSet::new();
    for address in addresses.items() {
        if !is_interface_address(address.text()) {
            errors.push(
                address.invalid("must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"),
            );
        }
        if !seen.insert(address.text()) {
            errors.push(address.duplicate());
        }
    }
}

/// An address with the length of its network's prefix.
fn is_interface_address(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|bits| bits <= most && bits.to_string() == length)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::texts;

    fn claim(devices: &Value) -> Object {
        let result = json!({"request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"});
        Object(json!({"status": {"allocation": {"devices": {"results": [result]}}, "devices": devices}}))
    }

    fn told(devices: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        check(&claim(devices), &mut errors);
        texts(&errors)
    }

    fn device(name: &str, fields: &Value) -> Value {
        let mut device = json!({"driver": "gpu.example.com", "pool": "n1", "device": name});
        for (field, value) in fields.as_object().unwrap() {
            device[field] = value.clone();
        }
        device
    }

    #[test]
    fn only_of_devices_that_the_claim_has_something_is_told() {
        let good = json!({
            "data": {"a": 1},
            "networkData": {"interfaceName": "eth1", "ips": ["10.9.8.1/24", "2001:db8::1/64"]},
        });
        assert_eq!(told(&json!([device("gpu-0", &good)])), [""; 0]);
        assert_eq!(
            told(&json!([device("gpu-9", &json!({}))])),
            [
                "status.devices[0]: Invalid value: \"gpu.example.com/n1/gpu-9\": must be an allocated device in the claim"
            ]
        );
        assert_eq!(
            told(&json!([device("gpu-0", &json!({})), device("gpu-0", &json!({}))])),
            ["status.devices[1]: Duplicate value: \"gpu.example.com/n1/gpu-0\""]
        );
        assert_eq!(
            told(&json!([device("gpu-0", &json!({"data": 1, "networkData": {"ips": ["10.9.8.1"]}}))])),
            [
                "status.devices[0].data: Invalid value: \"<value omitted>\": must be a valid JSON object",
                "status.devices[0].networkData.ips[0]: Invalid value: \"10.9.8.1\": must be a valid address in CIDR \
                 form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
            ]
        );
    }

    #[test]
    fn what_an_alpha_feature_would_know_is_dropped_unless_it_was_there() {
        let old = claim(&json!([]));
        let mut new = old.clone();
        new.slot(&RESULTS).unwrap()[0]["skipNodeOperations"] = json!(["Prepare"]);
        let used = new.clone();
        drop_alpha(&mut new, &old);
        assert_eq!(new, old);
        let mut again = used.clone();
        drop_alpha(&mut again, &used);
        assert_eq!(again, used);
    }

    #[test]
    fn what_was_told_goes_with_the_device() {
        let old = claim(&json!([device("gpu-0", &json!({}))]));
        let mut new = old.clone();
        drop_released(&mut new, &old);
        assert_eq!(new.list(&DEVICES).len(), 1);
        new.remove(&["status", "allocation"]);
        drop_released(&mut new, &old);
        assert_eq!(new.get(&DEVICES), None);
    }
}
