//! The flags of `keelson server`, text only. Each can also be given as an environment variable: `--data-dir` as
//! `KEELSON_DATA_DIR`.
//!
//! Deliberately absent: checks across flags ([`super::options`] has them), and whatever would make the API less
//! strict: there is no flag that turns TLS, authentication or authorization off.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::options::NodePorts;
use crate::endpoint::Endpoint;
use crate::initial_cluster::ClusterState;
use crate::pod_network::PodNetwork;
use crate::process::LogLevel;
use crate::service_network::ServiceNetwork;
use crate::span::Span;

/// All flags, in the order of the help.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
    #[command(flatten)]
    pub(crate) store: StoreFlags,
    #[command(flatten)]
    pub(crate) pki: PkiFlags,
    #[command(flatten)]
    pub(crate) services: ServiceFlags,
    #[command(flatten)]
    pub(crate) controllers: ControllerFlags,
    /// How much to log: error, warn, info, debug or trace. KEELSON_LOG, where set, has more say: for instance
    /// info,keelson_store::peer=debug.
    #[arg(long, env = "KEELSON_LOG_LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
}

/// Which server this is and where clients reach it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerFlags {
    /// This server's name, unique in the cluster.
    #[arg(long, env = "KEELSON_NAME", default_value = "default")]
    pub(crate) name: String,
    /// The folder of its data [default: NAME.keelson in the working folder].
    #[arg(long, env = "KEELSON_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The address of its own at which it serves the API. All servers of a cluster use the same port.
    #[arg(long, env = "KEELSON_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:6443")]
    pub(crate) listen: SocketAddr,
    /// A further address that all servers of this machine listen at, so that one URL leads to whichever is alive.
    #[arg(long, env = "KEELSON_SHARED_LISTEN", value_name = "IP:PORT")]
    pub(crate) shared_listen: Option<SocketAddr>,
    /// The address at which clients in the cluster reach it [default: the one of --listen].
    #[arg(long, env = "KEELSON_ADVERTISE_ADDRESS", value_name = "IP")]
    pub(crate) advertise_address: Option<IpAddr>,
    /// How long it still takes requests after it was asked to stop and says that it is no longer ready: longer than load
    /// balancers need to notice.
    #[arg(long, env = "KEELSON_SHUTDOWN_DELAY_DURATION", value_name = "DURATION", default_value = "1s")]
    pub(crate) shutdown_delay_duration: Span,
}

/// The store and its other replicas.
#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreFlags {
    /// The address at which it listens for the other servers' stores.
    #[arg(long, env = "KEELSON_PEER_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:2380")]
    pub(crate) peer_listen: SocketAddr,
    /// Where those reach it [default: https:// and the address of --peer-listen].
    #[arg(long, env = "KEELSON_PEER_URL", value_name = "URL")]
    pub(crate) peer_url: Option<Endpoint>,
    /// The first servers and their peer URLs, as a=https://10.0.0.1:2380,b=https://10.0.0.2:2380 [default: this
    /// server alone].
    #[arg(long, env = "KEELSON_INITIAL_CLUSTER", value_name = "NAME=URL,...", value_delimiter = ',')]
    pub(crate) initial_cluster: Vec<String>,
    /// Tells clusters apart that would otherwise look alike; the same on all servers.
    #[arg(long, env = "KEELSON_INITIAL_CLUSTER_TOKEN", value_name = "TOKEN", default_value = "keelson")]
    pub(crate) initial_cluster_token: String,
    /// Whether a server with an empty data folder founds the cluster or joins one.
    #[arg(long, env = "KEELSON_INITIAL_CLUSTER_STATE", value_enum, default_value_t = ClusterState::New)]
    pub(crate) initial_cluster_state: ClusterState,
    /// How long superseded versions stay readable, for watches that resume and lists that continue: 90s, 5m, 1h.
    #[arg(long, env = "KEELSON_HISTORY_RETENTION", value_name = "DURATION", default_value = "5m")]
    pub(crate) history_retention: Span,
    /// A folder, this server's alone, into which every change of its store is written as it comes: `keelson store
    /// snapshot restore` makes the disks of a cluster of it, as it was at any moment.
    #[arg(long, env = "KEELSON_BACKUP_DIR", value_name = "DIR")]
    pub(crate) backup_dir: Option<PathBuf>,
    /// How far back --backup-dir must lead, for instance 168h; files that only lead further back are removed
    /// [default: none ever is].
    #[arg(long, env = "KEELSON_BACKUP_RETENTION", value_name = "DURATION")]
    pub(crate) backup_retention: Option<Span>,
}

/// Certificates and keys: the folder that `keelson pki init` makes, or single files that are elsewhere.
#[derive(Debug, Args)]
#[command(next_help_heading = "Certificates and keys")]
pub(crate) struct PkiFlags {
    /// The folder that `keelson pki init --server` made.
    #[arg(long, env = "KEELSON_PKI_DIR", value_name = "DIR", default_value = "pki")]
    pub(crate) pki_dir: PathBuf,
    /// The certificate shown to clients [default: servers/NAME/serving.crt].
    #[arg(long, env = "KEELSON_SERVING_CERT_FILE", value_name = "FILE")]
    pub(crate) serving_cert_file: Option<PathBuf>,
    /// Its private key [default: servers/NAME/serving.key].
    #[arg(long, env = "KEELSON_SERVING_KEY_FILE", value_name = "FILE")]
    pub(crate) serving_key_file: Option<PathBuf>,
    /// The authorities of the clients' certificates [default: cluster-client-ca.crt].
    #[arg(long, env = "KEELSON_CLIENT_CA_FILE", value_name = "FILE")]
    pub(crate) client_ca_file: Option<PathBuf>,
    /// The certificate shown to the other servers' stores [default: servers/NAME/peer.crt].
    #[arg(long, env = "KEELSON_PEER_CERT_FILE", value_name = "FILE")]
    pub(crate) peer_cert_file: Option<PathBuf>,
    /// Its private key [default: servers/NAME/peer.key].
    #[arg(long, env = "KEELSON_PEER_KEY_FILE", value_name = "FILE")]
    pub(crate) peer_key_file: Option<PathBuf>,
    /// The authority of the servers' peer certificates [default: peer-ca.crt].
    #[arg(long, env = "KEELSON_PEER_CA_FILE", value_name = "FILE")]
    pub(crate) peer_ca_file: Option<PathBuf>,
    /// The private key that signs service account tokens, the same on all servers [default: service-account.key].
    #[arg(long, env = "KEELSON_SERVICE_ACCOUNT_KEY_FILE", value_name = "FILE")]
    pub(crate) service_account_key_file: Option<PathBuf>,
    /// Public keys of earlier signers whose tokens are still good.
    #[arg(long, env = "KEELSON_SERVICE_ACCOUNT_EARLIER_KEYS_FILE", value_name = "FILE")]
    pub(crate) service_account_earlier_keys_file: Option<PathBuf>,
    /// The authority of the servers' certificates, which pods are told [default: cluster-server-ca.crt].
    #[arg(long, env = "KEELSON_SERVER_CA_FILE", value_name = "FILE")]
    pub(crate) server_ca_file: Option<PathBuf>,
    /// As whom the controllers speak with the API; its URL does not count, they ask this server [default:
    /// clients/controller-manager.kubeconfig].
    #[arg(long, env = "KEELSON_CONTROLLER_MANAGER_KUBECONFIG", value_name = "FILE")]
    pub(crate) controller_manager_kubeconfig: Option<PathBuf>,
    /// As whom the scheduler does [default: clients/scheduler.kubeconfig].
    #[arg(long, env = "KEELSON_SCHEDULER_KUBECONFIG", value_name = "FILE")]
    pub(crate) scheduler_kubeconfig: Option<PathBuf>,
    /// The certificate shown to nodes when these are asked for logs or to run commands [default:
    /// servers/NAME/kubelet-client.crt].
    #[arg(long, env = "KEELSON_KUBELET_CLIENT_CERT_FILE", value_name = "FILE")]
    pub(crate) kubelet_client_cert_file: Option<PathBuf>,
    /// Its private key [default: servers/NAME/kubelet-client.key].
    #[arg(long, env = "KEELSON_KUBELET_CLIENT_KEY_FILE", value_name = "FILE")]
    pub(crate) kubelet_client_key_file: Option<PathBuf>,
    /// The authority of the nodes' serving certificates [default: cluster-node-ca.crt].
    #[arg(long, env = "KEELSON_NODE_CA_FILE", value_name = "FILE")]
    pub(crate) node_ca_file: Option<PathBuf>,
}

/// What Services get; the same on all servers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Services")]
pub(crate) struct ServiceFlags {
    /// The network of the Services' ClusterIPs.
    #[arg(long, env = "KEELSON_SERVICE_CIDR", value_name = "CIDR", default_value = "10.96.0.0/16")]
    pub(crate) service_cidr: ServiceNetwork,
    /// The ports of Services of type NodePort.
    #[arg(
        long,
        env = "KEELSON_SERVICE_NODE_PORT_RANGE",
        value_name = "FIRST-LAST",
        default_value = "30000-32767"
    )]
    pub(crate) service_node_port_range: NodePorts,
}

/// What the controllers do; the same on all servers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Controllers")]
pub(crate) struct ControllerFlags {
    /// The network of all pods, from which each node gets a part.
    #[arg(long, env = "KEELSON_CLUSTER_CIDR", value_name = "CIDR", default_value = "10.244.0.0/16")]
    pub(crate) cluster_cidr: PodNetwork,
    /// How many bits of it name the node: a /24 has room for about 250 pods.
    #[arg(long, env = "KEELSON_NODE_CIDR_MASK_SIZE", value_name = "BITS", default_value_t = 24)]
    pub(crate) node_cidr_mask_size: u8,
    /// After this time without a sign of life a node counts as unhealthy, and its pods are evicted when their
    /// tolerations end.
    #[arg(long, env = "KEELSON_NODE_MONITOR_GRACE_PERIOD", value_name = "DURATION", default_value = "50s")]
    pub(crate) node_monitor_grace_period: Span,
}
