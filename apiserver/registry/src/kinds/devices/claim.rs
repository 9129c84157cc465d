//! ResourceClaim: a wish for devices, and what was given. ResourceClaimTemplate: claims of pods to come.
//!
//! Source: `pkg/apis/resource/{v1/defaults,validation}`, `pkg/registry/resource/{resourceclaim,resourceclaimtemplate}`.

use std::collections::BTreeSet;

use keelson_api_schema::format::{check_dns1123_label, check_dns1123_subdomain};
use serde_json::{Map, Value};

use super::{
    ITEMS_MAX, admin_access, check_attribute_name, check_configuration, check_device, check_length,
    check_pool, check_requests, check_selectors, check_tolerations, device_status,
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::{csi_driver::check_driver_name, metadata, pod::scheduling},
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy, keep, keep_all_but_status},
};

/// How many consumers a claim can have, and how many ways there are to fulfil a request.
const CONSUMERS_MAX: usize = 256;
const ALTERNATIVES_MAX: usize = 8;

const ALLOCATION: [&str; 2] = ["status", "allocation"];
const RESERVED_FOR: [&str; 2] = ["status", "reservedFor"];

/// The columns of ResourceClaims.
pub const COLUMNS: &[Column] = &[NAME, Column::new("State", "string", |object, _| state(object).into()), AGE];

/// The columns of ResourceClaimTemplates.
pub const TEMPLATE_COLUMNS: &[Column] = &[NAME, AGE];

fn state(object: &Object) -> String {
    let mut words = Vec::new();
    let allocated = object.get(&ALLOCATION).is_some();
    if object.is_being_deleted() {
        words.push("deleted");
    }
    match allocated {
        true => words.push("allocated"),
        false if !object.is_being_deleted() => words.push("pending"),
        false => {}
    }
    if allocated && !object.list(&RESERVED_FOR).is_empty() {
        words.push("reserved");
    }
    words.join(",")
}

/// The rules of ResourceClaims.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], Value::Object(Map::new()));
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        keep(object, old, &["status"]);
    }

    fn prepare_status_update(&self, object: &mut Object, old: &Object) {
        keep_all_but_status(object, old);
        self.status_metadata().keep(object, old);
        device_status::drop_released(object, old);
        device_status::drop_alpha(object, old);
    }

    fn default(&self, object: &mut Object) {
        default_requests(object, &["spec", "devices", "requests"]);
    }

    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::Stays
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_spec(&Place::at(object, &["spec"]), &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &["spec"]).unchanged(&Place::at(old, &["spec"]), &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let (allocation, reserved) = (Place::at(object, &ALLOCATION), Place::at(object, &RESERVED_FOR));
        check_consumers(&reserved, &mut errors);
        if !reserved.is_empty() && !allocation.is_set() {
            errors.push(reserved.forbidden("may not be specified when `allocated` is not set"));
        }
        let added = reserved.items().any(|consumer| {
            let uid = consumer.child("uid");
            !old.list(&RESERVED_FOR).iter().any(|before| before["uid"] == uid.text())
        });
        if added && object.is_being_deleted() {
            errors.push(reserved.forbidden("must not be reserved for other consumers while being deleted"));
        }
        if old.get(&ALLOCATION).is_some() && allocation.is_set() {
            allocation.unchanged(&Place::at(old, &ALLOCATION), &mut errors);
        } else if allocation.is_set() {
            check_allocation(&allocation, object, &mut errors);
        }
        device_status::check(object, &mut errors);
        errors
    }

    fn admin_access(&self, object: &Object, old: Option<&Object>) -> Option<FieldError> {
        match old {
            None => admin_access::wanted(object, &["spec", "devices", "requests"]),
            // What was given once stays, whatever becomes of the label.
            Some(old) if admin_access::given(old).is_some() => None,
            Some(_) => admin_access::given(object),
        }
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

/// The rules of ResourceClaimTemplates.
pub struct TemplateRules;

impl Strategy for TemplateRules {
    fn default(&self, object: &mut Object) {
        default_requests(object, &["spec", "spec", "devices", "requests"]);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        metadata::labels(&spec.child("metadata").child("labels"), &mut errors);
        metadata::annotations(&spec.child("metadata").child("annotations"), &mut errors);
        check_spec(&spec.child("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &["spec"]).unchanged(&Place::at(old, &["spec"]), &mut errors);
        errors
    }

    fn admin_access(&self, object: &Object, old: Option<&Object>) -> Option<FieldError> {
        let requests = ["spec", "spec", "devices", "requests"];
        old.is_none().then(|| admin_access::wanted(object, &requests)).flatten()
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

/// Who says nothing wants one device.
fn default_requests(object: &mut Object, path: &[&str]) {
    if object.list(path).is_empty() {
        return;
    }
    let requests = object.slot(path).and_then(Value::as_array_mut);
    for request in requests.into_iter().flatten() {
        if let Some(exactly) = request.get_mut("exactly") {
            default_request(exactly);
        }
        let alternatives = request.get_mut("firstAvailable").and_then(Value::as_array_mut);
        alternatives.into_iter().flatten().for_each(default_request);
    }
}

fn default_request(request: &mut Value) {
    if !request.is_object() {
        return;
    }
    if request["allocationMode"].as_str().unwrap_or_default().is_empty() {
        request["allocationMode"] = "ExactCount".into();
    }
    if request["allocationMode"] == "ExactCount" && request["count"].as_i64().unwrap_or(0) == 0 {
        request["count"] = 1.into();
    }
}

fn check_spec(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let devices = spec.child("devices");
    let (requests, constraints) = (devices.child("requests"), devices.child("constraints"));
    let config = devices.child("config");
    let mut names = BTreeSet::new();
    check_length(&requests, ITEMS_MAX, errors);
    for request in requests.items() {
        let name = request.child("name");
        check_name(&name, errors);
        if !names.insert(name.text().to_owned()) {
            errors.push(name.duplicate());
        }
        check_request(&request, errors);
        for alternative in request.child("firstAvailable").items() {
            names.insert(format!("{}/{}", name.text(), alternative.child("name").text()));
        }
    }
    check_length(&constraints, ITEMS_MAX, errors);
    for constraint in constraints.items() {
        check_requests(&constraint.child("requests"), &names, errors);
        let (same, different) = (constraint.child("matchAttribute"), constraint.child("distinctAttribute"));
        match (same.is_set(), different.is_set()) {
            (true, false) => check_attribute_name(same.text(), true, &same, errors),
            (false, true) => check_attribute_name(different.text(), true, &different, errors),
            (false, false) => errors.push(same.required("")),
            (true, true) => {
                errors
                    .push(constraint.forbidden("may not specify both matchAttribute and distinctAttribute"));
            }
        }
    }
    check_length(&config, ITEMS_MAX, errors);
    for item in config.items() {
        check_requests(&item.child("requests"), &names, errors);
        check_configuration(&item, errors);
    }
}

fn check_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    match name.text() {
        "" => errors.push(name.required("")),
        text => errors.extend(name.each_invalid(check_dns1123_label(text))),
    }
}

fn check_request(request: &Place<'_>, errors: &mut Vec<FieldError>) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    let (exactly, alternatives) = (request.child("exactly"), request.child("firstAvailable"));
    match (exactly.is_set(), alternatives.is_empty()) {
        (true, true) => check_exact(&exactly, errors),
        (false, true) => errors.push(request.required(ONE)),
        (true, false) => errors.push(FieldError::invalid(
            request.path(),
            Value::Null,
            format!("{ONE}, but multiple fields are set"),
        )),
        (false, false) => {
            check_length(&alternatives, ALTERNATIVES_MAX, errors);
            let mut seen = BTreeSet::new();
            for alternative in alternatives.items() {
                let name = alternative.child("name");
                check_name(&name, errors);
                if !seen.insert(name.text()) {
                    errors.push(name.duplicate());
                }
                check_exact(&alternative, errors);
            }
        }
    }
}

fn check_exact(request: &Place<'_>, errors: &mut Vec<FieldError>) {
    let class = request.child("deviceClassName");
    match class.text() {
        "" => errors.push(class.required("")),
        text => errors.extend(class.each_invalid(check_dns1123_subdomain(text))),
    }
    check_selectors(&request.child("selectors"), errors);
    let (mode, count) = (request.child("allocationMode"), request.child("count"));
    match (mode.text(), count.integer().unwrap_or(0)) {
        ("All", 0) => {}
        ("All", _) => errors.push(count.invalid("must not be specified when allocationMode is 'All'")),
        ("ExactCount", ..=0) => errors.push(count.invalid("must be greater than zero")),
        ("ExactCount", _) => {}
        _ => errors.push(mode.not_supported(&["All", "ExactCount"])),
    }
    check_tolerations(&request.child("tolerations"), errors);
}

fn check_consumers(consumers: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_length(consumers, CONSUMERS_MAX, errors);
    let mut seen = BTreeSet::new();
    for consumer in consumers.items() {
        for field in ["resource", "name", "uid"] {
            let place = consumer.child(field);
            if place.text().is_empty() {
                errors.push(place.required(""));
            }
        }
        let uid = consumer.child("uid");
        if !seen.insert(uid.text()) {
            errors.push(uid.duplicate());
        }
    }
}

fn check_allocation(allocation: &Place<'_>, object: &Object, errors: &mut Vec<FieldError>) {
    let requests = Place::at(object, &["spec", "devices", "requests"]);
    let mut names = BTreeSet::new();
    for request in requests.items() {
        let name = request.child("name").text().to_owned();
        let alternatives = request.child("firstAvailable");
        names.extend(alternatives.items().map(|it| format!("{name}/{}", it.child("name").text())));
        names.insert(name);
    }
    let results = allocation.child("devices").child("results");
    check_length(&results, ITEMS_MAX, errors);
    for result in results.items() {
        let request = result.child("request");
        if !names.contains(request.text()) {
            errors.push(request.invalid("must be the name of a request in the claim"));
        }
        check_result(&result, errors);
    }
    for item in allocation.child("devices").child("config").items() {
        item.child("source").one_of(&["FromClaim", "FromClass"], errors);
        check_requests(&item.child("requests"), &names, errors);
        check_configuration(&item, errors);
    }
    let nodes = allocation.child("nodeSelector");
    if nodes.is_set() {
        scheduling::node_selector(&nodes, errors);
    }
}

/// Which device it is.
fn check_result(result: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_driver_name(&result.child("driver"), errors);
    check_pool(&result.child("pool"), errors);
    check_device(&result.child("device"), errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn claim(devices: &Value) -> Object {
        let mut object =
            Object(json!({"metadata": {"name": "one", "namespace": "lab"}, "spec": {"devices": devices}}));
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    fn gpu() -> Value {
        json!({"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]})
    }

    #[test]
    fn a_claim_is_for_one_device_unless_it_says_otherwise() {
        let object = claim(&gpu());
        assert_eq!(Rules.validate(&object), []);
        let exactly = &object.0["spec"]["devices"]["requests"][0]["exactly"];
        assert_eq!((&exactly["allocationMode"], &exactly["count"]), (&json!("ExactCount"), &json!(1)));
        let all = json!({"deviceClassName": "a", "allocationMode": "All", "count": 2});
        let request = |exactly: &Value| json!({"requests": [{"name": "a", "exactly": exactly}]});
        let cases = [
            (
                request(&all),
                "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'",
            ),
            (
                json!({"requests": [{"name": "a"}]}),
                "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
            ),
            (request(&json!({})), "spec.devices.requests[0].exactly.deviceClassName: Required value"),
            (
                json!({"constraints": [{"requests": ["b"], "matchAttribute": "example.com/numa"}]}),
                "spec.devices.constraints[0].requests[0]: Invalid value: \"b\": must be the name of a request in the claim",
            ),
            (
                json!({"constraints": [{"matchAttribute": "numa"}]}),
                "spec.devices.constraints[0].matchAttribute: Invalid value: \"numa\": must include a domain",
            ),
        ];
        for (devices, text) in cases {
            assert_eq!(texts(&Rules.validate(&claim(&devices))), [text]);
        }
    }

    #[test]
    fn wishes_stay_and_templates_too() {
        let (old, new) = (claim(&gpu()), claim(&json!({})));
        assert!(texts(&Rules.validate_update(&new, &old))[0].ends_with("field is immutable"));
        let template = |devices: &Value| {
            let mut object =
                Object(json!({"metadata": {"name": "t"}, "spec": {"spec": {"devices": devices}}}));
            TemplateRules.default(&mut object);
            object
        };
        assert_eq!(TemplateRules.validate(&template(&gpu())), []);
        assert_eq!(TemplateRules.validate_update(&template(&json!({})), &template(&gpu())).len(), 1);
    }

    #[test]
    fn what_is_given_stays_while_somebody_has_it() {
        let old = claim(&gpu());
        let result = json!({"request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"});
        let mut given = old.clone();
        given.set(&ALLOCATION, json!({"devices": {"results": [result]}}));
        given.set(&RESERVED_FOR, json!([{"resource": "pods", "name": "web", "uid": "u"}]));
        assert_eq!(Rules.validate_status_update(&given, &old), []);
        let mut other = given.clone();
        other.set(&ALLOCATION, json!({}));
        assert_eq!(Rules.validate_status_update(&other, &given).len(), 1);
        let mut loose = given.clone();
        loose.remove(&ALLOCATION);
        assert!(
            texts(&Rules.validate_status_update(&loose, &given))[0]
                .ends_with("may not be specified when `allocated` is not set")
        );
        let cell = |object: &Object| (COLUMNS[1].cell)(object, OffsetDateTime::UNIX_EPOCH);
        assert_eq!((cell(&old), cell(&given)), (json!("pending"), json!("allocated,reserved")));
    }
}
