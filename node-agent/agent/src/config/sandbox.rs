//! The configuration of a pod's sandbox. Pure.

use std::collections::HashMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{ContainerPort, Pod};
use keelson_proto::cri::v1::{
    DnsConfig, LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata, PortMapping, Protocol,
};

use super::security;
use crate::pod::spec;
use crate::runtime::labels;

/// What the sandbox is made of, besides the pod.
pub(crate) struct Parts<'a> {
    /// Which sandbox of the pod it is, from 0.
    pub(crate) attempt: u32,
    /// The name that the kernel gets; empty on the node's network.
    pub(crate) hostname: String,
    pub(crate) dns: DnsConfig,
    /// Where its containers' logs go.
    pub(crate) log_directory: &'a Path,
    /// The control group that its containers' lie in.
    pub(crate) cgroup_parent: String,
}

/// The configuration.
pub(crate) fn config(pod: &Pod, parts: Parts<'_>) -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: spec::name(pod).to_owned(),
            uid: spec::uid(pod).to_owned(),
            namespace: spec::namespace(pod).to_owned(),
            attempt: parts.attempt,
        }),
        hostname: parts.hostname,
        log_directory: parts.log_directory.to_string_lossy().into_owned(),
        dns_config: Some(parts.dns),
        port_mappings: port_mappings(pod),
        labels: labels::of_sandbox(pod),
        annotations: labels::annotations_of_sandbox(pod),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: parts.cgroup_parent,
            security_context: Some(security::of_sandbox(pod)),
            sysctls: sysctls(pod),
            ..LinuxPodSandboxConfig::default()
        }),
        windows: None,
    }
}

/// Ports of the node that lead to the pod. On the node's network a port is its own.
fn port_mappings(pod: &Pod) -> Vec<PortMapping> {
    if spec::is_host_network(pod) {
        return Vec::new();
    }
    let sidecars = spec::init_containers(pod).iter().filter(|it| spec::is_sidecar(it));
    let ports = sidecars.chain(spec::containers(pod)).flat_map(|it| it.ports.iter().flatten());
    ports.filter_map(mapping).collect()
}

fn mapping(port: &ContainerPort) -> Option<PortMapping> {
    let host_port = port.host_port.filter(|port| *port > 0)?;
    Some(PortMapping {
        protocol: protocol(port).into(),
        container_port: port.container_port,
        host_port,
        host_ip: port.host_ip.clone().unwrap_or_default(),
    })
}

fn protocol(port: &ContainerPort) -> Protocol {
    match port.protocol.as_deref() {
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        Some(_) | None => Protocol::Tcp,
    }
}

fn sysctls(pod: &Pod) -> HashMap<String, String> {
    let context = spec::spec(pod).security_context.as_ref();
    let all = context.into_iter().flat_map(|it| it.sysctls.iter().flatten());
    // Both ways of writing a name are allowed; the runtime wants dots.
    all.map(|sysctl| (dotted(&sysctl.name), sysctl.value.clone())).collect()
}

/// A sysctl's name with dots: `net/ipv4/tcp_syncookies` and `net.ipv4.tcp_syncookies` are the same. The separator is
/// the one that comes first; the other one is then part of a name.
pub(crate) fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name[at..].starts_with('/') => name
            .chars()
            .map(|it| match it {
                '/' => '.',
                '.' => '/',
                other => other,
            })
            .collect(),
        Some(_) | None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::pod;

    fn parts() -> Parts<'static> {
        Parts {
            attempt: 2,
            hostname: "web".into(),
            dns: DnsConfig::default(),
            log_directory: Path::new("/logs/shop_web_uid-1"),
            cgroup_parent: "/k/kubepods/besteffort/poduid-1".into(),
        }
    }

    #[test]
    fn the_sandbox_says_whose_it_is() {
        let config = config(&pod(json!({"containers": []})), parts());
        let metadata = config.metadata.unwrap();
        assert_eq!((metadata.name.as_str(), metadata.namespace.as_str()), ("web", "shop"));
        assert_eq!((metadata.uid.as_str(), metadata.attempt), ("uid-1", 2));
        assert_eq!(config.labels["io.kubernetes.pod.uid"], "uid-1");
        assert_eq!(config.log_directory, "/logs/shop_web_uid-1");
        assert_eq!(config.linux.unwrap().cgroup_parent, "/k/kubepods/besteffort/poduid-1");
    }

    #[test]
    fn ports_of_the_node_are_mapped_unless_the_pod_is_on_its_network() {
        let spec = json!({"containers": [{"name": "a", "ports": [
            {"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"},
            {"containerPort": 53, "hostPort": 53, "protocol": "UDP"},
            {"containerPort": 81},
        ]}]});
        let mappings = config(&pod(spec.clone()), parts()).port_mappings;
        let facts: Vec<_> =
            mappings.iter().map(|it| (it.protocol(), it.host_port, it.container_port)).collect();
        assert_eq!(facts, [(Protocol::Tcp, 8080, 80), (Protocol::Udp, 53, 53)]);
        assert_eq!(mappings[0].host_ip, "127.0.0.1");
        let mut spec = spec;
        spec["hostNetwork"] = json!(true);
        assert_eq!(config(&pod(spec), parts()).port_mappings, []);
    }

    #[test]
    fn sysctls_are_written_with_dots() {
        assert_eq!(dotted("net.ipv4.conf.eno2/100.rp_filter"), "net.ipv4.conf.eno2/100.rp_filter");
        assert_eq!(dotted("net/ipv4/conf/eno2.100/rp_filter"), "net.ipv4.conf.eno2/100.rp_filter");
        assert_eq!(dotted("kernel.shm_rmid_forced"), "kernel.shm_rmid_forced");
    }
}
