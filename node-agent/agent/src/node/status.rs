//! What the API is told about the node. Pure.

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus,
    NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::conditions::{self, Health, Turn};
use super::facts::Facts;
use super::thresholds::{EvictionThresholds, Threshold};
use crate::quantity::{self, Resources};

/// A status is told at least so often, even if nothing has changed.
pub(crate) const REPORT_PERIOD: Duration = Duration::from_secs(300);

/// The version of Kubernetes that the agent is like.
pub(crate) const VERSION: &str = concat!("v1.37.0+keelson", env!("CARGO_PKG_VERSION"));

/// What a status follows from.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) name: &'a str,
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) port: u16,
    pub(crate) facts: &'a Facts,
    pub(crate) max_pods: u32,
    /// What is kept for the machine itself.
    pub(crate) reserved: &'a Resources,
    /// What has to be left.
    pub(crate) thresholds: &'a EvictionThresholds,
    /// The runtime's name and version, once it is known.
    pub(crate) runtime: Option<&'a (String, String)>,
    pub(crate) images: &'a [ContainerImage],
    pub(crate) health: Health<'a>,
    /// What was told before, and what others have added to it.
    pub(crate) old: &'a NodeStatus,
    pub(crate) now: Timestamp,
}

/// The status, and which conditions have turned.
pub(crate) fn compute(input: &Input<'_>) -> (NodeStatus, Vec<Turn>) {
    let old_conditions = input.old.conditions.as_deref().unwrap_or_default();
    let (conditions, turns) = conditions::conditions(&input.health, old_conditions, input.now);
    let mut capacity = capacity(input.facts, input.max_pods);
    capacity.extend(extended(input.old));
    let status = NodeStatus {
        addresses: Some(addresses(input)),
        allocatable: Some(allocatable(&capacity, input)),
        capacity: Some(capacity),
        conditions: Some(conditions),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: input.port.into() }),
        }),
        images: Some(input.images.to_vec()),
        node_info: Some(info(input)),
        ..NodeStatus::default()
    };
    (status, turns)
}

fn addresses(input: &Input<'_>) -> Vec<NodeAddress> {
    let internal = input
        .addresses
        .iter()
        .map(|ip| NodeAddress { type_: "InternalIP".to_owned(), address: ip.to_string() });
    let name = NodeAddress { type_: "Hostname".to_owned(), address: input.name.to_owned() };
    internal.chain([name]).collect()
}

fn capacity(facts: &Facts, max_pods: u32) -> Resources {
    let amounts = [
        ("cpu", Quantity(facts.cpus.to_string())),
        ("memory", quantity::of_bytes(facts.memory_bytes)),
        ("ephemeral-storage", quantity::of_bytes(facts.disk_bytes)),
        ("pods", Quantity(max_pods.to_string())),
    ];
    amounts.into_iter().map(|(name, amount)| (name.to_owned(), amount)).collect()
}

/// What others say that the node has, by names that are theirs: `example.com/dongle`. Pods may have all of it.
fn extended(old: &NodeStatus) -> Resources {
    let known = old.capacity.iter().flatten();
    let theirs = known.filter(|(name, _)| name.contains('/') && !name.contains("kubernetes.io/"));
    theirs.map(|(name, amount)| (name.clone(), amount.clone())).collect()
}

/// What pods may have: the capacity without what is reserved, and without what would put the node under pressure.
fn allocatable(capacity: &Resources, input: &Input<'_>) -> Resources {
    let Input { facts, reserved, thresholds, .. } = input;
    let mut allocatable = capacity.clone();
    let cpu = i64::from(facts.cpus) * 1000 - quantity::thousandths_of(Some(reserved), "cpu");
    allocatable.insert("cpu".to_owned(), quantity::of_thousandths(cpu.max(0)));
    let mut bytes = |name: &str, all: u64, threshold: Threshold| {
        let reserved = u64::try_from(quantity::units_of(Some(reserved), name)).unwrap_or(0);
        let left = all.saturating_sub(reserved).saturating_sub(threshold.of(all));
        allocatable.insert(name.to_owned(), quantity::of_bytes(left));
    };
    bytes("memory", facts.memory_bytes, thresholds.memory);
    bytes("ephemeral-storage", facts.disk_bytes, thresholds.disk);
    allocatable
}

fn info(input: &Input<'_>) -> NodeSystemInfo {
    let facts = input.facts;
    let runtime = input.runtime.map(|(name, version)| format!("{name}://{version}"));
    NodeSystemInfo {
        architecture: facts.architecture.to_owned(),
        boot_id: facts.boot_id.clone(),
        container_runtime_version: runtime.unwrap_or_default(),
        kernel_version: facts.kernel.clone(),
        kube_proxy_version: String::new(),
        kubelet_version: VERSION.to_owned(),
        machine_id: facts.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: facts.os_image.clone(),
        system_uuid: facts.system_uuid.clone(),
        ..NodeSystemInfo::default()
    }
}

/// The patch that turns `known` into `wanted`; `None` if nothing has changed but the time.
pub(crate) fn patch(known: &NodeStatus, wanted: &NodeStatus, is_due: bool) -> Option<Value> {
    let (old, new) = (object(known), object(wanted));
    let mut changes = Map::new();
    for key in ["allocatable", "capacity", "daemonEndpoints", "images", "nodeInfo"] {
        if old.get(key) != new.get(key) {
            changes.insert(key.to_owned(), new.get(key).cloned().unwrap_or(Value::Null));
        }
    }
    if old.get("addresses") != new.get("addresses") {
        let mut list = new.get("addresses").and_then(Value::as_array).cloned().unwrap_or_default();
        list.push(json!({"$patch": "replace"}));
        changes.insert("addresses".to_owned(), Value::Array(list));
    }
    let has_turned = wanted.conditions.iter().flatten().any(|it| is_news(known, it));
    if changes.is_empty() && !has_turned && !is_due {
        return None;
    }
    // All of them: a heartbeat is one of the whole node.
    changes.insert("conditions".to_owned(), new.get("conditions").cloned().unwrap_or_default());
    Some(json!({"status": changes}))
}

fn is_news(known: &NodeStatus, condition: &NodeCondition) -> bool {
    let old = known.conditions.iter().flatten().find(|it| it.type_ == condition.type_);
    let facts = |it: &NodeCondition| (it.status.clone(), it.reason.clone(), it.message.clone());
    old.is_none_or(|old| facts(old) != facts(condition))
}

fn object(status: &NodeStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::pressure::Pressure;
    use crate::testing::at;

    fn facts() -> Facts {
        Facts {
            cpus: 2,
            memory_bytes: 4 << 30,
            disk_bytes: 100 << 30,
            kernel: "6.1.0".into(),
            os_image: "Debian".into(),
            architecture: "amd64",
            ..Facts::default()
        }
    }

    fn of((name, amount): (&str, &str)) -> (String, Quantity) {
        (name.to_owned(), Quantity(amount.to_owned()))
    }

    fn status(obstacles: &[String], old: &[NodeCondition], now: i64) -> NodeStatus {
        let facts = facts();
        let runtime = ("containerd".to_owned(), "1.6.20".to_owned());
        let reserved = [("cpu".to_owned(), Quantity("100m".into()))].into();
        let addresses = ["172.31.0.21".parse().unwrap()];
        let old = NodeStatus {
            conditions: Some(old.to_vec()),
            capacity: Some(
                [("example.com/dongle", "3"), ("cpu", "64"), ("kubernetes.io/x", "1")].map(of).into(),
            ),
            ..NodeStatus::default()
        };
        let input = Input {
            name: "n1",
            addresses: &addresses,
            port: 10250,
            facts: &facts,
            max_pods: 110,
            reserved: &reserved,
            thresholds: &EvictionThresholds::default(),
            runtime: Some(&runtime),
            images: &[],
            health: Health { pressure: Pressure::default(), obstacles },
            old: &old,
            now: at(now),
        };
        compute(&input).0
    }

    #[test]
    fn the_status_tells_what_the_machine_is() {
        let status = serde_json::to_value(status(&[], &[], 0)).unwrap();
        let expected = json!({
            "cpu": "2", "memory": "4Gi", "ephemeral-storage": "100Gi", "pods": "110", "example.com/dongle": "3",
        });
        assert_eq!(status["capacity"], expected, "what others add stays, if the name is theirs");
        assert_eq!(status["allocatable"]["example.com/dongle"], "3");
        assert_eq!(status["allocatable"]["cpu"], "1900m");
        assert_eq!(status["allocatable"]["memory"], "3996Mi");
        assert_eq!(status["allocatable"]["ephemeral-storage"], "90Gi");
        assert_eq!(status["allocatable"]["pods"], "110");
        let addresses =
            json!([{"type": "InternalIP", "address": "172.31.0.21"}, {"type": "Hostname", "address": "n1"}]);
        assert_eq!(status["addresses"], addresses);
        assert_eq!(status["daemonEndpoints"]["kubeletEndpoint"]["Port"], 10250);
        assert_eq!(status["nodeInfo"]["containerRuntimeVersion"], "containerd://1.6.20");
        assert_eq!(status["nodeInfo"]["architecture"], "amd64");
    }

    #[test]
    fn only_news_is_told_and_a_heartbeat_now_and_then() {
        let known = status(&[], &[], 0);
        let later = status(&[], known.conditions.as_deref().unwrap(), 10);
        assert_eq!(patch(&known, &later, false), None);
        let due = patch(&known, &later, true).unwrap();
        assert_eq!(due["status"].as_object().unwrap().keys().collect::<Vec<_>>(), ["conditions"]);
        let ill = status(&["container runtime is down".into()], known.conditions.as_deref().unwrap(), 10);
        let patch = patch(&known, &ill, false).unwrap();
        assert_eq!(patch["status"]["conditions"][3]["message"], "container runtime is down");
    }

    #[test]
    fn addresses_are_replaced() {
        let known = NodeStatus::default();
        let patch = patch(&known, &status(&[], &[], 0), false).unwrap();
        assert_eq!(patch["status"]["addresses"][2], json!({"$patch": "replace"}));
    }
}
