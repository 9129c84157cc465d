//! The scheduler: finds a node for every pod that has none.
//!
//! In: nodes, pods and namespaces, through informers. Out: bindings; and for pods that fit nowhere a condition, an event that says
//! why, and room made by removing pods that matter less. The way of one pod:
//!
//! ```text
//! observe ──► queue ──► cycle: PreFilter → Filter → (PostFilter) → Score → assume ──► bind ──► API
//!    ▲          ▲                                        │                              │
//!    │          └──────────── park, retry ◄──────────────┴──────────────────────────────┤
//!    └──────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! One task owns all that is known ([`cycle::Core`]) and decides without waiting; whatever speaks with the API runs in
//! tasks beside it ([`scheduler`]). Which plugins decide is said in one table ([`plugins`]).
//!
//! Two schedulers at once are wasteful, never harmful to a pod: the API gives a pod its node only once.
//!
//! Deliberately absent: extenders, several profiles, volumes, device claims, pod groups, disruption budgets.

use std::convert::Infallible;

use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Connection, ConnectionError, EventRecorder, Informer, Pool};
use kube::Api;
use kube::runtime::watcher;

mod bind;
mod cache;
mod cluster_event;
mod cycle;
mod diagnosis;
mod evict;
mod framework;
mod host_ports;
mod nominations;
mod observe;
mod plugins;
mod pod_info;
mod pod_matcher;
mod pod_terms;
mod preemption;
mod quantity;
mod queue;
mod resources;
mod scheduler;
mod status;
#[cfg(test)]
mod testing;

use cycle::Core;
use scheduler::{Informers, Scheduler};

/// Pods that have ended use nothing.
const LIVE_PODS: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// What can be chosen about a scheduler.
#[derive(Clone, Debug)]
pub struct Options {
    /// Pods that name this scheduler are its own. Also the component that events come from.
    pub scheduler_name: &'static str,
    /// How many percent of the nodes are enough to choose from; at least 100 nodes always are. `None`: 50 percent of
    /// small clusters, and the less the larger they are, down to 5.
    pub percentage_of_nodes_to_score: Option<u8>,
}

impl Default for Options {
    /// Upstream's.
    fn default() -> Self {
        Self { scheduler_name: "default-scheduler", percentage_of_nodes_to_score: None }
    }
}

/// Schedules until the future is dropped. To be run by whoever holds the Lease `kube-scheduler`. `shared_pods` is shared
/// with whoever else in this process keeps pods.
///
/// # Errors
///
/// If the connection's certificates make no client. Nothing else ends it.
pub async fn run(
    connection: &Connection,
    options: Options,
    shared_pods: &Pool<Pod>,
) -> Result<Infallible, ConnectionError> {
    let client = connection.client("keelson-scheduler")?;
    let (events, write_events) = EventRecorder::new(client.clone(), options.scheduler_name, None);
    let live_pods = watcher::Config::default().fields(LIVE_PODS);
    let informers = Informers {
        nodes: Informer::new(Api::all(client.clone()), watcher::Config::default()),
        pods: Informer::new(Api::all(client.clone()), live_pods),
        namespaces: Informer::new(Api::all(client.clone()), watcher::Config::default()),
        claims: Informer::new(Api::all(client.clone()), watcher::Config::default()),
    };
    informers.pods.share(shared_pods);
    let inbox = scheduler::listen(&informers);
    let core = Core::new(
        plugins::DEFAULT,
        options.scheduler_name,
        options.percentage_of_nodes_to_score,
        rand::random(),
    );
    let Informers { nodes, pods, namespaces, claims } = &informers;
    let schedule = async {
        tokio::join!(nodes.synced(), pods.synced(), namespaces.synced(), claims.synced());
        tracing::info!(nodes = nodes.len(), pods = pods.len(), "scheduling begins");
        Scheduler::new(core, client, events, inbox).run().await;
    };
    let learn = async {
        tokio::join!(nodes.clone().run(), pods.clone().run(), namespaces.clone().run(), claims.clone().run());
    };
    tokio::join!(learn, write_events, schedule);
    unreachable!("informers run until they are dropped")
}
