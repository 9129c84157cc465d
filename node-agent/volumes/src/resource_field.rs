//! `resourceFieldRef`: requests and limits of a container as numbers. Pure.
//!
//! In: a selector such as `limits.memory` with a divisor, the Pod, the node. Out: the number, rounded up. A limit that
//! the container does not set is the Pod's own, or what the node can give.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceFieldSelector, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{
    container::containers,
    node::Node,
    quantity::{Amount, divided_up},
};

/// The number that the selector asks for; `own` is the container that asks, if one does.
pub(crate) fn resource_field(
    selector: &ResourceFieldSelector,
    pod: &Pod,
    own: Option<&Container>,
    node: &Node,
) -> Result<String, String> {
    let container = match (selector.container_name.as_deref().unwrap_or_default(), own) {
        ("", Some(own)) => own,
        (name, _) => containers(pod)
            .find(|container| container.name == name)
            .ok_or_else(|| format!("container {name} not found"))?,
    };
    let unsupported = || format!("Unsupported container resource : {}", selector.resource);
    let (side, resource) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let known =
        matches!(resource, "cpu" | "memory" | "ephemeral-storage") || resource.starts_with("hugepages-");
    let amount = match side {
        "limits" if known => limit(container, pod, resource, node),
        "requests" if known => {
            set(container.resources.as_ref().and_then(|it| it.requests.as_ref()), resource)
        }
        _ => return Err(unsupported()),
    };
    let divisor = selector.divisor.as_ref().map(Amount::of).filter(|divisor| !divisor.is_zero());
    Ok(divided(amount.unwrap_or_default(), divisor, resource).to_string())
}

fn divided(amount: Amount, divisor: Option<Amount>, resource: &str) -> i128 {
    match (resource, divisor) {
        ("cpu", None) => divided_up(amount.milli().into(), 1000),
        ("cpu", Some(divisor)) => divided_up(amount.milli().into(), divisor.milli().into()),
        (_, None) => amount.units().into(),
        (_, Some(divisor)) => divided_up(amount.units().into(), divisor.units().into()),
    }
}

fn limit(container: &Container, pod: &Pod, resource: &str, node: &Node) -> Option<Amount> {
    let limits =
        |resources: Option<&ResourceRequirements>| set(resources.and_then(|it| it.limits.as_ref()), resource);
    let own = limits(container.resources.as_ref());
    if resource.starts_with("hugepages-") {
        return own;
    }
    let of_pod = || limits(pod.spec.as_ref().and_then(|spec| spec.resources.as_ref()));
    own.or_else(of_pod).or_else(|| set(Some(&node.allocatable), resource))
}

fn set(list: Option<&BTreeMap<String, Quantity>>, resource: &str) -> Option<Amount> {
    list?.get(resource).map(Amount::of).filter(|amount| !amount.is_zero())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(selector: Value, pod_level: &Value) -> Result<String, String> {
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "resources": pod_level,
            "initContainers": [{"name": "i", "resources": {"limits": {"cpu": "3"}}}],
            "containers": [{"name": "c", "resources": {
                "limits": {"cpu": "1250m", "memory": "64Mi", "hugepages-2Mi": "4Mi"},
                "requests": {"cpu": "100m", "memory": "33000001", "ephemeral-storage": "1Gi", "hugepages-2Mi": "2Mi"},
            }}, {"name": "bare", "resources": {"limits": {"cpu": "0"}}}],
        }}))
        .unwrap();
        let allocatable = [("cpu", "4"), ("memory", "1Gi"), ("ephemeral-storage", "10G")];
        let allocatable = allocatable.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())));
        let node = Node { allocatable: allocatable.into(), ..Node::default() };
        let own = &pod.spec.as_ref().unwrap().containers[0];
        resource_field(&serde_json::from_value(selector).unwrap(), &pod, Some(own), &node)
    }

    #[test]
    fn requests_and_limits_are_divided_and_rounded_up() {
        for (resource, divisor, text) in [
            ("limits.cpu", "0", "2"),
            ("limits.cpu", "1m", "1250"),
            ("limits.cpu", "1", "2"),
            ("requests.cpu", "1m", "100"),
            ("limits.memory", "1Mi", "64"),
            ("limits.memory", "0", "67108864"),
            ("requests.memory", "1M", "34"),
            ("requests.ephemeral-storage", "1Mi", "1024"),
            ("limits.ephemeral-storage", "1G", "10"),
            ("limits.hugepages-2Mi", "1Mi", "4"),
            ("requests.hugepages-2Mi", "0", "2097152"),
            ("limits.hugepages-1Gi", "0", "0"),
        ] {
            let read = read(json!({"resource": resource, "divisor": divisor}), &Value::Null);
            assert_eq!(read.as_deref(), Ok(text), "{resource} by {divisor}");
        }
    }

    #[test]
    fn a_limit_that_is_not_set_is_the_pods_or_the_nodes() {
        let of_bare = |resource: &str, pod_level: &Value| {
            read(json!({"resource": resource, "containerName": "bare"}), pod_level).unwrap()
        };
        assert_eq!(of_bare("limits.cpu", &Value::Null), "4");
        assert_eq!(of_bare("limits.memory", &Value::Null), "1073741824");
        assert_eq!(of_bare("requests.memory", &Value::Null), "0", "requests have no such default");
        assert_eq!(of_bare("limits.memory", &json!({"limits": {"memory": "1Mi"}})), "1048576");
    }

    #[test]
    fn another_container_may_be_named_and_must_exist() {
        assert_eq!(
            read(json!({"resource": "limits.cpu", "containerName": "i"}), &Value::Null).as_deref(),
            Ok("3")
        );
        assert_eq!(
            read(json!({"resource": "limits.cpu", "containerName": "x"}), &Value::Null),
            Err("container x not found".to_owned())
        );
    }

    #[test]
    fn other_resources_are_refused() {
        for resource in ["limits.gpu", "cpu", "claims.cpu", "requests."] {
            assert_eq!(
                read(json!({"resource": resource}), &Value::Null),
                Err(format!("Unsupported container resource : {resource}"))
            );
        }
    }
}
