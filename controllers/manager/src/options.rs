//! What an administrator may decide about the controllers.

use std::time::Duration;

/// Decisions, with upstream's values where there is one.
#[derive(Clone, Debug)]
pub struct Options {
    /// The certificates by which pods recognise the API server, in PEM: what `kube-root-ca.crt` holds.
    pub root_ca_pem: String,
    /// Where the pods of all nodes get their addresses from, for instance `10.244.0.0/16`; of each family at most one.
    /// Empty: nodes get no pod CIDRs from here.
    pub cluster_cidrs: Vec<String>,
    /// How many bits of an IPv4 pod CIDR name the node.
    pub node_cidr_mask_size_ipv4: u8,
    /// How many bits of an IPv6 pod CIDR name the node.
    pub node_cidr_mask_size_ipv6: u8,
    /// How often the health of nodes is looked at.
    pub node_monitor_period: Duration,
    /// After this time without a sign of life a node counts as unhealthy.
    pub node_monitor_grace_period: Duration,
    /// The same for a node that has only just come.
    pub node_startup_grace_period: Duration,
    /// How many finished pods are kept for people to look at, before the oldest are removed. 0: all of them.
    pub terminated_pod_threshold: usize,
}

impl Options {
    /// Upstream's defaults, for a cluster with this root of trust.
    pub fn new(root_ca_pem: impl Into<String>) -> Self {
        Self {
            root_ca_pem: root_ca_pem.into(),
            cluster_cidrs: Vec::new(),
            node_cidr_mask_size_ipv4: 24,
            node_cidr_mask_size_ipv6: 64,
            node_monitor_period: Duration::from_secs(5),
            node_monitor_grace_period: Duration::from_secs(50),
            node_startup_grace_period: Duration::from_secs(60),
            terminated_pod_threshold: 12_500,
        }
    }
}
