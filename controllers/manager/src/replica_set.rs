//! ReplicaSets and ReplicationControllers: keeps the number of pods that each of them wants.
//!
//! In: objects of either kind (see `keeper`), and pods. Out: pods created, deleted, adopted and released, and the status of the sets.
//! Deliberately absent: what becomes of pods when their set is deleted; that is the garbage collector's.

mod act;
mod keeper;
mod plan;
mod rank;
#[cfg(test)]
mod samples;
mod status;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{
    Expectations, Informer, Next, ObjectKey, Reconcile, WorkQueue, controller_of, work,
};
use kube::Client;
use kube::core::Selector;

use self::act::{Actor, attempt};
use self::keeper::Keeper;
use self::plan::{Plan, plan};
use self::status::{Attempt, OwnPods, next_availability, status};
use self::watch::Watch;
use crate::claim::{ClaimError, Claimant, kin};
use crate::context::Context;
use crate::pod_control::PodControl;
use crate::pod_state;

/// How many sets are worked on at once.
const WORKERS: usize = 5;

/// Reconciles one set at a time.
struct Controller<K: Keeper> {
    client: Client,
    sets: Informer<K>,
    pods: Informer<Pod>,
    control: PodControl,
    expectations: Arc<Expectations>,
}

/// What did not work; all of it is worth another try.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot claim pods")]
    Claim(#[source] ClaimError),
    #[error("cannot create pods")]
    Create(#[source] kube::Error),
    #[error("cannot delete pods")]
    Delete(#[source] kube::Error),
    #[error("cannot write the status")]
    Status(#[source] kube::Error),
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    run_for::<ReplicaSet>(&context, client).await;
}

/// The same for ReplicationControllers.
pub(crate) async fn run_for_replication_controllers(context: Arc<Context>, client: Client) {
    run_for::<ReplicationController>(&context, client).await;
}

async fn run_for<K: Keeper>(context: &Context, client: Client) {
    let controller = Controller::<K>::new(context, client);
    let queue = WorkQueue::new(K::QUEUE);
    controller.watch(&queue);
    controller.sets.synced().await;
    controller.pods.synced().await;
    work(K::CONTROLLER, queue, WORKERS, Arc::new(controller)).await;
}

impl<K: Keeper> Reconcile for Controller<K> {
    type Key = ObjectKey;
    type Error = Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, Error> {
        let Some(set) = self.sets.get(key) else {
            self.expectations.forget(key);
            return Ok(Next::Done);
        };
        let unseen = self.expectations.wait(key);
        let Some(pods) = self.own_pods(&set).await? else { return Ok(Next::Done) };
        let actor = Actor {
            client: &self.client,
            pods: &self.control,
            expectations: &self.expectations,
            key,
            set: &*set,
        };
        let managed = if unseen.is_none() && set.meta().deletion_timestamp.is_none() {
            Some(self.manage(&actor, &pods).await)
        } else {
            None
        };
        let now = Timestamp::now();
        let attempt = managed.as_ref().map_or(Attempt::None, attempt);
        actor.tell(status(&*set, &pods, &attempt, now)).await?;
        managed.unwrap_or(Ok(()))?;
        let look_again = next_availability(&*set, &pods, now).into_iter().chain(unseen).min();
        Ok(look_again.map_or(Next::Done, after))
    }
}

impl<K: Keeper> Controller<K> {
    fn new(context: &Context, client: Client) -> Self {
        Self {
            sets: K::informer(context),
            pods: context.pods(),
            control: PodControl::new(client.clone(), context.recorder(K::CONTROLLER)),
            expectations: Arc::default(),
            client,
        }
    }

    fn watch(&self, queue: &WorkQueue<ObjectKey>) {
        let watch = || Watch {
            sets: self.sets.clone(),
            queue: queue.clone(),
            expectations: Arc::clone(&self.expectations),
        };
        let (of_sets, of_pods) = (watch(), watch());
        self.sets.on_change(move |change| of_sets.set_changed(change));
        self.pods.on_change(move |change| of_pods.pod_changed(change));
    }

    /// The set's own pods, after its claim. `None`: its selector makes no sense, so nothing is its own.
    async fn own_pods(&self, set: &K) -> Result<Option<OwnPods>, Error> {
        let selector = set.selector();
        let Ok(selector) = Selector::try_from(selector) else { return Ok(None) };
        let candidates = kin::candidates(&self.pods, set.meta());
        let (active, others): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|pod| pod_state::is_active(pod));
        let claimant = Claimant { client: &self.client, owner: set, selector: &selector, finalizer: None };
        let terminating = others
            .into_iter()
            .filter(|pod| pod_state::is_terminating(pod) && claimant.owns(&pod.metadata))
            .collect();
        let active = claimant.claim(active).await.map_err(Error::Claim)?;
        Ok(Some(OwnPods { active, terminating }))
    }

    async fn manage(&self, actor: &Actor<'_, K>, pods: &OwnPods) -> Result<(), Error> {
        let wanted = actor.set.replicas();
        match plan(usize::try_from(wanted).unwrap_or(0), pods.active.len()) {
            Plan::Nothing => Ok(()),
            Plan::Create(count) => actor.create(count).await,
            Plan::Delete(count) => {
                let related = self.related_pods(actor.set);
                let victims = rank::worst(pods.active.clone(), &related, count, Timestamp::now());
                actor.delete(victims).await
            }
        }
    }

    /// The pods of all sets with the same controller, mostly of one Deployment. A set without one is alone.
    fn related_pods(&self, set: &K) -> Vec<Arc<Pod>> {
        let of = |set: &K| kin::controlled_by(&self.pods, set.meta().uid.as_deref().unwrap_or_default());
        match controller_of(set.meta()) {
            None => of(set),
            Some(owner) => {
                kin::controlled_by(&self.sets, &owner.uid).iter().flat_map(|set| of(set)).collect()
            }
        }
    }
}

/// A little later than the moment itself, so that the moment has passed on every clock that counts in it.
fn after(rest: Duration) -> Next {
    Next::After(rest + Duration::from_millis(20))
}

#[cfg(test)]
mod tests;
