//! Runs a node until it is asked to stop.
//!
//! In: [`NodeOptions`]. Out: three parts in one process: the node agent, Service traffic and the DNS. All reach the API
//! by way of a forwarder, which finds a server that is ready, as whom the kubeconfig files say at the moment. What runs in the containers goes on when this ends, and
//! the rules of Service traffic stay.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use http::Uri;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keelson_cluster_dns as dns;
use keelson_controller_runtime::Informer;
use keelson_node_agent::{self as agent, Forwarder, Heartbeat, Registration, Serving};
use keelson_node_volumes::ClusterDns;
use keelson_service_proxy as proxy;
use kube::runtime::watcher;
use kube::{Api, Client};

use super::flags::Flags;
use super::identity::Identity;
use super::options::NodeOptions;
use crate::error_chain::chain;
use crate::process::{self, StopSignals};

/// The file that names this machine's own name servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What the node agent calls itself towards the API.
const AGENT: &str = concat!("keelson-node/", env!("CARGO_PKG_VERSION"));

/// What the part that learns of Services calls itself.
const PROXY: &str = concat!("keelson-proxy/", env!("CARGO_PKG_VERSION"));

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// Checks the flags and runs the node to its end.
pub(super) fn run(flags: Flags) -> Result<ExitCode, Box<dyn Error>> {
    let log_level = flags.log_level;
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let options = NodeOptions::from_flags(flags, &hostname)?;
    process::prepare(log_level)?;
    process::runtime()?.block_on(start(&options))?;
    Ok(ExitCode::SUCCESS)
}

async fn start(options: &NodeOptions) -> Result<(), Box<dyn Error>> {
    let mut signals = StopSignals::install()?;
    let authority = read(&options.files.server_authority, &options.name)?;
    let servers =
        options.servers.iter().map(|server| server.to_string().parse()).collect::<Result<Vec<Uri>, _>>()?;
    let forwarder = Forwarder::bind(&servers, &authority).await.map_err(|error| chain(&error))?;
    let url = forwarder.url();
    let own = identity(&options.files.kubeconfig, &url, AGENT, &options.name).await?;
    let proxy = identity(&options.files.proxy_kubeconfig, &url, PROXY, &options.name).await?;
    tracing::info!(name = options.name, listen = %options.listen, dns = %options.dns, "starting the node");
    let node = agent::run(agent_options(options, own.client()), signals.asked());
    let network = network(proxy.client(), options);
    tokio::select! {
        ended = node => ended.map_err(|error| chain(&error))?,
        never = forwarder.run() => match never {},
        never = own.follow() => match never {},
        never = proxy.follow() => match never {},
        ended = network => {
            let Err(error) = ended;
            return Err(chain(&error).into());
        }
    }
    tracing::info!("stopped; containers go on");
    Ok(())
}

fn read(path: &Path, name: &str) -> Result<String, String> {
    fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}. {}", path.display(), cure(name)))
}

fn cure(name: &str) -> String {
    format!("To make it: keelson pki init --dir DIR --server NAME=HOST --node {name}=HOST")
}

/// The identity in the file, by way of the forwarder.
async fn identity(
    kubeconfig: &Path,
    url: &Uri,
    user_agent: &'static str,
    name: &str,
) -> Result<Identity, String> {
    let identity = Identity::read(kubeconfig.to_owned(), url.clone(), user_agent).await;
    identity.map_err(|error| format!("{}. {}", chain(&error), cure(name)))
}

/// What the agent is told; everything that has no flag keeps its default.
fn agent_options(options: &NodeOptions, client: Client) -> agent::Options {
    agent::Options {
        node_name: options.name.clone(),
        node_addresses: options.addresses.clone(),
        client,
        runtime_endpoint: options.runtime_endpoint.clone(),
        root: options.data_dir.join("kubelet"),
        pod_logs: options.data_dir.join("logs"),
        cni_configurations: options.cni_conf_dir.clone(),
        dns: ClusterDns { servers: vec![options.dns], domain: options.domain.clone() },
        cgroup_root: options.cgroup_root.clone(),
        images: options.images.clone(),
        serving: Serving {
            address: options.listen,
            certificate: options.files.serving_certificate.clone(),
            key: options.files.serving_key.clone(),
            client_authorities: options.files.client_authority.clone(),
        },
        registration: Registration { labels: options.labels.clone(), taints: options.taints.clone() },
        max_pods: options.max_pods,
        reserved: options.reserved.clone(),
        eviction_hard: options.eviction_hard,
        heartbeat: Heartbeat::default(),
    }
}

/// Service traffic and names, both from one view of the Services. Ends only if names cannot be answered here.
async fn network(client: Client, options: &NodeOptions) -> Result<Infallible, dns::StartError> {
    let services: Informer<Service> = Informer::new(Api::all(client.clone()), watcher::Config::default());
    let slices: Informer<EndpointSlice> = Informer::new(Api::all(client), watcher::Config::default());
    let traffic = proxy::Options {
        node: options.name.clone(),
        pods: Some(options.pod_network.network()),
        own_cluster_ips: BTreeSet::from([options.dns]),
    };
    let names = dns::Options {
        address: options.dns,
        port: DNS_PORT,
        domain: options.domain.clone(),
        resolv_conf: RESOLV_CONF.into(),
    };
    let informers = futures_util::future::join(services.clone().run(), slices.clone().run());
    tokio::select! {
        ended = dns::run(&services, &slices, names) => ended,
        never = proxy::run(&services, &slices, traffic) => match never {},
        ((), ()) = informers => unreachable!("informers run until they are dropped"),
    }
}
