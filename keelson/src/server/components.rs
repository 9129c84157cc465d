//! The controllers and the scheduler of this server, each in a thread of its own beside the API.
//!
//! In: their kubeconfig files and this server's own URL. Out: two threads that stand for election, and work while they
//! lead; they speak with this server's API like any client. Threads of their own, because the store must never wait for
//! them, and the system shares the processors out fairly.

use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::FutureExt as _;
use keelson_controller_runtime::{Connection, ConnectionError, Election, Pool};
use tokio::sync::watch;

use super::options::ServerOptions;
use crate::error_chain::chain;
use crate::process;

/// How long they may take to give their Leases back when the server stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// Between a fault of a component and its next beginning.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A component: who it is, where it stands for election, and what it does when it leads.
struct Component<Lead> {
    name: &'static str,
    lease: &'static str,
    kubeconfig: PathBuf,
    lead: Lead,
}

/// What a component leads with. It ends only if it cannot even begin.
type Led = Result<Infallible, ConnectionError>;

/// The components that run.
pub(super) struct Components {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Components {
    /// Starts them. They try until this server answers.
    ///
    /// # Errors
    ///
    /// A kubeconfig file cannot be read, or the system gives no thread.
    pub(super) async fn start(options: &ServerOptions, root_ca: &str) -> Result<Self, String> {
        let (stop, _) = watch::channel(false);
        let settings = controllers(options, root_ca);
        // Where one server leads both, pods are kept once.
        let pods = Pool::default();
        let pods_of_controllers = pods.clone();
        let controllers = Component {
            name: "controllers",
            lease: "kube-controller-manager",
            kubeconfig: options.files.controller_manager.clone(),
            lead: async move |connection: Connection| -> Led {
                keelson_controllers::run(connection, settings.clone(), pods_of_controllers.clone()).await
            },
        };
        let scheduler = Component {
            name: "scheduler",
            lease: "kube-scheduler",
            kubeconfig: options.files.scheduler.clone(),
            lead: async move |connection: Connection| -> Led {
                let options = keelson_scheduler::Options::default();
                Box::pin(keelson_scheduler::run(&connection, options, &pods)).await
            },
        };
        let threads = vec![
            controllers.start(options, stop.subscribe()).await?,
            scheduler.start(options, stop.subscribe()).await?,
        ];
        Ok(Self { stop, threads })
    }

    /// Has them give their Leases back, so that nobody has to wait for these to run out. The API has to serve until
    /// this is done.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        let ended = tokio::task::spawn_blocking(move || {
            for thread in self.threads {
                if thread.join().is_err() {
                    tracing::error!("a component ended in a fault of this server");
                }
            }
        });
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::info!("the components had no time to give their Leases back");
        }
    }
}

/// What the controllers are told; everything that has no flag keeps its default.
fn controllers(options: &ServerOptions, root_ca: &str) -> keelson_controllers::Options {
    let mut settings = keelson_controllers::Options::new(root_ca);
    settings.cluster_cidrs = vec![options.pod_network.to_string()];
    if options.pod_network.is_ipv6() {
        settings.node_cidr_mask_size_ipv6 = options.node_mask_size;
    } else {
        settings.node_cidr_mask_size_ipv4 = options.node_mask_size;
    }
    settings.node_monitor_grace_period = options.node_grace_period;
    settings
}

impl<Lead> Component<Lead>
where
    Lead: AsyncFn(Connection) -> Led + Send + 'static,
{
    async fn start(
        self,
        options: &ServerOptions,
        stop: watch::Receiver<bool>,
    ) -> Result<JoinHandle<()>, String> {
        let connection = connect(&self.kubeconfig, options).await?;
        // The name alone: only one process can have this server's disk, so one that starts again may go on with what
        // the last one held, and nobody waits for a dead server's Lease.
        let identity = options.name.clone();
        let name = self.name;
        let work = move || match process::runtime() {
            Ok(runtime) => {
                runtime.block_on(begin_anew(name, || self.stand(&connection, &identity, stop.clone())))
            }
            Err(error) => {
                tracing::error!(name, %error, "no runtime: this server takes no part in the election")
            }
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|error: io::Error| format!("the system gives no thread for the {name}: {error}"))
    }

    /// Takes part in the election until the server stops.
    async fn stand(&self, connection: &Connection, identity: &str, mut stop: watch::Receiver<bool>) {
        let client = match connection.client("keelson-leader-election") {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(
                    component = self.name,
                    error = chain(&error),
                    "takes no part in the election"
                );
                return;
            }
        };
        // A sender that is gone means the same as its word.
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        let lead = || async {
            tracing::info!(component = self.name, "leads");
            let Err(error) = (self.lead)(connection.clone()).await;
            tracing::error!(component = self.name, error = chain(&error), "cannot lead");
        };
        Election::new(self.lease, identity).run_until(client, stopped, lead).await;
    }
}

/// Does the work of a component to its end, anew after each fault of it: it may hold the Lease, and then nobody else
/// would do its work.
async fn begin_anew<Attempt: Future<Output = ()>>(name: &str, attempt: impl Fn() -> Attempt) {
    // The panic's own message is in the log already.
    while AssertUnwindSafe(attempt()).catch_unwind().await.is_err() {
        tracing::error!(component = name, "ended in a fault of this server; begins anew");
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

/// The identity in the file, at this server.
async fn connect(kubeconfig: &Path, options: &ServerOptions) -> Result<Connection, String> {
    let cure = "To make it: keelson pki init --dir DIR --server NAME=HOST";
    let connection = Connection::from_kubeconfig(kubeconfig).await;
    let connection = connection.map_err(|error| format!("{}. {cure}", chain(&error)))?;
    let api = std::net::SocketAddr::new(options.advertise_address, options.listen.port());
    let url =
        format!("https://{api}").parse().map_err(|error| format!("https://{api} is no URL: {error}"))?;
    Ok(connection.at(url))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_component_that_fails_begins_anew_until_it_ends() {
        let attempts = Cell::new(0);
        let attempt = || async {
            attempts.set(attempts.get() + 1);
            assert_eq!(attempts.get(), 3, "the first two attempts fail");
        };
        begin_anew("test", attempt).await;
        assert_eq!(attempts.get(), 3);
    }
}
