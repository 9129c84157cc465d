//! How much of the machine containers and pods may use, in the kernel's terms. Pure; upstream's formulas.

use k8s_openapi::api::core::v1::{Container, Pod};
use keelson_proto::cri::v1::LinuxContainerResources;

use crate::cgroups::Version;
use crate::pod::{qos, spec};
use crate::quantity::{self, Resources};

/// The weight of one CPU.
const SHARES_PER_CPU: i64 = 1024;
const MIN_SHARES: i64 = 2;
const MAX_SHARES: i64 = 262_144;

/// In which a quota is counted, in microseconds.
pub(crate) const QUOTA_PERIOD: i64 = 100_000;
const MIN_QUOTA: i64 = 1000;

/// The limits of one container on a node with so much memory.
pub(crate) fn of_container(
    pod: &Pod,
    container: &Container,
    node_memory: i64,
    version: Version,
) -> LinuxContainerResources {
    let bounds = bounds(container);
    let memory = bounds.memory_bytes.unwrap_or(0);
    let mut resources = LinuxContainerResources {
        cpu_shares: bounds.cpu_shares,
        cpu_quota: bounds.cpu_quota.unwrap_or(0),
        cpu_period: bounds.cpu_quota.map_or(0, |_| QUOTA_PERIOD),
        memory_limit_in_bytes: memory,
        oom_score_adj: qos::oom_score_adjustment(pod, container, node_memory),
        ..LinuxContainerResources::default()
    };
    if version == Version::V2 {
        // Processes of one container end together, and do not move to swap.
        resources.unified.insert("memory.oom.group".to_owned(), "1".to_owned());
        resources.memory_swap_limit_in_bytes = memory;
    }
    resources
}

/// What bounds a container, or all containers of a pod together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) cpu_shares: i64,
    /// In microseconds of [`QUOTA_PERIOD`].
    pub(crate) cpu_quota: Option<i64>,
    pub(crate) memory_bytes: Option<i64>,
}

/// The bounds of a container.
pub(crate) fn bounds(container: &Container) -> Bounds {
    let (requests, limits) = (qos::requests(container), qos::limits(container));
    Bounds {
        cpu_shares: shares(requested_cpu(requests, limits)),
        cpu_quota: quota(quantity::thousandths_of(limits, "cpu")),
        memory_bytes: Some(quantity::units_of(limits, "memory")).filter(|bytes| *bytes > 0),
    }
}

/// The bounds of a pod: its requests; and its limits, where every container has one.
pub(crate) fn of_pod(pod: &Pod) -> Bounds {
    let cpu_request = pod_request(pod, "cpu", quantity::thousandths_of);
    let limit = |resource, amount: fn(Option<&Resources>, &str) -> i64| pod_limit(pod, resource, amount);
    let cpu_shares = match qos::Class::of(pod) {
        qos::Class::BestEffort => MIN_SHARES,
        qos::Class::Guaranteed | qos::Class::Burstable => shares(cpu_request),
    };
    Bounds {
        cpu_shares,
        cpu_quota: limit("cpu", quantity::thousandths_of).and_then(quota),
        memory_bytes: limit("memory", quantity::units_of),
    }
}

/// How much of a resource the pod asks for: what its containers ask for together, or, if that is more, what its init
/// containers need while they run; sidecars go on running beside those after them.
pub(crate) fn pod_request(pod: &Pod, name: &str, amount: fn(Option<&Resources>, &str) -> i64) -> i64 {
    let spec = spec::spec(pod);
    let overhead = amount(spec.overhead.as_ref(), name);
    let of_pod =
        spec.resources.as_ref().and_then(|it| it.requests.as_ref()).filter(|it| it.contains_key(name));
    if let Some(requests) = of_pod {
        return amount(Some(requests), name).saturating_add(overhead);
    }
    together(pod, |container| amount(qos::requests(container), name)).saturating_add(overhead)
}

fn pod_limit(pod: &Pod, name: &str, amount: fn(Option<&Resources>, &str) -> i64) -> Option<i64> {
    let of_pod = spec::spec(pod).resources.as_ref().and_then(|it| it.limits.as_ref());
    if of_pod.is_some_and(|limits| limits.contains_key(name)) {
        return Some(amount(of_pod, name));
    }
    let sidecars = spec::init_containers(pod).iter().filter(|it| spec::is_sidecar(it));
    let mut all = sidecars.chain(spec::containers(pod));
    all.all(|container| amount(qos::limits(container), name) > 0)
        .then(|| together(pod, |container| amount(qos::limits(container), name)))
}

fn together(pod: &Pod, amount: impl Fn(&Container) -> i64) -> i64 {
    let main: i64 = spec::containers(pod).iter().map(&amount).fold(0, i64::saturating_add);
    let (mut sidecars, mut peak) = (0_i64, 0_i64);
    for container in spec::init_containers(pod) {
        let own = amount(container);
        if spec::is_sidecar(container) {
            sidecars = sidecars.saturating_add(own);
            peak = peak.max(sidecars);
        } else {
            peak = peak.max(sidecars.saturating_add(own));
        }
    }
    main.saturating_add(sidecars).max(peak)
}

/// What is not requested and limited counts as requested.
fn requested_cpu(requests: Option<&Resources>, limits: Option<&Resources>) -> i64 {
    match requests.and_then(|all| all.get("cpu")) {
        Some(request) if quantity::is_positive(request) => quantity::thousandths(request),
        Some(_) | None => quantity::thousandths_of(limits, "cpu"),
    }
}

/// The weight of so many thousandths of a CPU.
pub(crate) fn shares(milli_cpu: i64) -> i64 {
    (i128::from(milli_cpu) * i128::from(SHARES_PER_CPU) / 1000)
        .clamp(MIN_SHARES.into(), MAX_SHARES.into())
        .try_into()
        .unwrap_or(MAX_SHARES)
}

fn quota(milli_cpu: i64) -> Option<i64> {
    (milli_cpu > 0).then(|| (milli_cpu.saturating_mul(QUOTA_PERIOD) / 1000).max(MIN_QUOTA))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::pod;

    fn of(resources: &Value, version: Version) -> LinuxContainerResources {
        let pod = pod(json!({"containers": [{"name": "a", "resources": resources}]}));
        of_container(&pod, &spec::containers(&pod)[0], 1 << 30, version)
    }

    #[test]
    fn a_container_without_wishes_gets_the_least_weight_and_no_bounds() {
        let expected = LinuxContainerResources { cpu_shares: 2, oom_score_adj: 1000, ..Default::default() };
        assert_eq!(of(&json!({}), Version::V1), expected);
    }

    #[test]
    fn requests_are_weights_and_limits_are_bounds() {
        let wishes = json!({"requests": {"cpu": "250m"}, "limits": {"cpu": "1500m", "memory": "64Mi"}});
        let resources = of(&wishes, Version::V1);
        assert_eq!(
            (resources.cpu_shares, resources.cpu_quota, resources.cpu_period),
            (256, 150_000, 100_000)
        );
        assert_eq!((resources.memory_limit_in_bytes, resources.memory_swap_limit_in_bytes), (67_108_864, 0));
        let resources = of(&wishes, Version::V2);
        assert_eq!(resources.memory_swap_limit_in_bytes, 67_108_864);
        assert_eq!(resources.unified["memory.oom.group"], "1");
    }

    #[test]
    fn a_limit_without_a_request_is_the_request() {
        assert_eq!(of(&json!({"limits": {"cpu": "2"}}), Version::V1).cpu_shares, 2048);
    }

    #[test]
    fn weights_and_quotas_have_a_least_and_a_most() {
        assert_eq!((shares(0), shares(1), shares(1000), shares(i64::MAX)), (2, 2, 1024, 262_144));
        assert_eq!((quota(0), quota(1), quota(1000)), (None, Some(1000), Some(100_000)));
    }

    #[test]
    fn a_pod_is_bounded_only_if_all_its_containers_are() {
        let pod_of = |second: Value| {
            pod(json!({"containers": [
                {"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Mi"}, "requests": {"cpu": "500m"}}},
                {"name": "b", "resources": second},
            ]}))
        };
        let expected = Bounds { cpu_shares: 512, cpu_quota: None, memory_bytes: None };
        assert_eq!(of_pod(&pod_of(json!({}))), expected);
        let bounded = pod_of(json!({"limits": {"cpu": "1", "memory": "3Mi"}, "requests": {"cpu": "500m"}}));
        let expected = Bounds { cpu_shares: 1024, cpu_quota: Some(200_000), memory_bytes: Some(4 << 20) };
        assert_eq!(of_pod(&bounded), expected);
    }

    #[test]
    fn init_containers_need_their_share_for_a_while_and_sidecars_for_good() {
        let cpu = |name: &str, cpu: &str, policy: Value| json!({"name": name, "restartPolicy": policy, "resources": {"requests": {"cpu": cpu}}});
        let request = |init: Value| {
            let pod = pod(json!({"initContainers": init, "containers": [cpu("a", "1", Value::Null)]}));
            pod_request(&pod, "cpu", quantity::thousandths_of)
        };
        assert_eq!(request(json!([])), 1000);
        assert_eq!(request(json!([cpu("i", "500m", Value::Null)])), 1000);
        assert_eq!(request(json!([cpu("i", "3", Value::Null)])), 3000);
        assert_eq!(request(json!([cpu("s", "500m", json!("Always"))])), 1500);
        assert_eq!(request(json!([cpu("s", "500m", json!("Always")), cpu("i", "2", Value::Null)])), 2500);
    }
}
