//! One API server: what its chain and its handlers share.
//!
//! In: a store that is open, keys, and options. Out: a [`Server`] that lives as long as the process. There are no
//! globals; whatever a request needs hangs here.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

pub use crate::{authn::User, authz::Allowed};

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The name of this server in the cluster, unique among its peers and the same after a restart.
    pub identity: String,
    /// Where clients in the cluster reach this server.
    pub advertise_address: IpAddr,
    /// The port that belongs to it.
    pub secure_port: u16,
    /// The network of the Services' ClusterIPs: `10.96.0.0/16`.
    pub service_cluster_ip_range: String,
    /// The ports that Services of type NodePort get.
    pub service_node_ports: RangeInclusive<u16>,
    /// The issuer of service account tokens.
    pub service_account_issuer: String,
    /// The audiences for which this API server is meant; tokens without any are for the first.
    pub api_audiences: Vec<String>,
    /// The authorities whose client certificates are believed, in PEM.
    pub client_ca_pem: String,
    /// How long a request may take that is no watch.
    pub request_timeout: Duration,
    /// How many requests that only read may be under way at once.
    pub max_requests_inflight: usize,
    /// How many requests that change something may be under way at once.
    pub max_mutating_requests_inflight: usize,
}

impl ServerOptions {
    /// Upstream's defaults for everything that has one.
    pub fn new(identity: String, advertise_address: IpAddr, secure_port: u16, client_ca_pem: String) -> Self {
        let issuer = "https://kubernetes.default.svc.cluster.local".to_owned();
        Self {
            identity,
            advertise_address,
            secure_port,
            service_cluster_ip_range: "10.96.0.0/16".to_owned(),
            service_node_ports: 30_000..=32_767,
            api_audiences: vec![issuer.clone()],
            service_account_issuer: issuer,
            client_ca_pem,
            request_timeout: Duration::from_secs(60),
            max_requests_inflight: 400,
            max_mutating_requests_inflight: 200,
        }
    }
}
