//! Jobs: runs pods until enough of them have succeeded, or too many failed.
//!
//! In: Jobs and pods. Out: pods created, deleted, adopted and released, and the status of Jobs, in which every pod that
//! ends is counted exactly once. Deliberately absent: what becomes of pods when their Job is deleted (the garbage
//! collector's), and of Jobs that have ended (`ttl_after_finished.rs`).
//!
//! - `terms.rs`: what a Job asks for; `view.rs`: what its pods amount to; `verdict.rs`: how it ends; `plan.rs`: what to
//!   do about pods; `status.rs`, `accounting.rs`: what the status says (all pure)
//! - `act.rs`: carries all that out; `ledger.rs`: what it knows of its own writes
//! - `watch.rs`: when; `orphans.rs`: pods that no Job counts any more

mod accounting;
mod act;
mod backoff;
mod indexes;
mod ledger;
mod orphans;
mod plan;
mod pods;
mod policy;
mod status;
mod template;
mod terms;
#[cfg(test)]
mod testing;
mod verdict;
mod view;
mod watch;

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{
    EventRecorder, Expectations, Informer, Next, ObjectKey, Reconcile, WorkQueue, reference_to, work,
};
use kube::{Client, core::Selector};

use self::{
    act::Actor,
    ledger::{Acquaintance, Ledger},
    orphans::Orphans,
    pods::TRACKING,
    terms::{Terms, is_managed_elsewhere},
    watch::Watch,
};
use crate::{
    claim::{ClaimError, Claimant, kin},
    context::Context,
    pod_control::PodControl,
};

/// The controller's name: in logs, and as the source of its events.
const NAME: &str = "job-controller";

/// How many Jobs are worked on at once.
const WORKERS: usize = 5;

/// What did not work; all of it is worth another try.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot claim pods")]
    Claim(#[source] ClaimError),
    #[error("cannot list pods")]
    List(#[source] kube::Error),
    #[error("cannot create pods")]
    Create(#[source] kube::Error),
    #[error("cannot delete pods")]
    Delete(#[source] kube::Error),
    #[error("cannot give pods their finalizer back")]
    Track(#[source] kube::Error),
    #[error("cannot take the finalizer from pods")]
    Release(#[source] kube::Error),
    #[error("cannot write the status")]
    Status(#[source] kube::Error),
}

/// Reconciles one Job at a time.
struct Controller {
    client: Client,
    jobs: Informer<Job>,
    pods: Informer<Pod>,
    control: PodControl,
    events: EventRecorder,
    expectations: Arc<Expectations>,
    ledger: Arc<Ledger>,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let controller = Controller::new(&context, client);
    let orphans = Orphans {
        jobs: controller.jobs.clone(),
        pods: controller.pods.clone(),
        control: controller.control.clone(),
    };
    let (queue, orphan_queue) = (WorkQueue::new("job"), WorkQueue::new("job_orphan_pod"));
    controller.watch(&queue, &orphan_queue);
    controller.jobs.synced().await;
    controller.pods.synced().await;
    tokio::join!(
        work(NAME, queue, WORKERS, Arc::new(controller)),
        work(NAME, orphan_queue, 1, Arc::new(orphans)),
    );
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, Error> {
        let unfinished = self.jobs.get(key).filter(|job| !verdict::is_finished(conditions(job)));
        let Some(job) = unfinished else {
            self.expectations.forget(key);
            self.ledger.forget(key);
            return Ok(Next::Done);
        };
        let Some(spec) = job.spec.as_ref().filter(|_| !is_managed_elsewhere(&job)) else {
            return Ok(Next::Done);
        };
        let Some(terms) = Terms::of(spec) else {
            let message = "Skipped Job sync because completion mode is unknown";
            self.events.warning(&reference_to(&*job), "UnknownCompletionMode", message);
            return Ok(Next::Done);
        };
        let acquaintance = self.ledger.acquaintance(key, &job);
        if acquaintance == Acquaintance::Outdated {
            // The status that was written last is on its way, and brings this Job here again.
            return Ok(Next::Done);
        }
        // Before the pods are looked at, so that none appears in between.
        let unseen = self.expectations.wait(key);
        let selector = spec.selector.clone().unwrap_or_default();
        let Ok(selector) = Selector::try_from(selector) else { return Ok(Next::Done) };
        let pods = self.claim(&job, &selector).await?;
        let actor = Actor { controller: self, key, job: &job, terms, selector: &selector };
        actor.round(pods, acquaintance, unseen).await
    }
}

impl Controller {
    fn new(context: &Context, client: Client) -> Self {
        let events = context.recorder(NAME);
        Self {
            jobs: context.jobs(),
            pods: context.pods(),
            control: PodControl::new(client.clone(), events.clone()),
            events,
            expectations: Arc::default(),
            ledger: Arc::default(),
            client,
        }
    }

    fn watch(&self, queue: &WorkQueue<ObjectKey>, orphans: &WorkQueue<ObjectKey>) {
        let of_jobs = Watch {
            jobs: self.jobs.clone(),
            pods: self.pods.clone(),
            queue: queue.clone(),
            orphans: orphans.clone(),
            expectations: Arc::clone(&self.expectations),
            ledger: Arc::clone(&self.ledger),
        };
        let of_pods = of_jobs.clone();
        self.jobs.on_change(move |change| of_jobs.job_changed(change));
        self.pods.on_change(move |change| of_pods.pod_changed(change));
    }

    /// The Job's own pods; those that it adopts have the finalizer.
    async fn claim(&self, job: &Job, selector: &Selector) -> Result<Vec<Arc<Pod>>, Error> {
        let claimant = Claimant { client: &self.client, owner: job, selector, finalizer: Some(TRACKING) };
        let candidates = kin::candidates(&self.pods, &job.metadata);
        self.ledger.shown(&ObjectKey::of(job), &candidates);
        claimant.claim(candidates).await.map_err(Error::Claim)
    }
}

fn conditions(job: &Job) -> &[JobCondition] {
    job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
