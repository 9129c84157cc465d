//! How dear a pod is to its node: its class, and who is killed first when memory runs out. Pure, as upstream.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::spec;
use crate::quantity::{self, Resources};

/// The class of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Every container has limits for CPU and memory, and requests as much.
    Guaranteed,
    /// Some container requests or limits something.
    Burstable,
    /// Nobody asks for anything.
    BestEffort,
}

/// Priorities from here on belong to what the node cannot do without.
const SYSTEM_CRITICAL: i32 = 2_000_000_000;

/// The likelihood of being killed that the kernel is told for containers that shall live.
const GUARANTEED_ADJUSTMENT: i64 = -997;

/// And for those that go first.
const BEST_EFFORT_ADJUSTMENT: i64 = 1000;

impl Class {
    /// The API's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    /// The pod's class: what the API server found, else what the spec says.
    pub(crate) fn of(pod: &Pod) -> Self {
        match pod.status.as_ref().and_then(|status| status.qos_class.as_deref()) {
            Some("Guaranteed") => Self::Guaranteed,
            Some("Burstable") => Self::Burstable,
            Some("BestEffort") => Self::BestEffort,
            Some(_) | None => Self::computed(pod),
        }
    }

    fn computed(pod: &Pod) -> Self {
        let of_pod = spec::spec(pod).resources.as_ref();
        if let Some(resources) = of_pod.filter(|it| it.requests.is_some() || it.limits.is_some()) {
            return Self::from_demands(
                [(resources.requests.as_ref(), resources.limits.as_ref())].into_iter(),
            );
        }
        let all = spec::init_containers(pod).iter().chain(spec::containers(pod));
        Self::from_demands(all.map(|container| (requests(container), limits(container))))
    }

    fn from_demands<'a>(
        demands: impl Iterator<Item = (Option<&'a Resources>, Option<&'a Resources>)>,
    ) -> Self {
        let (mut asks, mut is_bounded) = (false, true);
        for (requests, limits) in demands {
            for resource in ["cpu", "memory"] {
                let requested = quantity::thousandths_of(requests, resource);
                let limited = quantity::thousandths_of(limits, resource);
                asks |= requested > 0 || limited > 0;
                is_bounded &= limited > 0 && (requested == 0 || requested == limited);
            }
        }
        match (asks, is_bounded) {
            (false, _) => Self::BestEffort,
            (true, true) => Self::Guaranteed,
            (true, false) => Self::Burstable,
        }
    }
}

/// What a container asks for.
pub(crate) fn requests(container: &Container) -> Option<&Resources> {
    container.resources.as_ref()?.requests.as_ref()
}

/// What a container may have.
pub(crate) fn limits(container: &Container) -> Option<&Resources> {
    container.resources.as_ref()?.limits.as_ref()
}

/// Whether the node cannot do without the pod.
pub(crate) fn is_critical(pod: &Pod) -> bool {
    spec::spec(pod).priority.is_some_and(|priority| priority >= SYSTEM_CRITICAL)
}

/// The kernel's `oom_score_adj` for a container on a node with so much memory.
pub(crate) fn oom_score_adjustment(pod: &Pod, container: &Container, memory_bytes: i64) -> i64 {
    let is_sidecar =
        spec::init_containers(pod).iter().any(|it| it.name == container.name && spec::is_sidecar(it));
    let own = own_adjustment(pod, container, memory_bytes);
    if !is_sidecar {
        return own;
    }
    // A sidecar is not killed before those that it serves.
    let served = spec::containers(pod).iter().map(|it| own_adjustment(pod, it, memory_bytes));
    served.min().map_or(own, |least| own.min(least))
}

fn own_adjustment(pod: &Pod, container: &Container, memory_bytes: i64) -> i64 {
    if is_critical(pod) {
        return GUARANTEED_ADJUSTMENT;
    }
    match Class::of(pod) {
        Class::Guaranteed => GUARANTEED_ADJUSTMENT,
        Class::BestEffort => BEST_EFFORT_ADJUSTMENT,
        Class::Burstable => {
            let requested = quantity::units_of(requests(container), "memory");
            let share = i128::from(requested) * 1000 / i128::from(memory_bytes.max(1));
            let adjustment = 1000 - i64::try_from(share).unwrap_or(1000);
            adjustment.clamp(1000 + GUARANTEED_ADJUSTMENT, BEST_EFFORT_ADJUSTMENT - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::pod;

    fn pod_with(resources: &[Value]) -> Pod {
        let containers: Vec<Value> = resources
            .iter()
            .enumerate()
            .map(|(index, resources)| json!({"name": format!("c{index}"), "resources": resources}))
            .collect();
        pod(json!({"containers": containers}))
    }

    #[test]
    fn the_class_follows_from_requests_and_limits() {
        let both = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
        for (resources, class) in [
            (vec![json!({})], Class::BestEffort),
            (vec![json!({"requests": {"example.com/gpu": "1"}})], Class::BestEffort),
            (vec![json!({"requests": {"cpu": "0"}})], Class::BestEffort),
            (vec![both.clone()], Class::Guaranteed),
            (vec![both.clone(), json!({})], Class::Burstable),
            (
                vec![json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})],
                Class::Burstable,
            ),
            (vec![json!({"limits": {"cpu": "1"}})], Class::Burstable),
            (vec![json!({"requests": {"memory": "1Mi"}})], Class::Burstable),
        ] {
            assert_eq!(Class::of(&pod_with(&resources)), class, "{resources:?}");
        }
    }

    #[test]
    fn the_api_servers_word_counts() {
        let mut pod = pod_with(&[json!({})]);
        pod.status = serde_json::from_value(json!({"qosClass": "Guaranteed"})).unwrap();
        assert_eq!(Class::of(&pod), Class::Guaranteed);
    }

    #[test]
    fn who_asks_for_more_memory_is_killed_later() {
        let gibibyte = 1 << 30;
        let adjustment = |resources: Value| {
            let pod = pod_with(&[resources]);
            oom_score_adjustment(&pod, &spec::containers(&pod)[0], gibibyte)
        };
        assert_eq!(adjustment(json!({})), 1000);
        assert_eq!(adjustment(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), -997);
        assert_eq!(adjustment(json!({"requests": {"memory": "512Mi"}})), 500);
        assert_eq!(adjustment(json!({"requests": {"memory": "2Gi"}})), 3);
        assert_eq!(adjustment(json!({"requests": {"cpu": "1"}})), 999);
    }

    #[test]
    fn critical_pods_and_sidecars_are_spared() {
        let mut pod = pod(json!({
            "initContainers": [{"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "a", "resources": {"requests": {"memory": "512Mi"}}}, {"name": "b"}],
        }));
        let sidecar = spec::init_containers(&pod)[0].clone();
        assert_eq!(oom_score_adjustment(&pod, &sidecar, 1 << 30), 500);
        pod.spec.as_mut().unwrap().priority = Some(SYSTEM_CRITICAL);
        assert!(is_critical(&pod));
        assert_eq!(oom_score_adjustment(&pod, &sidecar, 1 << 30), -997);
    }
}
