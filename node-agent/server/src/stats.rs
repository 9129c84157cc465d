//! What the node, its pods and their containers use, as upstream's `/stats/summary` tells it.
//!
//! In: the numbers of the container runtime and of the system. Out: one document.
//!
//! Deliberately absent: rates, which are for whoever asks twice to compute; the images' file system; and everything
//! that neither the runtime nor `/proc` tells.

use std::sync::Arc;

use keelson_proto::cri::v1::{
    ContainerStats, CpuUsage, FilesystemUsage, MemoryUsage, NetworkUsage, PodSandboxStats, UInt64Value,
};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    answer::{self, Refusal, Response},
    chain::Node,
};

mod host;

use self::host::Host;

/// Answers with the summary.
pub(crate) async fn summary(node: &Arc<Node>) -> Result<Response, Refusal> {
    let sandboxes = node.containers.stats().await;
    let sandboxes = sandboxes.map_err(|error| Refusal::internal(error.to_string()))?;
    let host = tokio::task::spawn_blocking(Host::read)
        .await
        .map_err(|error| Refusal::internal(error.to_string()))?;
    let host =
        host.map_err(|error| Refusal::internal(format!("cannot read what this node uses: {error}")))?;
    let pods: Vec<Value> = sandboxes.iter().map(pod).collect();
    let mut own = host.value(OffsetDateTime::now_utc());
    own["nodeName"] = node.name.as_str().into();
    Ok(answer::json(&json!({"node": own, "pods": pods})))
}

fn pod(sandbox: &PodSandboxStats) -> Value {
    let metadata = sandbox.attributes.as_ref().and_then(|attributes| attributes.metadata.as_ref());
    let of = |text: fn(&keelson_proto::cri::v1::PodSandboxMetadata) -> &String| metadata.map(text);
    let mut pod = json!({
        "podRef": {
            "name": of(|metadata| &metadata.name),
            "namespace": of(|metadata| &metadata.namespace),
            "uid": of(|metadata| &metadata.uid),
        },
    });
    let Some(linux) = &sandbox.linux else { return pod };
    pod["containers"] = linux.containers.iter().map(container).collect();
    let parts = [
        ("cpu", linux.cpu.as_ref().map(cpu)),
        ("memory", linux.memory.as_ref().map(memory)),
        ("network", linux.network.as_ref().and_then(network)),
    ];
    add(&mut pod, parts);
    pod
}

fn container(stats: &ContainerStats) -> Value {
    let metadata = stats.attributes.as_ref().and_then(|attributes| attributes.metadata.as_ref());
    let mut container = json!({"name": metadata.map(|metadata| &metadata.name)});
    let parts = [
        ("cpu", stats.cpu.as_ref().map(cpu)),
        ("memory", stats.memory.as_ref().map(memory)),
        ("rootfs", stats.writable_layer.as_ref().map(file_system)),
    ];
    add(&mut container, parts);
    container
}

fn cpu(usage: &CpuUsage) -> Value {
    let numbers = [
        ("usageNanoCores", &usage.usage_nano_cores),
        ("usageCoreNanoSeconds", &usage.usage_core_nano_seconds),
    ];
    measured(usage.timestamp, &numbers)
}

fn memory(usage: &MemoryUsage) -> Value {
    let numbers = [
        ("availableBytes", &usage.available_bytes),
        ("usageBytes", &usage.usage_bytes),
        ("workingSetBytes", &usage.working_set_bytes),
        ("rssBytes", &usage.rss_bytes),
        ("pageFaults", &usage.page_faults),
        ("majorPageFaults", &usage.major_page_faults),
    ];
    measured(usage.timestamp, &numbers)
}

fn file_system(usage: &FilesystemUsage) -> Value {
    measured(usage.timestamp, &[("usedBytes", &usage.used_bytes), ("inodesUsed", &usage.inodes_used)])
}

fn network(usage: &NetworkUsage) -> Option<Value> {
    let interface = usage.default_interface.as_ref()?;
    let numbers = [
        ("rxBytes", &interface.rx_bytes),
        ("rxErrors", &interface.rx_errors),
        ("txBytes", &interface.tx_bytes),
        ("txErrors", &interface.tx_errors),
    ];
    let mut network = measured(usage.timestamp, &numbers);
    network["name"] = interface.name.as_str().into();
    Some(network)
}

/// Numbers that were measured at a time, in nanoseconds since 1970; those that were not are left out.
fn measured(timestamp: i64, numbers: &[(&str, &Option<UInt64Value>)]) -> Value {
    let mut values = Map::new();
    let time = OffsetDateTime::from_unix_timestamp_nanos(timestamp.into()).ok();
    if let Some(text) = time.and_then(|time| time.format(&Rfc3339).ok()) {
        values.insert("time".to_owned(), text.into());
    }
    for (name, number) in numbers {
        if let Some(number) = number {
            values.insert((*name).to_owned(), number.value.into());
        }
    }
    values.into()
}

fn add<const N: usize>(object: &mut Value, parts: [(&str, Option<Value>); N]) {
    for (name, part) in parts {
        if let Some(part) = part {
            object[name] = part;
        }
    }
}

#[cfg(test)]
mod tests {
    use keelson_proto::cri::v1::{
        ContainerAttributes, ContainerMetadata, LinuxPodSandboxStats, PodSandboxAttributes,
        PodSandboxMetadata,
    };

    use super::*;

    #[test]
    fn a_pod_is_told_in_upstreams_words() {
        let value = |value| Some(UInt64Value { value });
        let cpu =
            CpuUsage { timestamp: 1_500_000_000, usage_core_nano_seconds: value(7), usage_nano_cores: None };
        let metadata = ContainerMetadata { name: "app".into(), attempt: 0 };
        let attributes = ContainerAttributes { metadata: Some(metadata), ..Default::default() };
        let container = ContainerStats { attributes: Some(attributes), cpu: Some(cpu), ..Default::default() };
        let memory = MemoryUsage { working_set_bytes: value(5), ..Default::default() };
        let metadata =
            PodSandboxMetadata { name: "web".into(), uid: "u".into(), namespace: "shop".into(), attempt: 0 };
        let sandbox = PodSandboxStats {
            attributes: Some(PodSandboxAttributes { metadata: Some(metadata), ..Default::default() }),
            linux: Some(LinuxPodSandboxStats {
                cpu: Some(cpu),
                memory: Some(memory),
                containers: vec![container],
                ..Default::default()
            }),
            ..Default::default()
        };
        let cpu = json!({"time": "1970-01-01T00:00:01.5Z", "usageCoreNanoSeconds": 7});
        let expected = json!({
            "podRef": {"name": "web", "namespace": "shop", "uid": "u"},
            "containers": [{"name": "app", "cpu": cpu}],
            "cpu": cpu,
            "memory": {"time": "1970-01-01T00:00:00Z", "workingSetBytes": 5},
        });
        assert_eq!(pod(&sandbox), expected);
        assert_eq!(pod(&PodSandboxStats::default())["podRef"]["name"], Value::Null);
    }
}
