//! Flags checked and made plain: what a server is told when it starts.
//!
//! In: [`Flags`], text. Out: [`ServerOptions`], in which every combination makes sense, or an error that names the
//! flag and the cure. Pure: no file is read.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::flags::{ControllerFlags, Flags, PkiFlags, ServerFlags, ServiceFlags, StoreFlags};
use keelson_store::Beginning;
use keelson_store::export::BackupOptions;

use crate::backup::{self, RetentionWithoutBackup};
use crate::endpoint::{Endpoint, Scheme};
use crate::initial_cluster::{self, InitialClusterError};
use crate::pod_network::PodNetwork;
use crate::replica::PeerFiles;
use crate::service_network::ServiceNetwork;

/// What a server is told when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerOptions {
    /// Unique in the cluster.
    pub(crate) name: String,
    /// The folder of its data.
    pub(crate) data_dir: PathBuf,
    /// Where it serves the API.
    pub(crate) listen: SocketAddr,
    /// Where it does so together with the other servers of this machine.
    pub(crate) shared_listen: Option<SocketAddr>,
    /// The address that clients in the cluster are told.
    pub(crate) advertise_address: IpAddr,
    /// How long it still takes requests after it was asked to stop.
    pub(crate) shutdown_delay: Duration,
    /// Where its store listens for peers.
    pub(crate) peer_listen: SocketAddr,
    /// Where peers reach it.
    pub(crate) peer_url: Endpoint,
    /// The first servers, this one included: name and peer URL.
    pub(crate) initial_cluster: Vec<(String, Endpoint)>,
    /// Whether a new disk founds the cluster with them or joins it.
    pub(crate) beginning: Beginning,
    /// Tells clusters apart that would otherwise look alike.
    pub(crate) cluster_token: String,
    /// How long superseded versions stay readable.
    pub(crate) history_retention: Duration,
    /// Where every change of the store is written down, and for how long it is kept.
    pub(crate) backup: Option<BackupOptions>,
    /// Certificates and keys.
    pub(crate) files: Files,
    /// The network of the Services.
    pub(crate) service_network: ServiceNetwork,
    /// The ports of Services of type NodePort.
    pub(crate) node_ports: NodePorts,
    /// The network of all pods.
    pub(crate) pod_network: PodNetwork,
    /// How many of its bits name the node.
    pub(crate) node_mask_size: u8,
    /// After this time without a sign of life a node counts as unhealthy.
    pub(crate) node_grace_period: Duration,
}

/// Where certificates and keys lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The certificate shown to clients.
    pub(crate) serving_certificate: PathBuf,
    /// Its private key.
    pub(crate) serving_key: PathBuf,
    /// Who signs the clients' certificates.
    pub(crate) client_authority: PathBuf,
    /// TLS between the servers' stores.
    pub(crate) peer: PeerFiles,
    /// The key that signs service account tokens.
    pub(crate) service_account_key: PathBuf,
    /// Public keys of earlier signers.
    pub(crate) service_account_earlier_keys: Option<PathBuf>,
    /// Who signs what the servers show to clients: pods are told.
    pub(crate) server_authority: PathBuf,
    /// As whom the controllers speak with the API.
    pub(crate) controller_manager: PathBuf,
    /// As whom the scheduler does.
    pub(crate) scheduler: PathBuf,
    /// The certificate shown to nodes.
    pub(crate) kubelet_client_certificate: PathBuf,
    /// Its private key.
    pub(crate) kubelet_client_key: PathBuf,
    /// Who signs what nodes show.
    pub(crate) node_authority: PathBuf,
}

/// Flags that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error("--name {0:?} has a slash in it: it names folders, so use letters, digits, '-', '_' and '.'")]
    Name(String),
    #[error(
        "--listen is {0}, which stands for every address: give --advertise-address, one that clients can use"
    )]
    AdvertiseMissing(SocketAddr),
    #[error(
        "--advertise-address is {0}, which stands for every address: give one at which this server is reached"
    )]
    AdvertiseWildcard(IpAddr),
    #[error(
        "--shared-listen is {shared}, which --listen {listen} takes for this server alone: use another address or port"
    )]
    SharedIsOwn { shared: SocketAddr, listen: SocketAddr },
    #[error(
        "--shared-listen is {0}: only a loopback address can be shared, because the servers are on one machine"
    )]
    SharedBeyondMachine(SocketAddr),
    #[error(
        "--peer-listen is {0}, which stands for every address: give --peer-url, one that the other servers can use"
    )]
    PeerUrlMissing(SocketAddr),
    #[error(
        "--peer-url is {0}, which stands for every address: give one at which this server's store is reached"
    )]
    PeerUrlWildcard(Endpoint),
    #[error("{flag} has {url}: stores of servers always speak TLS, so write https://")]
    PlainPeer { flag: &'static str, url: Endpoint },
    #[error(
        "--node-cidr-mask-size {mask} does not fit --cluster-cidr {pod_network}: use a number between its prefix and \
         what leaves a node some addresses"
    )]
    NodeMask { pod_network: PodNetwork, mask: u8 },
    #[error(
        "--cluster-cidr {pods} and --service-cidr {services} overlap: a pod and a Service would share an address, so \
         give them networks apart"
    )]
    NetworksOverlap { pods: PodNetwork, services: ServiceNetwork },
    #[error(transparent)]
    Backup(#[from] RetentionWithoutBackup),
    #[error(transparent)]
    InitialCluster(#[from] InitialClusterError),
}

const PEER_URL: &str = "--peer-url";

impl ServerOptions {
    /// Checks the flags against each other.
    pub(crate) fn from_flags(flags: Flags) -> Result<Self, OptionsError> {
        let Flags { server, store, pki, services, controllers, log_level: _ } = flags;
        let ServerFlags { name, data_dir, listen, shared_listen, advertise_address, shutdown_delay_duration } =
            server;
        // It becomes part of paths; further rules are those of `keelson pki init`.
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(OptionsError::Name(name));
        }
        if let Some(shared) = shared_listen {
            check_shared(shared, listen)?;
        }
        let advertise_address = advertised(listen, advertise_address)?;
        let StoreFlags {
            peer_listen,
            peer_url,
            initial_cluster,
            initial_cluster_token,
            initial_cluster_state,
            history_retention,
            backup_dir,
            backup_retention,
        } = store;
        let peer_url = advertised_peer(peer_listen, peer_url)?;
        let own = std::slice::from_ref(&peer_url);
        let initial_cluster =
            initial_cluster::parse(&name, &initial_cluster, own, PEER_URL, initial_cluster_state)?;
        if let Some((_, url)) = initial_cluster.iter().find(|(_, url)| url.scheme != Scheme::Https) {
            return Err(OptionsError::PlainPeer { flag: "--initial-cluster", url: url.clone() });
        }
        let ServiceFlags { service_cidr: service_network, service_node_port_range: node_ports } = services;
        let ControllerFlags { cluster_cidr: pod_network, node_cidr_mask_size, node_monitor_grace_period } =
            controllers;
        if !pod_network.can_be_split(node_cidr_mask_size) {
            return Err(OptionsError::NodeMask { pod_network, mask: node_cidr_mask_size });
        }
        if pod_network.overlaps(service_network.range()) {
            return Err(OptionsError::NetworksOverlap { pods: pod_network, services: service_network });
        }
        Ok(Self {
            data_dir: data_dir.unwrap_or_else(|| PathBuf::from(format!("{name}.keelson"))),
            files: Files::from_flags(pki, &name),
            name,
            listen,
            shared_listen,
            advertise_address,
            shutdown_delay: shutdown_delay_duration.get(),
            peer_listen,
            peer_url,
            initial_cluster,
            beginning: initial_cluster_state.beginning(),
            cluster_token: initial_cluster_token,
            history_retention: history_retention.get(),
            backup: backup::options(backup_dir, backup_retention)?,
            service_network,
            node_ports,
            pod_network,
            node_mask_size: node_cidr_mask_size,
            node_grace_period: node_monitor_grace_period.get(),
        })
    }
}

fn check_shared(shared: SocketAddr, listen: SocketAddr) -> Result<(), OptionsError> {
    if !shared.ip().is_loopback() {
        return Err(OptionsError::SharedBeyondMachine(shared));
    }
    if shared.port() == listen.port() && (shared.ip() == listen.ip() || listen.ip().is_unspecified()) {
        return Err(OptionsError::SharedIsOwn { shared, listen });
    }
    Ok(())
}

fn advertised(listen: SocketAddr, given: Option<IpAddr>) -> Result<IpAddr, OptionsError> {
    match given {
        Some(address) if address.is_unspecified() => Err(OptionsError::AdvertiseWildcard(address)),
        Some(address) => Ok(address),
        None if listen.ip().is_unspecified() => Err(OptionsError::AdvertiseMissing(listen)),
        None => Ok(listen.ip()),
    }
}

fn advertised_peer(listen: SocketAddr, given: Option<Endpoint>) -> Result<Endpoint, OptionsError> {
    match given {
        Some(url) if url.scheme != Scheme::Https => Err(OptionsError::PlainPeer { flag: PEER_URL, url }),
        Some(url) if url.is_wildcard() => Err(OptionsError::PeerUrlWildcard(url)),
        Some(url) => Ok(url),
        None if listen.ip().is_unspecified() => Err(OptionsError::PeerUrlMissing(listen)),
        None => Ok(Endpoint { scheme: Scheme::Https, host: listen.ip().to_string(), port: listen.port() }),
    }
}

impl Files {
    fn from_flags(flags: PkiFlags, name: &str) -> Self {
        let pki_dir = flags.pki_dir;
        let own = pki_dir.join("servers").join(name);
        let or = |given: Option<PathBuf>, default: PathBuf| given.unwrap_or(default);
        let peer = PeerFiles {
            certificate: or(flags.peer_cert_file, own.join("peer.crt")),
            key: or(flags.peer_key_file, own.join("peer.key")),
            trusted_authority: or(flags.peer_ca_file, pki_dir.join("peer-ca.crt")),
        };
        Self {
            serving_certificate: or(flags.serving_cert_file, own.join("serving.crt")),
            serving_key: or(flags.serving_key_file, own.join("serving.key")),
            client_authority: or(flags.client_ca_file, pki_dir.join("cluster-client-ca.crt")),
            peer,
            service_account_key: or(flags.service_account_key_file, pki_dir.join("service-account.key")),
            service_account_earlier_keys: flags.service_account_earlier_keys_file,
            server_authority: or(flags.server_ca_file, pki_dir.join("cluster-server-ca.crt")),
            controller_manager: or(
                flags.controller_manager_kubeconfig,
                pki_dir.join("clients/controller-manager.kubeconfig"),
            ),
            scheduler: or(flags.scheduler_kubeconfig, pki_dir.join("clients/scheduler.kubeconfig")),
            kubelet_client_certificate: or(flags.kubelet_client_cert_file, own.join("kubelet-client.crt")),
            kubelet_client_key: or(flags.kubelet_client_key_file, own.join("kubelet-client.key")),
            node_authority: or(flags.node_ca_file, pki_dir.join("cluster-node-ca.crt")),
        }
    }
}

/// The ports of Services of type NodePort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodePorts(pub(crate) RangeInclusive<u16>);

impl FromStr for NodePorts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let ends = text.split_once('-').and_then(|(first, last)| port(first).zip(port(last)));
        match ends {
            Some((first, last)) if first <= last => Ok(Self(first..=last)),
            Some(_) | None => Err("write it as FIRST-LAST, for instance 30000-32767".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
