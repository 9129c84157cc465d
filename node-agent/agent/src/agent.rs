//! The agent as a whole: puts the parts together and runs them until it is told to stop.
//!
//! In: [`Options`]. Out: a node. When the agent ends, everything that it made runs on; the next one takes it over.

mod background;
mod build;
mod serving;
mod workers;

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use keelson_controller_runtime::Informer;
use keelson_node_server::{BadCertificate, Server};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use self::serving::Certificates;
use self::workers::Workers;
use crate::node::facts::Facts;
use crate::node::health::RuntimeHealth;
use crate::options::Options;
use crate::shared::Shared;

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The machine does not let the agent do what it must.
    #[error("{doing}")]
    Machine {
        /// What the agent was doing, and what to look at.
        doing: String,
        /// How it failed.
        source: io::Error,
    },
    /// The certificate of the agent's own API cannot be used.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
}

/// Runs the agent until `stop` completes. What it runs goes on running.
///
/// # Errors
///
/// If it cannot begin. What fails later is tried again.
pub async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<(), AgentError> {
    let agent = Box::pin(Agent::new(options)).await?;
    tokio::select! {
        never = agent.serve() => match never {},
        () = stop => Ok(()),
    }
}

/// Everything that the agent is made of.
struct Agent {
    options: Arc<Options>,
    facts: Facts,
    shared: Arc<Shared>,
    workers: Workers,
    informers: Informers,
    signals: Signals,
    /// Writes events.
    recording: BoxFuture<'static, ()>,
    server: Server,
    listener: TcpListener,
    certificates: Certificates,
}

/// What the API has that concerns the node.
struct Informers {
    pods: Informer<Pod>,
    node: Informer<Node>,
    services: Informer<Service>,
}

/// What the parts tell each other.
struct Signals {
    health: watch::Sender<RuntimeHealth>,
    /// Turns true when the image archives have been imported.
    imported: watch::Sender<bool>,
    node_changed: Arc<Notify>,
    /// There may be something in the runtime that nobody asks for.
    orphans: Arc<Notify>,
}
