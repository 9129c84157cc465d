//! The controllers: each watches objects, plans purely, and acts through the API with an identity of its own.
//!
//! In: a connection as the controller manager, and [`Options`]. Out: a cluster that does what its objects say, for as
//! long as [`run`] is polled. Whoever calls it does so as the leader of an election. Deliberately absent: that
//! election, and any other way to the cluster than its API.

mod backends;
mod changes;
mod claim;
mod context;
mod deployment;
mod disruption;
mod endpoint_slice;
mod endpoint_slice_mirroring;
mod endpoints;
#[cfg(test)]
mod fake_api;
mod garbage_collector;
mod job;
mod namespace;
mod node_ipam;
mod node_lifecycle;
mod options;
mod pod_control;
mod pod_gc;
mod pod_state;
mod proportion;
mod refusals;
mod replica_set;
mod root_ca;
mod service_account;
mod service_cidr;
mod storage_version_migrator;
mod supervise;
mod table;
mod taint_eviction;
mod ttl_after_finished;

use std::convert::Infallible;
use std::sync::Arc;

use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Connection, ConnectionError, EventRecorder, Pool};
use tokio::task::JoinSet;

pub use self::options::Options;

/// What the controllers call themselves towards the API.
const USER_AGENT: &str = concat!("keelson-controller-manager/", env!("CARGO_PKG_VERSION"));

/// Runs all controllers until the future is dropped. `connection` is the user `system:kube-controller-manager`: it
/// reads everything, writes events and gives each controller its own identity. `pods` is shared with whoever else in this
/// process keeps pods.
///
/// # Errors
///
/// At once, if the connection cannot be used. Whatever happens later is tried again and logged.
pub async fn run(
    connection: Connection,
    options: Options,
    pods: Pool<Pod>,
) -> Result<Infallible, ConnectionError> {
    let client = connection.client(USER_AGENT)?;
    let (recorder, events) = EventRecorder::new(client.clone(), "controller-manager", None);
    let (shared, mut informers) = context::Shared::new(client, recorder, options, pods);
    let mut tasks = JoinSet::new();
    tasks.spawn(events);
    for controller in table::CONTROLLERS {
        tasks.spawn(supervise::keep_running(controller, connection.clone(), Arc::clone(&shared)));
    }
    loop {
        tokio::select! {
            Some(follow) = informers.recv() => {
                tasks.spawn(async move { supervise::keep_up("informer", follow).await });
            }
            Some(ended) = tasks.join_next() => supervise::report(ended),
        }
    }
}
