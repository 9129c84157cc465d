//! Which pods go first when a ReplicaSet has too many: pure.
//!
//! In: active pods, those of related ReplicaSets, and the time. Out: the pods of least worth. Upstream's criteria in
//! upstream's order. One difference: upstream looks at uids as soon as two pods became ready in about the same time,
//! but only if not in the same second, which orders three pods in a circle; here uids decide last.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::{ContainerStatus, DELETION_COST, Pod};

use crate::pod_state;

/// The `count` pods that go first. `related` are pods of this and other sets with the same controller: where several
/// of them share a node, one of them is missed least.
pub(super) fn worst(
    mut pods: Vec<Arc<Pod>>,
    related: &[Arc<Pod>],
    count: usize,
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    if count < pods.len() {
        let crowds = crowds(related);
        pods.sort_by_cached_key(|pod| worth(pod, &crowds, now));
        pods.truncate(count);
    }
    pods
}

/// How many active pods each node has.
fn crowds(related: &[Arc<Pod>]) -> HashMap<&str, usize> {
    let mut crowds = HashMap::new();
    for pod in related.iter().filter(|pod| pod_state::is_active(pod)) {
        *crowds.entry(node(pod)).or_default() += 1;
    }
    crowds
}

/// What a pod is worth: the first difference decides.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    assigned: bool,
    phase: u8,
    ready: bool,
    deletion_cost: i32,
    alone_on_node: Reverse<usize>,
    ready_for: Age,
    stable: (Reverse<i32>, Reverse<i32>),
    created: Age,
    /// Stands for chance: which of two equals goes does not depend on their names.
    uid: String,
}

/// How long ago, in powers of two nanoseconds, so that pods of about the same age count as equals. `None`: unknown.
type Age = Option<i64>;

fn worth(pod: &Pod, crowds: &HashMap<&str, usize>, now: Timestamp) -> Worth {
    let node = node(pod);
    Worth {
        assigned: !node.is_empty(),
        phase: match pod_state::phase(pod) {
            "Unknown" => 1,
            "Running" => 2,
            _ => 0,
        },
        ready: pod_state::is_ready(pod),
        deletion_cost: deletion_cost(pod),
        alone_on_node: Reverse(crowds.get(node).copied().unwrap_or(0)),
        ready_for: pod_state::ready_since(pod).map(|since| magnitude(since, now)),
        stable: restarts(pod),
        created: pod.metadata.creation_timestamp.as_ref().map(|time| magnitude(time.0, now)),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    }
}

fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

fn magnitude(since: Timestamp, now: Timestamp) -> i64 {
    let nanoseconds = now.as_nanosecond() - since.as_nanosecond();
    u128::try_from(nanoseconds).ok().and_then(u128::checked_ilog2).map_or(-1, i64::from)
}

/// What the annotation says; nothing if it says no decimal number in its usual form.
fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    let Some(text) = annotations.and_then(|annotations| annotations.get(DELETION_COST)) else { return 0 };
    let usual = text == "0" || text.starts_with(|first: char| matches!(first, '-' | '1'..='9'));
    text.parse().ok().filter(|_| usual).unwrap_or(0)
}

/// The most restarts of one container, and of one sidecar.
fn restarts(pod: &Pod) -> (Reverse<i32>, Reverse<i32>) {
    let status = pod.status.as_ref();
    let most = |statuses: Option<&Vec<ContainerStatus>>, counts: &dyn Fn(&str) -> bool| {
        let counted = statuses.into_iter().flatten().filter(|status| counts(&status.name));
        Reverse(counted.map(|status| status.restart_count).max().unwrap_or(0))
    };
    let sidecars: Vec<&str> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten())
        .filter(|container| container.restart_policy.as_deref() == Some("Always"))
        .map(|container| container.name.as_str())
        .collect();
    (
        most(status.and_then(|status| status.container_statuses.as_ref()), &|_| true),
        most(status.and_then(|status| status.init_container_statuses.as_ref()), &|name| {
            sidecars.contains(&name)
        }),
    )
}

#[cfg(test)]
mod tests;
