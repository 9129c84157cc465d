//! Flags checked and made plain: what a node is told when it starts.
//!
//! In: [`Flags`], text. Out: [`NodeOptions`], in which every combination makes sense, or an error that names the flag
//! and the cure. Pure, but for this machine's host name, which comes in as an argument.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use keelson_node_agent::EvictionThresholds;

use super::flags::{FileFlags, Flags, NetworkFlags, NodeFlags, PodFlags};
use crate::endpoint::{Endpoint, Scheme};
use crate::pod_network::PodNetwork;

/// The port of a node's own API; Kubernetes' own.
const PORT: u16 = 10_250;

/// The place of the DNS address in the Services' network, by custom.
const DNS_PLACE: u128 = 10;

/// What a node is told when it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodeOptions {
    pub(crate) name: String,
    /// The first is the primary one.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) servers: Vec<Endpoint>,
    pub(crate) data_dir: PathBuf,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) runtime_endpoint: PathBuf,
    pub(crate) images: Option<PathBuf>,
    pub(crate) cgroup_root: String,
    pub(crate) max_pods: u32,
    pub(crate) reserved: BTreeMap<String, Quantity>,
    pub(crate) eviction_hard: EvictionThresholds,
    pub(crate) cni_conf_dir: PathBuf,
    pub(crate) pod_network: PodNetwork,
    pub(crate) dns: IpAddr,
    pub(crate) domain: String,
    pub(crate) listen: SocketAddr,
    pub(crate) files: Files,
}

/// Where certificates and keys lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) proxy_kubeconfig: PathBuf,
    pub(crate) server_authority: PathBuf,
    pub(crate) serving_certificate: PathBuf,
    pub(crate) serving_key: PathBuf,
    pub(crate) client_authority: PathBuf,
}

/// Flags that make no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error(
        "{0:?} cannot be a node's name: use lower-case letters, digits, '-' and '.'. Give another one with --name"
    )]
    Name(String),
    #[error(
        "--node-ip has {0}, which stands for every address: give one at which the servers reach this node"
    )]
    Wildcard(IpAddr),
    #[error("--node-ip has two addresses of one family: give one, or one of each family")]
    Addresses,
    #[error("--servers has {0}: API servers speak TLS, so write https://")]
    PlainServer(Endpoint),
    #[error("--service-cidr has no tenth address for the cluster's DNS: name one with --cluster-dns")]
    NoDns,
    #[error("--cgroup-root is {0:?}: write it as an absolute path of control groups, for instance /keelson")]
    CgroupRoot(String),
}

impl NodeOptions {
    /// Checks the flags against each other. `hostname` is this machine's.
    pub(crate) fn from_flags(flags: Flags, hostname: &str) -> Result<Self, OptionsError> {
        let Flags { node, pods, network, files, log_level: _ } = flags;
        let NodeFlags { name, node_ip: addresses, servers, data_dir, node_labels, register_with_taints } =
            node;
        let name = name.unwrap_or_else(|| hostname.to_lowercase());
        check_name(&name)?;
        check_addresses(&addresses)?;
        if let Some(server) = servers.iter().find(|server| server.scheme != Scheme::Https) {
            return Err(OptionsError::PlainServer(server.clone()));
        }
        let PodFlags {
            container_runtime_endpoint,
            images_dir,
            cgroup_root,
            max_pods,
            system_reserved,
            eviction_hard,
        } = pods;
        if !cgroup_root.starts_with('/') || cgroup_root.contains("..") {
            return Err(OptionsError::CgroupRoot(cgroup_root));
        }
        let NetworkFlags { cni_conf_dir, cluster_cidr, service_cidr, cluster_dns, cluster_domain, listen } =
            network;
        let dns = cluster_dns.or_else(|| service_cidr.range().nth(DNS_PLACE)).ok_or(OptionsError::NoDns)?;
        let own = SocketAddr::new(addresses[0], PORT);
        Ok(Self {
            files: Files::from_flags(files, &name),
            name,
            addresses,
            servers,
            data_dir,
            labels: node_labels.0,
            taints: register_with_taints.0,
            runtime_endpoint: container_runtime_endpoint.0,
            images: images_dir,
            cgroup_root,
            max_pods,
            reserved: system_reserved.0,
            eviction_hard,
            cni_conf_dir,
            pod_network: cluster_cidr,
            dns,
            domain: cluster_domain,
            listen: listen.unwrap_or(own),
        })
    }
}

/// What the API takes as a Node's name, and what is safe in a path.
fn check_name(name: &str) -> Result<(), OptionsError> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part_is_well = |part: &str| {
        part.starts_with(is_inner)
            && part.ends_with(is_inner)
            && part.chars().all(|c| is_inner(c) || c == '-')
    };
    if name.len() <= 253 && name.split('.').all(part_is_well) {
        Ok(())
    } else {
        Err(OptionsError::Name(name.to_owned()))
    }
}

fn check_addresses(addresses: &[IpAddr]) -> Result<(), OptionsError> {
    if let Some(address) = addresses.iter().find(|address| address.is_unspecified()) {
        return Err(OptionsError::Wildcard(*address));
    }
    match addresses {
        [_] => Ok(()),
        [first, second] if first.is_ipv4() != second.is_ipv4() => Ok(()),
        _ => Err(OptionsError::Addresses),
    }
}

impl Files {
    fn from_flags(flags: FileFlags, name: &str) -> Self {
        let pki_dir = flags.pki_dir;
        let own = pki_dir.join("nodes").join(name);
        let or = |given: Option<PathBuf>, default: PathBuf| given.unwrap_or(default);
        Self {
            kubeconfig: or(flags.kubeconfig, pki_dir.join(format!("nodes/{name}.kubeconfig"))),
            proxy_kubeconfig: or(flags.proxy_kubeconfig, pki_dir.join("clients/proxy.kubeconfig")),
            server_authority: or(flags.server_ca_file, pki_dir.join("cluster-server-ca.crt")),
            serving_certificate: or(flags.serving_cert_file, own.join("serving.crt")),
            serving_key: or(flags.serving_key_file, own.join("serving.key")),
            client_authority: or(flags.client_ca_file, pki_dir.join("cluster-client-ca.crt")),
        }
    }
}

/// A Unix socket, as `unix://PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeEndpoint(PathBuf);

impl FromStr for RuntimeEndpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self(path.into())),
            Some(_) | None => Err("write it as unix:///run/containerd/containerd.sock".to_owned()),
        }
    }
}

/// Parts of a list, without empty ones.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').filter(|(key, _)| !key.is_empty())?;
        Some((key.to_owned(), value.to_owned()))
    };
    parts(text)
        .map(|part| pair(part).ok_or_else(|| format!("{part:?} is not of the form KEY=VALUE")))
        .collect()
}

/// Labels, as `KEY=VALUE,...`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(BTreeMap<String, String>);

impl FromStr for Labels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        pairs(text).map(Self)
    }
}

/// Resources, as `RESOURCE=QUANTITY,...`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reserved(BTreeMap<String, Quantity>);

/// Those that can be kept back.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

impl FromStr for Reserved {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reserved = pairs(text)?;
        if let Some(other) = reserved.keys().find(|resource| !RESOURCES.contains(&resource.as_str())) {
            return Err(format!("{other:?} cannot be reserved: use {}", RESOURCES.join(", ")));
        }
        Ok(Self(reserved.into_iter().map(|(resource, quantity)| (resource, Quantity(quantity))).collect()))
    }
}

/// Taints, as `KEY=VALUE:EFFECT,...`; the value may be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Taints(Vec<Taint>);

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

impl FromStr for Taints {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let taint = |part: &str| {
            let (name, effect) = part.split_once(':').filter(|(_, effect)| EFFECTS.contains(effect))?;
            let (key, value) = name.split_once('=').map_or((name, None), |(key, value)| (key, Some(value)));
            let value = value.filter(|value| !value.is_empty()).map(str::to_owned);
            let effect = effect.to_owned();
            (!key.is_empty()).then(|| Taint { key: key.to_owned(), value, effect, time_added: None })
        };
        let complaint = |part: &str| {
            format!("{part:?} is not of the form KEY=VALUE:EFFECT with one of {}", EFFECTS.join(", "))
        };
        parts(text).map(|part| taint(part).ok_or_else(|| complaint(part))).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests;
