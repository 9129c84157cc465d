//! The flags of `keelson node`, text only. Each can also be given as an environment variable: `--data-dir` as
//! `KEELSON_DATA_DIR`. Where kubelet has a flag for the same, it has the same name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use keelson_node_agent::EvictionThresholds;

use super::options::{Labels, Reserved, RuntimeEndpoint, Taints};
use crate::endpoint::Endpoint;
use crate::pod_network::PodNetwork;
use crate::process::LogLevel;
use crate::service_network::ServiceNetwork;

/// All flags, in the order of the help.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) node: NodeFlags,
    #[command(flatten)]
    pub(crate) pods: PodFlags,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
    #[command(flatten)]
    pub(crate) files: FileFlags,
    /// How much to log: error, warn, info, debug or trace. KEELSON_LOG, where set, has more say.
    #[arg(long, env = "KEELSON_LOG_LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
}

/// Which node this is, and where the servers are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct NodeFlags {
    /// The node's name, unique in the cluster [default: this machine's host name, in lower case].
    #[arg(long, env = "KEELSON_NAME")]
    pub(crate) name: Option<String>,
    /// The address at which the servers and other nodes reach it; one more of the other family where there is one.
    #[arg(long, env = "KEELSON_NODE_IP", value_name = "IP,...", value_delimiter = ',', required = true)]
    pub(crate) node_ip: Vec<IpAddr>,
    /// The API servers. The node uses one that is ready, and goes over to another when it is not.
    #[arg(long, env = "KEELSON_SERVERS", value_name = "URL,...", value_delimiter = ',', required = true)]
    pub(crate) servers: Vec<Endpoint>,
    /// The folder of the node's data: pods' volumes and logs.
    #[arg(long, env = "KEELSON_DATA_DIR", value_name = "DIR", default_value = "/var/lib/keelson-node")]
    pub(crate) data_dir: PathBuf,
    /// Labels of the Node, besides those that every node has.
    #[arg(long, env = "KEELSON_NODE_LABELS", value_name = "KEY=VALUE,...", default_value = "")]
    pub(crate) node_labels: Labels,
    /// Taints that the Node has from the beginning.
    #[arg(
        long,
        env = "KEELSON_REGISTER_WITH_TAINTS",
        value_name = "KEY=VALUE:EFFECT,...",
        default_value = ""
    )]
    pub(crate) register_with_taints: Taints,
}

/// How pods are run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pods")]
pub(crate) struct PodFlags {
    /// The socket of the container runtime (CRI v1).
    #[arg(
        long,
        env = "KEELSON_CONTAINER_RUNTIME_ENDPOINT",
        value_name = "unix://PATH",
        default_value = "unix:///run/containerd/containerd.sock"
    )]
    pub(crate) container_runtime_endpoint: RuntimeEndpoint,
    /// A folder with image archives that are imported into the runtime at every start: how images get there without
    /// a registry.
    #[arg(long, env = "KEELSON_IMAGES_DIR", value_name = "DIR")]
    pub(crate) images_dir: Option<PathBuf>,
    /// The control group in which those of pods are made.
    #[arg(long, env = "KEELSON_CGROUP_ROOT", value_name = "PATH", default_value = "/")]
    pub(crate) cgroup_root: String,
    /// How many pods the node takes.
    #[arg(long, env = "KEELSON_MAX_PODS", value_name = "COUNT", default_value_t = keelson_node_agent::MAX_PODS)]
    pub(crate) max_pods: u32,
    /// What is kept for the machine itself, as cpu=100m,memory=256Mi.
    #[arg(long, env = "KEELSON_SYSTEM_RESERVED", value_name = "RESOURCE=QUANTITY,...", default_value = "")]
    pub(crate) system_reserved: Reserved,
    /// What has to be left of memory, of the file system of --data-dir and of process ids: with less, the node tells
    /// that it is under pressure, and no new pods come. What is not named is not demanded.
    #[arg(
        long,
        env = "KEELSON_EVICTION_HARD",
        value_name = "SIGNAL<AMOUNT,...",
        default_value_t = EvictionThresholds::default()
    )]
    pub(crate) eviction_hard: EvictionThresholds,
}

/// The networks of the cluster, as the servers have them too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkFlags {
    /// The folder where the runtime looks for its network configuration; the node puts one there unless there is
    /// one.
    #[arg(long, env = "KEELSON_CNI_CONF_DIR", value_name = "DIR", default_value = "/etc/cni/net.d")]
    pub(crate) cni_conf_dir: PathBuf,
    /// The network of all pods.
    #[arg(long, env = "KEELSON_CLUSTER_CIDR", value_name = "CIDR", default_value = "10.244.0.0/16")]
    pub(crate) cluster_cidr: PodNetwork,
    /// The network of the Services' ClusterIPs.
    #[arg(long, env = "KEELSON_SERVICE_CIDR", value_name = "CIDR", default_value = "10.96.0.0/16")]
    pub(crate) service_cidr: ServiceNetwork,
    /// The address at which pods ask for names; the node answers there itself [default: the tenth of
    /// --service-cidr].
    #[arg(long, env = "KEELSON_CLUSTER_DNS", value_name = "IP")]
    pub(crate) cluster_dns: Option<IpAddr>,
    /// The domain in which the cluster's names are.
    #[arg(long, env = "KEELSON_CLUSTER_DOMAIN", value_name = "DOMAIN", default_value = "cluster.local")]
    pub(crate) cluster_domain: String,
    /// Where the node serves its own API to the servers: logs, commands in containers [default: port 10250 of the
    /// first --node-ip].
    #[arg(long, env = "KEELSON_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
}

/// Certificates and keys: the folder that `keelson pki init` makes, or single files that are elsewhere.
#[derive(Debug, Args)]
#[command(next_help_heading = "Certificates and keys")]
pub(crate) struct FileFlags {
    /// The folder that `keelson pki init --node` made.
    #[arg(long, env = "KEELSON_PKI_DIR", value_name = "DIR", default_value = "pki")]
    pub(crate) pki_dir: PathBuf,
    /// As whom the node speaks with the API; its URL does not count [default: nodes/NAME.kubeconfig].
    #[arg(long, env = "KEELSON_NODE_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// As whom it learns of Services [default: clients/proxy.kubeconfig].
    #[arg(long, env = "KEELSON_PROXY_KUBECONFIG", value_name = "FILE")]
    pub(crate) proxy_kubeconfig: Option<PathBuf>,
    /// The authority of the servers' certificates [default: cluster-server-ca.crt].
    #[arg(long, env = "KEELSON_SERVER_CA_FILE", value_name = "FILE")]
    pub(crate) server_ca_file: Option<PathBuf>,
    /// The certificate that it shows to the servers [default: nodes/NAME/serving.crt].
    #[arg(long, env = "KEELSON_SERVING_CERT_FILE", value_name = "FILE")]
    pub(crate) serving_cert_file: Option<PathBuf>,
    /// Its private key [default: nodes/NAME/serving.key].
    #[arg(long, env = "KEELSON_SERVING_KEY_FILE", value_name = "FILE")]
    pub(crate) serving_key_file: Option<PathBuf>,
    /// The authorities of the servers' client certificates [default: cluster-client-ca.crt].
    #[arg(long, env = "KEELSON_CLIENT_CA_FILE", value_name = "FILE")]
    pub(crate) client_ca_file: Option<PathBuf>,
}
