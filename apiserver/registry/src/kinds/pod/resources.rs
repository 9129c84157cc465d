//! What is wrong with the resources that containers and pods ask for, and that nodes have.
//!
//! Source: `pkg/apis/core/validation` and `pkg/apis/core/helper`.

use std::collections::BTreeSet;

use keelson_api_schema::{
    format::{check_dns1123_label, check_qualified_name},
    quantity::Quantity,
};

use crate::{field::FieldError, place::Place};

/// Resource names without a prefix that exist somewhere in the API.
const STANDARD: &[&str] = &[
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
];

/// Those of which there are whole ones only.
const COUNTED: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// How the names of huge pages begin; their size follows.
const HUGE_PAGES: &str = "hugepages-";

/// What is wrong with a resource's name, complained about at its amount.
pub(super) type NameRule = fn(&str, &Place<'_>, &mut Vec<FieldError>);

/// Warns of a part of a byte.
pub(in crate::kinds) fn warn_fractional(bytes: &Place<'_>, warnings: &mut Vec<String>) {
    let Ok(amount) = Quantity::parse(bytes.text()) else { return };
    let thousandths = amount.milli_value();
    // Amounts beyond what can be counted so have no part that matters; upstream does not warn of them.
    let counted = thousandths != i64::MAX && thousandths != i64::MIN;
    if counted && thousandths % 1000 != 0 {
        let what = format!("fractional byte value {:?} is invalid, must be an integer", amount.to_string());
        warnings.push(format!("{}: {what}", bytes.path()));
    }
}

/// The `resources` of a container or a pod, which have resources of different names.
pub(super) fn requirements(resources: &Place<'_>, name_rule: NameRule, errors: &mut Vec<FieldError>) {
    let (limits, requests) = (resources.child("limits"), resources.child("requests"));
    for (name, amount) in limits.entries() {
        name_rule(name, &amount, errors);
        quantity(name, &amount, errors);
        whole_pages(name, &amount, errors);
    }
    for (name, amount) in requests.entries() {
        name_rule(name, &amount, errors);
        quantity(name, &amount, errors);
        within_limit(name, &amount, &requests, &limits, errors);
        whole_pages(name, &amount, errors);
    }
    let names = || limits.entries().chain(requests.entries()).map(|(name, _)| name);
    if names().any(is_huge_page) && !names().any(|name| matches!(name, "cpu" | "memory")) {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
}

/// What the sandbox of a pod costs, checked and told as if it were limits.
pub(super) fn overhead(overhead: &Place<'_>, errors: &mut Vec<FieldError>) {
    let limits = overhead.clone().shown_as(overhead.child("limits").path());
    for (name, amount) in limits.entries() {
        container_resource(name, &amount, errors);
        quantity(name, &amount, errors);
        whole_pages(name, &amount, errors);
    }
}

/// Huge pages are not divided.
fn whole_pages(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (Some(size), Some(value)) = (name.strip_prefix(HUGE_PAGES), parsed(amount)) else { return };
    let page = Quantity::parse(size).ok().filter(|page| page.signum() > 0 && page.milli_value() % 1000 == 0);
    if page.is_none_or(|page| value.value() % page.value() != 0) {
        errors.push(amount.invalid(format!("{} is not positive integer multiple of {name}", amount.text())));
    }
}

/// The claims that a container uses, or some requests of them. `known`: those of its pod.
pub(super) fn claims(claims: &Place<'_>, known: &[&str], errors: &mut Vec<FieldError>) {
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    for claim in claims.items() {
        let (name, request) = (claim.child("name").text(), claim.child("request"));
        if name.is_empty() {
            errors.push(claim.required(""));
            continue;
        }
        if seen.contains(&(name, "")) {
            errors.push(FieldError::duplicate(claim.path(), name));
        } else if request.text().is_empty() {
            // The whole of a claim overlaps with each request of it that was named before.
            let before = seen.iter().filter(|(other, _)| *other == name);
            errors.extend(before.map(|_| FieldError::duplicate(claim.path(), name)));
            seen.insert((name, ""));
        } else {
            errors.extend(request.each_invalid(check_dns1123_label(request.text())));
            if !seen.insert((name, request.text())) {
                errors.push(FieldError::duplicate(claim.path(), format!("{name}/{}", request.text())));
            }
        }
        if !known.contains(&name) {
            errors.push(unknown_claim(&claim, name, known));
        }
    }
}

fn unknown_claim(claim: &Place<'_>, name: &str, known: &[&str]) -> FieldError {
    let names: BTreeSet<&str> = known.iter().copied().filter(|name| !name.is_empty()).collect();
    let known = match names.len() {
        0 => " which is empty".to_owned(),
        _ => format!(": {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    };
    let mut error = FieldError::not_found(claim.path(), name);
    error.detail = format!("must be one of the names in pod.spec.resourceClaims{known}");
    error
}

/// An amount: not negative, and whole where halves make no sense.
pub(in crate::kinds) fn quantity(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    let Some(value) = parsed(amount) else { return };
    if value.signum() < 0 {
        errors.push(amount.invalid("must be greater than or equal to 0"));
    }
    if (COUNTED.contains(&name) || is_extended(name)) && value.milli_value() % 1000 != 0 {
        errors.push(amount.invalid("must be an integer"));
    }
}

fn within_limit(
    name: &str,
    request: &Place<'_>,
    requests: &Place<'_>,
    limits: &Place<'_>,
    errors: &mut Vec<FieldError>,
) {
    let limit = limits.key(name);
    let overcommits = overcommits(name);
    let rule = match (parsed(request), parsed(&limit)) {
        (Some(_), None) if !overcommits && !limit.is_set() => {
            errors.push(limits.required("Limit must be set for non overcommitable resources"));
            return;
        }
        (Some(amount), Some(most)) if amount != most && !overcommits => "equal to",
        (Some(amount), Some(most)) if amount > most => "less than or equal to",
        _ => return,
    };
    let detail = format!("must be {rule} {name} limit of {}", limit.text());
    errors.push(FieldError::invalid(requests.path(), request.text(), detail));
}

/// A name of something that containers can ask for.
pub(in crate::kinds) fn container_resource(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut wrong = check_qualified_name(name);
    if !name.contains('/') {
        if wrong.is_empty() && !STANDARD.contains(&name) && !is_huge_page(name) {
            wrong.push("must be a standard resource type or fully qualified".to_owned());
        }
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !is_huge_page(name) {
            wrong.push("must be a standard resource for containers".to_owned());
        }
    } else if !is_native(name) && !is_extended(name) {
        wrong.push("doesn't follow extended resource name standard".to_owned());
    }
    errors.extend(wrong.into_iter().map(|detail| FieldError::invalid(amount.path(), name, detail)));
}

/// A name of something that there are amounts of.
pub(in crate::kinds) fn resource_name(name: &str, place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut wrong = check_qualified_name(name);
    let is_quota = is_huge_page(name) || name.starts_with("requests.hugepages-");
    if wrong.is_empty() && !name.contains('/') && !STANDARD.contains(&name) && !is_quota {
        wrong.push("must be a standard resource type or fully qualified".to_owned());
    }
    errors.extend(wrong.into_iter().map(|detail| FieldError::invalid(place.path(), name, detail)));
}

/// Whether more of it can be promised than there is.
pub(in crate::kinds) fn overcommits(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

fn parsed(amount: &Place<'_>) -> Option<Quantity> {
    Quantity::parse(amount.text()).ok()
}

pub(super) fn is_huge_page(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

/// Of Kubernetes' own.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Of somebody else's.
fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && check_qualified_name(&format!("requests.{name}")).is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::object::Object;

    fn wrong(resources: Value) -> Vec<String> {
        let mut object = Object::default();
        object.set(&["resources"], resources);
        let mut errors = Vec::new();
        requirements(&Place::at(&object, &["resources"]), container_resource, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn requests_stay_below_limits() {
        assert_eq!(
            wrong(json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1000m"}})),
            Vec::<String>::new()
        );
        assert_eq!(
            wrong(json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})),
            ["resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"]
        );
        assert_eq!(
            wrong(json!({"limits": {"example.com/gpu": "2"}, "requests": {"example.com/gpu": "1"}})),
            ["resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2"]
        );
        assert_eq!(
            wrong(json!({"requests": {"example.com/gpu": "1"}})),
            ["resources.limits: Required value: Limit must be set for non overcommitable resources"]
        );
    }

    #[test]
    fn amounts_and_names_are_checked() {
        assert_eq!(
            wrong(json!({"limits": {"memory": "-1"}})),
            ["resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0"]
        );
        assert_eq!(
            wrong(json!({"limits": {"gpu": "1"}})),
            [
                "resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
                "resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
            ]
        );
        assert_eq!(
            wrong(json!({"limits": {"example.com/gpu": "1500m"}})),
            ["resources.limits[example.com/gpu]: Invalid value: \"1500m\": must be an integer"]
        );
        assert_eq!(
            wrong(json!({"limits": {"hugepages-2Mi": "4Mi"}})),
            ["resources: Forbidden: HugePages require cpu or memory"]
        );
    }
}
