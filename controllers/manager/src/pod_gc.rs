//! Removes pods that nobody else will: terminated ones when there are too many, pods of nodes that are gone, and pods
//! that are being deleted without ever having had a node.
//!
//! In: pods and nodes. Out: pods that are marked as failed, unless they ended by themselves, and deleted without grace.

mod plan;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::core::v1::{Node, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Change, Informer, Next, ObjectKey, Reconcile, WorkQueue, work};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;

use self::plan::{Cause, cause, is_out_of_service, node_name, surplus};
use crate::{
    context::{BY_NODE, Context},
    pod_control::IN_FLIGHT,
    pod_state::is_terminal,
    refusals::is_gone,
};

/// The controller's name in logs.
const NAME: &str = "pod-garbage-collector-controller";

/// How long a node has to be gone before its pods are removed. It may be on its way back, or this cache behind.
const QUARANTINE: Duration = Duration::from_secs(40);

/// How long to wait for more pods to end before they are counted.
const BATCH: Duration = Duration::from_secs(1);

/// What did not work; it is worth another try.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot look for the node")]
    Node(#[source] kube::Error),
    #[error("cannot mark the pod as failed")]
    Mark(#[source] kube::Error),
    #[error("cannot delete the pod")]
    Delete(#[source] kube::Error),
}

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// All pods: whether too many have ended.
    Terminated,
    /// The pods of a node.
    Node(String),
    /// A pod without a node.
    Pod(ObjectKey),
}

/// Looks at one place at a time.
struct Collector {
    client: Client,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    threshold: usize,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let (pods, nodes) = (context.pods(), context.nodes());
    // First all nodes, so that no pod seems to be without one.
    nodes.synced().await;
    pods.synced().await;
    let threshold = match context.options().terminated_pod_threshold {
        0 => usize::MAX,
        threshold => threshold,
    };
    let collector = Arc::new(Collector { client, pods, nodes, threshold });
    let queue = WorkQueue::new("orphaned_pods_nodes");
    watch(&collector, &queue);
    work(NAME, queue, 1, collector).await;
}

fn watch(collector: &Arc<Collector>, queue: &WorkQueue<Place>) {
    let (of_nodes, of_pods) = (queue.clone(), queue.clone());
    let nodes = collector.nodes.clone();
    collector.nodes.on_change(move |change| match change {
        Change::Deleted(node) => of_nodes.add_after(Place::Node(name_of(node)), QUARANTINE),
        Change::Added(node) | Change::Updated { new: node, .. } if is_out_of_service(node) => {
            of_nodes.add(Place::Node(name_of(node)));
        }
        Change::Added(_) | Change::Updated { .. } => {}
    });
    let (pods, threshold) = (collector.pods.clone(), collector.threshold);
    collector.pods.on_change(move |change| {
        let (Change::Added(pod) | Change::Updated { new: pod, .. }) = change else { return };
        if is_terminal(pod) && pods.len() > threshold {
            of_pods.add_after(Place::Terminated, BATCH);
        }
        match node_name(pod) {
            None if cause(pod, None).is_some() => of_pods.add(Place::Pod(ObjectKey::of(&**pod))),
            None => {}
            Some(name) => match nodes.get(&ObjectKey::new("", name)) {
                None => of_pods.add_after(Place::Node(name.to_owned()), QUARANTINE),
                Some(node) if cause(pod, Some(&node)).is_some() => {
                    of_pods.add(Place::Node(name.to_owned()));
                }
                Some(_) => {}
            },
        }
    });
}

fn name_of(node: &Node) -> String {
    node.metadata.name.clone().unwrap_or_default()
}

impl Reconcile for Collector {
    type Key = Place;
    type Error = Error;

    async fn reconcile(&self, place: &Place) -> Result<Next, Error> {
        match place {
            Place::Terminated => {
                let surplus = surplus(self.pods.list(), self.threshold);
                self.each(surplus, |pod| self.delete(pod)).await?;
            }
            Place::Node(name) => self.sweep(name).await?,
            Place::Pod(key) => {
                if let Some(pod) = self.pods.get(key)
                    && node_name(&pod).is_none()
                    && let Some(cause) = cause(&pod, None)
                {
                    self.remove(pod, cause).await?;
                }
            }
        }
        Ok(Next::Done)
    }
}

impl Collector {
    /// Removes the pods of a node that need it.
    async fn sweep(&self, name: &str) -> Result<(), Error> {
        let node = self.nodes.get(&ObjectKey::new("", name));
        let pods = self.pods.by_index(BY_NODE, name);
        if pods.is_empty() || (node.is_none() && self.exists(name).await?) {
            return Ok(());
        }
        let doomed =
            pods.into_iter().filter_map(|pod| cause(&pod, node.as_deref()).map(|cause| (pod, cause)));
        self.each(doomed.collect(), |(pod, cause)| self.remove(pod, cause)).await
    }

    /// Asks the API itself: a cache may be behind.
    async fn exists(&self, node: &str) -> Result<bool, Error> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        Ok(nodes.get_metadata_opt(node).await.map_err(Error::Node)?.is_some())
    }

    async fn each<T, Fut>(&self, all: Vec<T>, deed: impl Fn(T) -> Fut) -> Result<(), Error>
    where
        Fut: Future<Output = Result<(), Error>>,
    {
        stream::iter(all).map(deed).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// Marks a pod as failed and deletes it. Whoever waits for its end will not hear of it from a node.
    async fn remove(&self, pod: Arc<Pod>, cause: Cause) -> Result<(), Error> {
        tracing::info!(pod = %ObjectKey::of(&*pod), ?cause, "removing a pod that its node will not remove");
        if !is_terminal(&pod) {
            self.mark(&pod, cause).await?;
        }
        self.delete(pod).await
    }

    async fn mark(&self, pod: &Pod, cause: Cause) -> Result<(), Error> {
        let condition = match cause {
            Cause::NodeGone => Some("PodGC: node no longer exists"),
            Cause::OutOfService | Cause::NeverScheduled => None,
        };
        let conditions = condition.map(|message| {
            vec![PodCondition {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
                reason: Some("DeletionByPodGC".to_owned()),
                message: Some(message.to_owned()),
                last_transition_time: Some(Time(Timestamp::now())),
                observed_generation: pod.metadata.generation,
                ..PodCondition::default()
            }]
        });
        let mut status = json!({"phase": "Failed"});
        if let Some(conditions) = conditions {
            status["conditions"] = json!(conditions);
        }
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let patched =
            self.api(pod).patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await;
        unless_gone(patched).map_err(Error::Mark)
    }

    async fn delete(&self, pod: Arc<Pod>) -> Result<(), Error> {
        let only_this = Preconditions { uid: pod.metadata.uid.clone(), ..Preconditions::default() };
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(only_this),
            ..DeleteParams::default()
        };
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        unless_gone(self.api(&pod).delete(name, &params).await).map_err(Error::Delete)
    }

    fn api(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), pod.metadata.namespace.as_deref().unwrap_or_default())
    }
}

/// That the pod is gone, or another one has its name, is as good as done.
fn unless_gone<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(error) if is_gone(&error) => Ok(()),
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests;
