//! Informers of the outlines of everything that can be watched and deleted, and the graph that they feed.
//!
//! In: what the API serves, asked again after a while or when somebody names a kind that was not served. Out: objects
//! as they come and go, for the [`Collector`].
//!
//! Deliberately absent: a way to hear of new kinds at once. The API has none; custom resources wait half a minute.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keelson_controller_runtime::{Change, Informer, Outline};
use kube::{Client, api::ApiResource, runtime::watcher};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    catalogue::Catalogue,
    collector::Collector,
    identity::{Seen, Uid},
    objects::ApiObjects,
};

/// How often to ask what the API serves, as upstream does.
const DISCOVERY: Duration = Duration::from_secs(30);

/// At least this long between two such questions.
const BETWEEN: Duration = Duration::from_secs(5);

/// How long the end of deletions waits for an informer that does not come to know its kind.
const PATIENCE: Duration = Duration::from_secs(30);

/// The informers that run.
struct Monitors {
    client: Client,
    collector: Arc<Collector<ApiObjects>>,
    running: BTreeMap<(String, String), Monitor>,
}

/// One informer; it stops when this is dropped.
struct Monitor {
    informer: Informer<Outline>,
    _task: JoinSet<()>,
}

/// Keeps the informers in step with what the API serves. Never returns.
pub(super) async fn follow(client: Client, objects: Arc<ApiObjects>, collector: Arc<Collector<ApiObjects>>) {
    let mut monitors = Monitors { client: client.clone(), collector, running: BTreeMap::new() };
    loop {
        match discover(&client).await {
            Ok(catalogue) => {
                let wanted = catalogue.watched();
                objects.set_catalogue(catalogue);
                monitors.settle(wanted).await;
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot see what the API serves");
            }
        }
        sleep(BETWEEN).await;
        // Either is a reason to ask again.
        let _ = timeout(DISCOVERY - BETWEEN, objects.unknown_kind.notified()).await;
    }
}

async fn discover(client: &Client) -> Result<Catalogue, kube::Error> {
    let core = client.list_core_api_versions_aggregated().await?;
    let named = client.list_api_groups_aggregated().await?;
    Ok(Catalogue::new(&[core, named]))
}

impl Monitors {
    /// Starts and stops informers until exactly these run, and waits until they know what there is.
    async fn settle(&mut self, wanted: BTreeMap<(String, String), ApiResource>) {
        let dropped: Vec<_> =
            self.running.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in dropped {
            tracing::info!(api_version = name.0, kind = name.1, "the API does not serve this kind any more");
            self.running.remove(&name);
            self.collector.lose_sight(&name.0, &name.1);
        }
        let added: Vec<_> = wanted.into_iter().filter(|(name, _)| !self.running.contains_key(name)).collect();
        if added.is_empty() {
            return;
        }
        self.collector.set_complete(false);
        for (name, resource) in added {
            self.running.insert(name, self.start(&resource));
        }
        let all_synced = async {
            for monitor in self.running.values() {
                monitor.informer.synced().await;
            }
        };
        if timeout(PATIENCE, all_synced).await.is_err() {
            tracing::warn!("some kinds cannot be listed; deletions go on without knowing their objects");
        }
        self.collector.set_complete(true);
    }

    fn start(&self, resource: &ApiResource) -> Monitor {
        let informer = Informer::outlines(self.client.clone(), resource, watcher::Config::default());
        let collector = Arc::clone(&self.collector);
        let (api_version, kind) = (resource.api_version.clone(), resource.kind.clone());
        informer.on_change(move |change| match change {
            Change::Added(object) | Change::Updated { new: object, .. } => {
                collector.observe(&Seen::new(&api_version, &kind, &object.metadata));
            }
            Change::Deleted(object) => {
                collector.gone(&Uid::from(object.metadata.uid.as_deref().unwrap_or_default()));
            }
        });
        let mut task = JoinSet::new();
        task.spawn(informer.clone().run());
        Monitor { informer, _task: task }
    }
}
