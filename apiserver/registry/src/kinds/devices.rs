//! The kinds of `resource.k8s.io`: which devices there are, and who wants them. Shared here: selectors, configuration,
//! attributes, taints.
//!
//! Deliberately absent: giving devices to pods; expressions are kept as they are, and not evaluated; the time at which a
//! taint was added, which whoever adds it tells.
//!
//! Source: `pkg/apis/resource/{v1/defaults,validation}`, `pkg/registry/resource`.

use std::collections::BTreeSet;

use keelson_api_schema::format::{
    check_c_identifier, check_dns1123_label, check_dns1123_subdomain, check_label_value,
};
use serde_json::Value;

use super::{csi_driver::check_driver_name, metadata};
use crate::{field::FieldError, place::Place};

mod admin_access;
pub mod claim;
pub mod class;
mod counters;
mod device_status;
pub mod slice;
pub mod taint_rule;
mod version;

/// The label of namespaces in which claims may have devices that others use; its value is `true`.
pub const ADMIN_ACCESS_LABEL: &str = "resource.kubernetes.io/admin-access";

/// How many selectors, configurations, constraints, requests there can be.
const ITEMS_MAX: usize = 32;

/// The longest expression, in bytes.
const EXPRESSION_MAX: usize = 10 * 1024;

/// How long what a driver is told may be, in bytes.
const PARAMETERS_MAX: usize = 10 * 1024;

/// The longest name of a pool, in bytes.
const POOL_MAX: usize = 253;

/// The longest name of an attribute within its domain, in bytes.
const IDENTIFIER_MAX: usize = 32;

/// What a taint does.
const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];

/// Complains about a list that is too long.
fn check_length(list: &Place<'_>, most: usize, errors: &mut Vec<FieldError>) {
    if list.len() > most {
        errors.push(FieldError::too_many(list.path(), list.len(), most));
    }
}

fn check_selectors(selectors: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_length(selectors, ITEMS_MAX, errors);
    for selector in selectors.items() {
        let (cel, expression) = (selector.child("cel"), selector.child("cel").child("expression"));
        if !cel.is_set() {
            errors.push(cel.required(""));
        } else if expression.text().is_empty() {
            errors.push(expression.required(""));
        } else if expression.text().len() > EXPRESSION_MAX {
            errors.push(FieldError::too_long(expression.path(), EXPRESSION_MAX));
        }
    }
}

/// What one configuration tells which driver.
fn check_configuration(configuration: &Place<'_>, errors: &mut Vec<FieldError>) {
    let opaque = configuration.child("opaque");
    if !opaque.is_set() {
        errors.push(opaque.required(""));
        return;
    }
    check_driver_name(&opaque.child("driver"), errors);
    let parameters = opaque.child("parameters");
    match parameters.value() {
        None => errors.push(parameters.required("")),
        Some(Value::Object(_)) => {
            if parameters.value().is_some_and(|value| value.to_string().len() > PARAMETERS_MAX) {
                errors.push(FieldError::too_long(parameters.path(), PARAMETERS_MAX));
            }
        }
        Some(_) => errors.push(FieldError::invalid(
            parameters.path(),
            "<value omitted>",
            "parameters must be a valid JSON object",
        )),
    }
}

/// A name of an attribute or a capacity; those without a domain are the driver's own.
fn check_attribute_name(name: &str, needs_domain: bool, place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (domain, identifier) = match name.split_once('/') {
        Some((domain, identifier)) => (Some(domain), identifier),
        None => (None, name),
    };
    match domain {
        Some("") => errors.push(FieldError::invalid(place.path(), "", "the domain must not be empty")),
        Some(domain) => {
            let wrong = check_dns1123_subdomain(domain).into_iter();
            errors.extend(wrong.map(|detail| FieldError::invalid(place.path(), domain, detail)));
        }
        None if needs_domain => {
            errors.push(FieldError::invalid(place.path(), name, "must include a domain"));
        }
        None => {}
    }
    if identifier.is_empty() {
        errors.push(FieldError::invalid(place.path(), identifier, "the name must not be empty"));
    } else if identifier.len() > IDENTIFIER_MAX {
        errors.push(FieldError::too_long(place.path(), IDENTIFIER_MAX));
    } else {
        let wrong = check_c_identifier(identifier).into_iter();
        errors.extend(wrong.map(|detail| FieldError::invalid(place.path(), identifier, detail)));
    }
}

/// Names below each other: `a/b/c`.
fn check_pool(pool: &Place<'_>, errors: &mut Vec<FieldError>) {
    match pool.text() {
        "" => errors.push(pool.required("")),
        text if text.len() > POOL_MAX => errors.push(FieldError::too_long(pool.path(), POOL_MAX)),
        text => {
            for part in text.split('/') {
                let wrong = check_dns1123_subdomain(part).into_iter();
                errors.extend(wrong.map(|detail| FieldError::invalid(pool.path(), part, detail)));
            }
        }
    }
}

/// The name of a device.
fn check_device(device: &Place<'_>, errors: &mut Vec<FieldError>) {
    match device.text() {
        "" => errors.push(device.required("")),
        text => errors.extend(device.each_invalid(check_dns1123_label(text))),
    }
}

fn check_taint(taint: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (key, value, effect) = (taint.child("key"), taint.child("value"), taint.child("effect"));
    metadata::label_key(key.text(), &key, errors);
    if !value.text().is_empty() {
        errors.extend(value.each_invalid(check_label_value(value.text())));
    }
    match effect.text() {
        "" => errors.push(effect.required("")),
        _ => effect.one_of(&EFFECTS, errors),
    }
}

fn check_tolerations(tolerations: &Place<'_>, errors: &mut Vec<FieldError>) {
    for toleration in tolerations.items() {
        let (key, value) = (toleration.child("key"), toleration.child("value"));
        let (operator, effect) = (toleration.child("operator"), toleration.child("effect"));
        if !key.text().is_empty() {
            metadata::label_key(key.text(), &key, errors);
        }
        match operator.text() {
            "Exists" if !value.text().is_empty() => {
                errors.push(value.invalid("must be empty for operator `Exists`"));
            }
            "Exists" => {}
            "Equal" => errors.extend(value.each_invalid(check_label_value(value.text()))),
            "" => errors.push(operator.required("")),
            _ => errors.push(operator.not_supported(&["Equal", "Exists"])),
        }
        if key.text().is_empty() && operator.text() == "Equal" {
            errors.push(operator.invalid("must be Exists when `key` is empty"));
        }
        if !effect.text().is_empty() {
            effect.one_of(&EFFECTS, errors);
        }
    }
}

/// Names of requests, each once.
fn check_requests(requests: &Place<'_>, known: &BTreeSet<String>, errors: &mut Vec<FieldError>) {
    check_length(requests, ITEMS_MAX, errors);
    let mut seen = BTreeSet::new();
    for request in requests.items() {
        if !seen.insert(request.text()) {
            errors.push(request.duplicate());
        } else if !known.contains(request.text()) {
            errors.push(request.invalid("must be the name of a request in the claim"));
        }
    }
}
