//! What is wrong with the resources of a pod as a whole, which its containers share.
//!
//! In: a spec. Out: what is wrong with `resources`, in upstream's words.
//!
//! Deliberately absent: what is wrong with each amount, which is as with containers'.

use super::resources;
use crate::{
    field::FieldError,
    place::Place,
    pod_resources::{Amounts, Side, amounts, of_containers},
};

/// What a pod can have as a whole.
const SUPPORTED: &[&str] = &["cpu", "hugepages-", "memory"];

/// Checks `spec.resources`. `claims`: the names of the pod's claims.
pub(super) fn validate(spec: &Place<'_>, claims: &[&str], errors: &mut Vec<FieldError>) {
    let whole = spec.child("resources");
    if !whole.is_set() {
        return;
    }
    if spec.child("os").child("name").text() == "windows" {
        errors.push(whole.forbidden("may not be set for a windows pod"));
        return;
    }
    if whole.child("claims").is_set() {
        errors.push(whole.child("claims").forbidden("claims may not be set for Resources at pod-level"));
    }
    resources::requirements(&whole, resource, errors);
    resources::claims(&whole.child("claims"), claims, errors);
    consistency(spec, &whole, errors);
}

fn resource(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    let before = errors.len();
    resources::resource_name(name, amount, errors);
    let is_supported = SUPPORTED.contains(&name) || resources::is_huge_page(name);
    if errors.len() == before && !is_supported {
        errors.push(FieldError::not_supported(amount.path(), name, SUPPORTED));
    }
}

/// The whole is no less than its parts together, where they must have what they ask for, and than each of them.
fn consistency(spec: &Place<'_>, whole: &Place<'_>, errors: &mut Vec<FieldError>) {
    let Some(value) = spec.value() else { return };
    let [requests, limits] = [Side::Requests, Side::Limits].map(|side| of_containers(value, side));
    at_least(&whole.child("requests"), &requests, "requests", errors);
    let pages = limits.into_iter().filter(|(name, _)| resources::is_huge_page(name)).collect();
    at_least(&whole.child("limits"), &pages, "limits", errors);
    let most = amounts(&value["resources"]["limits"]);
    for container in spec.child("containers").items() {
        let index = container.path().rsplit_once('[').map_or("", |(_, index)| index);
        let own = container.child("resources").child("limits");
        for (name, amount) in amounts(own.value().unwrap_or(&serde_json::Value::Null)) {
            let Some(most) = most.get(&name).filter(|most| amount > **most) else { continue };
            // Upstream looks for the containers in the resources.
            let path = format!("{}.containers[{index}[{name}].limits", whole.path());
            let detail = format!("must be less than or equal to pod limits of {most}");
            errors.push(FieldError::invalid(path, amount.to_string(), detail));
        }
    }
}

fn at_least(whole: &Place<'_>, parts: &Amounts, side: &str, errors: &mut Vec<FieldError>) {
    let own = amounts(whole.value().unwrap_or(&serde_json::Value::Null));
    for (name, sum) in parts {
        let Some(amount) = own.get(name).filter(|amount| sum > *amount) else { continue };
        let detail = format!("must be greater than or equal to aggregate container {side} of {sum}");
        errors.push(FieldError::invalid(whole.key(name).path(), amount.to_string(), detail));
    }
}
