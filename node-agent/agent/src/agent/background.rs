//! What the agent does all the time: each part in a task of its own.

use std::convert::Infallible;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use keelson_controller_runtime::{Change, Informer};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::workers::Workers;
use super::{Agent, Informers, Signals};
use crate::images::import::Import;
use crate::node::keeper::Keeper;
use crate::node::{health, lease};
use crate::pod::spec;
use crate::runtime::labels::Owner;
use crate::runtime::observed::InstanceState;
use crate::shared::Shared;
use crate::{housekeeping, log_rotation};

/// How often what was left behind is looked for, besides when there is a reason to.
const TIDY_PERIOD: Duration = Duration::from_secs(60);

/// How often logs are looked at.
const LOG_PERIOD: Duration = Duration::from_secs(10);

impl Agent {
    /// Runs all parts; they end when this is dropped.
    pub(super) async fn serve(self) -> Infallible {
        let Self {
            options,
            facts,
            shared,
            workers,
            informers,
            signals,
            recording,
            server,
            listener,
            certificates,
        } = self;
        let Informers { pods, node, services } = informers;
        let Signals { health, imported, node_changed, orphans } = signals;
        follow_pods(&pods, &shared, &workers);
        let changed = node_changed.clone();
        node.on_change(move |_| changed.notify_one());
        let mut parts = JoinSet::new();
        parts.spawn(recording);
        parts.spawn(async move { server.serve(listener, pending()).await });
        parts.spawn(endless(certificates.follow()));
        parts.spawn(pods.clone().run());
        parts.spawn(node.clone().run());
        parts.spawn(services.run());
        parts.spawn(endless(shared.statuses.clone().run()));
        let keeper = Keeper {
            options: options.clone(),
            facts,
            client: shared.client.clone(),
            runtime: shared.runtime.clone(),
            recorder: shared.recorder.clone(),
            health: health.subscribe(),
            node: node.clone(),
            changed: node_changed,
            ranges_told: Vec::new(),
        };
        parts.spawn(endless(keeper.run()));
        let runtime = shared.runtime.clone();
        parts.spawn(async move { match health::watch(&runtime, &health).await {} });
        parts.spawn(endless(renew_lease(shared.clone(), options.heartbeat.into())));
        parts.spawn(endless(observe(shared.clone(), orphans.clone())));
        parts.spawn(endless(rotate_logs(shared.clone())));
        parts.spawn(endless(tidy(shared.clone(), workers, pods, orphans)));
        parts.spawn(async move {
            if let Some(folder) = &options.images {
                import(&shared, folder).await;
            }
            imported.send_replace(true);
            // Whoever waits for images later asks the sender.
            pending::<()>().await;
        });
        ended(parts).await
    }
}

async fn endless(part: impl Future<Output = Infallible>) {
    match part.await {}
}

/// An agent that lacks a part is worse than one that is started again.
async fn ended(mut parts: JoinSet<()>) -> Infallible {
    match parts.join_next().await {
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Some(Ok(()) | Err(_)) | None => panic!("a part of the node agent has ended"),
    }
}

/// Every pod that the API binds to the node gets a worker.
fn follow_pods(pods: &Informer<Pod>, shared: &Arc<Shared>, workers: &Workers) {
    let (shared, workers) = (shared.clone(), workers.clone());
    pods.on_change(move |change| match change {
        Change::Added(pod) | Change::Updated { new: pod, .. } => {
            if let Some(record) = shared.registry.want(pod.clone()) {
                workers.begin(&shared, record);
            }
        }
        Change::Deleted(pod) => shared.registry.lose(spec::uid(pod)),
    });
}

async fn observe(shared: Arc<Shared>, orphans: Arc<Notify>) -> Infallible {
    let on_change = |owner: &Owner| match shared.registry.get(&owner.uid) {
        None => orphans.notify_one(),
        Some(record) => {
            record.wake();
            if record.is_busy() {
                // Its worker is in the middle of something; what has changed is told all the same.
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let Err(error) = shared.observe(&record).await {
                        tracing::debug!(%error, "a pod cannot be looked at");
                    }
                });
            }
        }
    };
    shared.observer.watch(on_change).await
}

async fn renew_lease(shared: Arc<Shared>, times: lease::Times) -> Infallible {
    let owner = || shared.node().and_then(|node| node.metadata.uid.clone());
    lease::keep(&shared.client, &shared.node_name, times, owner).await
}

async fn import(shared: &Shared, folder: &Path) {
    Import { runtime: &shared.runtime, folder, root: &shared.root }.run().await;
}

/// Looks for what was left behind, once the API and the runtime have told what they have.
async fn tidy(
    shared: Arc<Shared>,
    workers: Workers,
    pods: Informer<Pod>,
    orphans: Arc<Notify>,
) -> Infallible {
    pods.synced().await;
    shared.observer.listed().await;
    loop {
        for record in housekeeping::tidy(&shared).await {
            workers.begin(&shared, record);
        }
        // That the time is up is as good a reason as any other.
        let _ = timeout(TIDY_PERIOD, orphans.notified()).await;
    }
}

async fn rotate_logs(shared: Arc<Shared>) -> Infallible {
    loop {
        sleep(LOG_PERIOD).await;
        for record in shared.registry.all() {
            let observed = record.view().observed.clone();
            let is_running = |state: &InstanceState| matches!(state, InstanceState::Running { .. });
            for instance in
                observed.instances.iter().filter(|it| is_running(&it.state) && !it.log_path.is_empty())
            {
                let log = Path::new(&instance.log_path);
                if let Err(error) = log_rotation::rotate(&shared.runtime, &instance.id, log).await {
                    tracing::debug!(log = instance.log_path, %error, "the log is not rotated");
                }
            }
        }
    }
}
