//! Deployments: replaces the pods of one template by those of the next, through one ReplicaSet for each template.
//!
//! In: Deployments, their ReplicaSets, and, where a Deployment waits for the end of its old pods, pods. Out:
//! ReplicaSets created, scaled, adopted, released and forgotten, and the status of the Deployments. Deliberately
//! absent: pods, which are the ReplicaSets' business, and the rollback of `extensions/v1beta1`: clients undo a rollout
//! by writing the former template again.

mod act;
mod amount;
mod annotations;
mod bounds;
mod conditions;
mod draft;
mod freshness;
mod plan;
mod rolling;
mod rollout;
#[cfg(test)]
mod samples;
mod scaling;
#[cfg(test)]
mod simulation;
mod status;
mod template;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{EventRecorder, Informer, Next, ObjectKey, Reconcile, WorkQueue, work};
use kube::Client;
use kube::core::Selector;

use self::act::Actor;
use self::bounds::is_rolling;
use self::freshness::Freshness;
use self::plan::{Observed, plan};
use self::watch::Watch;
use crate::claim::{ClaimError, Claimant, kin};
use crate::context::Context;
use crate::pod_state;

/// The controller's name: in logs, and as the source of its events.
const NAME: &str = "deployment-controller";

/// How many deployments are worked on at once.
const WORKERS: usize = 5;

/// Reconciles one deployment at a time.
struct Controller {
    client: Client,
    events: EventRecorder,
    deployments: Informer<Deployment>,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    freshness: Arc<Freshness>,
}

/// What did not work; all of it is worth another try.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot claim replica sets")]
    Claim(#[source] ClaimError),
    #[error("cannot create the new replica set")]
    CreateSet(#[source] kube::Error),
    #[error("the name of the new replica set {0} was taken, and is free again")]
    NameTaken(String),
    #[error("cannot change a replica set")]
    UpdateSet(#[source] kube::Error),
    #[error("cannot delete a replica set that is too old to be kept")]
    DeleteSet(#[source] kube::Error),
    #[error("cannot write the status")]
    Status(#[source] kube::Error),
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let controller = Controller::new(&context, client);
    let queue = WorkQueue::new("deployment");
    controller.watch(&queue);
    controller.deployments.synced().await;
    controller.sets.synced().await;
    controller.pods.synced().await;
    work(NAME, queue, WORKERS, Arc::new(controller)).await;
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, Error> {
        let Some(deployment) = self.deployments.get(key) else { return Ok(Next::Done) };
        if let Some(rest) = self.freshness.wait(key) {
            // The change that is waited for brings the key again.
            return Ok(Next::After(rest));
        }
        let Ok(selector) = Selector::try_from(deployment.spec.selector.clone()) else {
            return Ok(Next::Done);
        };
        let claimant =
            Claimant { client: &self.client, owner: &*deployment, selector: &selector, finalizer: None };
        let candidates = kin::candidates(&self.sets, &deployment.metadata);
        let sets = claimant.claim(candidates).await.map_err(Error::Claim)?;
        let running = self.running(&deployment, &sets);
        let observed = Observed { deployment: &deployment, sets: &sets, running: &running };
        let plan = plan(&observed, Timestamp::now());
        let again = plan.again;
        let actor = Actor {
            client: &self.client,
            events: &self.events,
            freshness: &self.freshness,
            key,
            deployment: &deployment,
        };
        actor.carry_out(plan).await?;
        Ok(again.map_or(Next::Done, Next::After))
    }
}

impl Controller {
    fn new(context: &Context, client: Client) -> Self {
        Self {
            deployments: context.deployments(),
            sets: context.replica_sets(),
            pods: context.pods(),
            events: context.recorder(NAME),
            freshness: Arc::default(),
            client,
        }
    }

    fn watch(&self, queue: &WorkQueue<ObjectKey>) {
        let watch = || Watch {
            deployments: self.deployments.clone(),
            sets: self.sets.clone(),
            queue: queue.clone(),
            freshness: Arc::clone(&self.freshness),
        };
        let (of_deployments, of_sets, of_pods) = (watch(), watch(), watch());
        self.deployments.on_change(move |change| of_deployments.deployment_changed(change));
        self.sets.on_change(move |change| of_sets.set_changed(change));
        self.pods.on_change(move |change| of_pods.pod_changed(change));
    }

    /// The uids of those sets that have pods which have not ended, if the deployment waits for such.
    fn running(&self, deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> BTreeSet<String> {
        if is_rolling(deployment) {
            return BTreeSet::new();
        }
        let uids = sets.iter().filter_map(|set| set.metadata.uid.clone());
        let runs =
            |uid: &String| kin::controlled_by(&self.pods, uid).iter().any(|pod| !pod_state::is_terminal(pod));
        uids.filter(runs).collect()
    }
}

#[cfg(test)]
mod tests;
