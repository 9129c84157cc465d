//! What is wrong with the resources that containers and pods ask for, and that nodes have.
//!
//! Source: `pkg/apis/core/validation` and `pkg/apis/core/helper`.

use keelson_api_schema::{format::check_qualified_name, quantity::Quantity};

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

/// The `resources` of a container or a pod.
pub(super) fn requirements(resources: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (limits, requests) = (resources.child("limits"), resources.child("requests"));
    for (name, amount) in limits.entries().chain(requests.entries()) {
        container_resource(name, &amount, errors);
        quantity(name, &amount, errors);
    }
    for (name, amount) in requests.entries() {
        within_limit(name, &amount, &requests, &limits, errors);
    }
    let names = || limits.entries().chain(requests.entries()).map(|(name, _)| name);
    if names().any(is_huge_page) && !names().any(|name| matches!(name, "cpu" | "memory")) {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
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
        if !STANDARD.contains(&name) && !is_huge_page(name) {
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

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
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
        requirements(&Place::at(&object, &["resources"]), &mut errors);
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
