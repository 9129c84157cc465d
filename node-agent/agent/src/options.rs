//! What a node agent is told when it starts.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use keelson_node_volumes::ClusterDns;
use kube::Client;

use crate::node::EvictionThresholds;
use crate::node::lease::Times;

/// How many pods a node takes if nobody says otherwise.
pub const MAX_PODS: u32 = 110;

/// What a node agent is told.
pub struct Options {
    /// The node's name, also in the API.
    pub node_name: String,
    /// The node's addresses, the primary one first; at most one of each family.
    pub node_addresses: Vec<IpAddr>,
    /// Through which the agent reaches the API, as `system:node:<name>`. Where there are several servers, at the URL of
    /// a [`Forwarder`](crate::Forwarder), which has to run as long as the agent.
    pub client: Client,
    /// The container runtime's socket.
    pub runtime_endpoint: PathBuf,
    /// The agent's folder: pods' volumes, and what it remembers (`/var/lib/kubelet`).
    pub root: PathBuf,
    /// Where containers' logs go (`/var/log/pods`).
    pub pod_logs: PathBuf,
    /// Where the runtime looks for its network's configuration.
    pub cni_configurations: PathBuf,
    /// The cluster's DNS, as pods are told of it.
    pub dns: ClusterDns,
    /// The control group that those of pods lie in: `/`, or another one if several nodes share a machine.
    pub cgroup_root: String,
    /// A folder with image archives to import when the agent starts.
    pub images: Option<PathBuf>,
    /// The agent's own API.
    pub serving: Serving,
    /// What the Node is registered with, besides what every node has.
    pub registration: Registration,
    /// How many pods the node takes.
    pub max_pods: u32,
    /// What is kept for the machine itself: `cpu`, `memory`, `ephemeral-storage`.
    pub reserved: BTreeMap<String, Quantity>,
    /// What has to be left of memory, disk and process ids.
    pub eviction_hard: EvictionThresholds,
    /// When the API hears of the node.
    pub heartbeat: Heartbeat,
}

/// Where the agent serves its own API, and whom it believes. The files may be renewed while it serves.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Where it listens: `0.0.0.0:10250`.
    pub address: SocketAddr,
    /// Its certificate, in PEM.
    pub certificate: PathBuf,
    /// The private key that belongs to it, in PEM.
    pub key: PathBuf,
    /// Those who sign its clients' certificates, in PEM.
    pub client_authorities: PathBuf,
}

/// What a Node is registered with.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// Labels; put right whenever the agent registers the node, or takes it over.
    pub labels: BTreeMap<String, String>,
    /// Taints; set when the Node is made, and others' afterwards.
    pub taints: Vec<Taint>,
}

/// When the API hears of a node.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// How often the status is looked at, and told if it has changed.
    pub status_period: Duration,
    /// How long the node's Lease holds.
    pub lease_duration: Duration,
    /// How often it is renewed.
    pub lease_period: Duration,
}

/// Upstream's.
impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            status_period: Duration::from_secs(10),
            lease_duration: Duration::from_secs(40),
            lease_period: Duration::from_secs(10),
        }
    }
}

impl From<Heartbeat> for Times {
    fn from(heartbeat: Heartbeat) -> Self {
        Self { duration: heartbeat.lease_duration, period: heartbeat.lease_period }
    }
}
