//! Carries one round for a Job out.
//!
//! In: the Job, its own pods, what the ledger knows. Out: requests to the API, and events. What is asked for is
//! expected, so that no second round begins before the cache shows the first; what fails is no longer expected.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobStatus},
        core::v1::ObjectReference,
    },
    jiff::Timestamp,
};
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Next, ObjectKey, is_controlled_by, reference_to};
use kube::{
    Api,
    api::{ListParams, PostParams},
    core::Selector,
};
use serde_json::json;

use super::{
    Controller, Error,
    accounting::{self, Closing},
    ledger::{Acquaintance, Listing},
    orphans::without_finalizer,
    plan::{Step, plan},
    pods::{TRACKING, has_finalizer, uid},
    status::{Deeds, Turn, draft},
    template,
    terms::Terms,
    verdict::Verdict,
    view::{View, count},
};
use crate::{
    changes::this_second,
    pod_control::{Deletion, IN_FLIGHT, is_namespace_terminating, slow_start},
    pod_state::is_ready,
    refusals::is_gone,
};

/// A little later than the moment itself, so that it has passed on every clock that counts in it.
const MARGIN: Duration = Duration::from_millis(20);

/// Acts for one Job.
pub(super) struct Actor<'a> {
    pub(super) controller: &'a Controller,
    pub(super) key: &'a ObjectKey,
    pub(super) job: &'a Job,
    pub(super) terms: Terms<'a>,
    pub(super) selector: &'a Selector,
}

impl Actor<'_> {
    /// Does what is to be done, and tells it. `unseen`: for how long to wait for the cache, if it may not show everything
    /// that was done.
    pub(super) async fn round(
        &self,
        pods: Vec<Arc<Pod>>,
        acquaintance: Acquaintance,
        unseen: Option<Duration>,
    ) -> Result<Next, Error> {
        let has_seen_all = unseen.is_none();
        let ledger = &self.controller.ledger;
        let tracked = self.tracked(&pods, acquaintance).await?;
        let mut view = View::new(self.job, self.terms, pods, tracked);
        let now = Timestamp::now();
        let failures = ledger.failures(self.key).after(&view.newly_succeeded, &view.newly_failed);
        let plan = plan(&view, failures, has_seen_all, now);
        let (deeds, managed) = self.take(&view, &plan.step).await;
        ledger.keep_tracked(self.key, &mut view.tracked);
        self.account(view, &plan.step, deeds, has_seen_all).await?;
        managed?;
        let look_again = plan.look_again.into_iter().chain(unseen).min();
        Ok(look_again.map_or(Next::Done, |delay| Next::After(delay + MARGIN)))
    }

    /// The uids of the pods that have yet to be counted. If somebody else may have counted some, which the cache need
    /// not show, the API is asked.
    async fn tracked(&self, pods: &[Arc<Pod>], acquaintance: Acquaintance) -> Result<HashSet<String>, Error> {
        let ledger = &self.controller.ledger;
        if acquaintance == Acquaintance::Known
            && let Some(tracked) = ledger.tracked(self.key, pods)
        {
            return Ok(tracked);
        }
        let (tracked, as_of) = self.list_tracked().await?;
        if let Some(as_of) = as_of {
            // Otherwise the cache has yet to show some, and it takes another look.
            let shown: HashSet<_> = pods.iter().map(|pod| uid(pod)).collect();
            let are_shown = tracked.iter().all(|uid| shown.contains(&**uid));
            ledger.learn(self.key, self.job, Listing { as_of, tracked: tracked.clone() }, are_shown);
        }
        Ok(tracked)
    }

    /// The uids of the Job's pods that have the finalizer now, and the version as of which this is so.
    async fn list_tracked(&self) -> Result<(HashSet<String>, Option<u64>), Error> {
        let pods: Api<Pod> = Api::namespaced(self.controller.client.clone(), &self.key.namespace);
        let selected = ListParams::default().labels_from(self.selector);
        let live = pods.list_metadata(&selected).await.map_err(Error::List)?;
        let as_of = live.metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
        let job_uid = self.job.metadata.uid.as_deref().unwrap_or_default();
        let tracked = live.items.into_iter().map(|pod| pod.metadata).filter(|metadata| {
            let has_finalizer = metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING);
            has_finalizer && is_controlled_by(metadata, job_uid)
        });
        Ok((tracked.filter_map(|metadata| metadata.uid).collect(), as_of))
    }

    async fn take(&self, view: &View<'_>, step: &Step) -> (Deeds, Result<(), Error>) {
        match step {
            Step::Hold | Step::Rest => (Deeds::default(), Ok(())),
            Step::End(_) => self.delete(&view.active).await,
            Step::Remove(pods) => self.remove(pods).await,
            Step::Track(pods) => (Deeds::default(), self.track(pods).await),
            Step::Create(indexes) => self.create(view, indexes).await,
        }
    }

    /// Creates pods, one for each entry.
    async fn create(&self, view: &View<'_>, indexes: &[Option<usize>]) -> (Deeds, Result<(), Error>) {
        let Controller { control, expectations, .. } = self.controller;
        let awaiting = view.indexes.as_ref().map(|indexes| &indexes.awaiting_replacement);
        let pod_of = |index: usize| {
            let replaced = awaiting.and_then(|awaiting| awaiting.get(&index));
            template::pod_of_index(self.job, index, replaced.map(|pod| &**pod))
        };
        let new: Option<Vec<_>> =
            indexes.iter().map(|index| index.map_or_else(|| template::pod(self.job), pod_of)).collect();
        let Some(new) = new else { return (Deeds::default(), Ok(())) };
        let (owner, new) = (&reference_to(self.job), &new);
        expectations.expect_creations(self.key, new.len());
        let started =
            slow_start(new.len(), |place| async move { control.create(owner, &new[place]).await }).await;
        for _ in started.succeeded..new.len() {
            expectations.creation_observed(self.key);
        }
        let deeds = Deeds { created: started.succeeded, ..Deeds::default() };
        match started.error {
            // Nothing can be done, and nothing needs to be.
            Some(error) if is_namespace_terminating(&error) => (deeds, Ok(())),
            Some(error) => (deeds, Err(Error::Create(error))),
            None => (deeds, Ok(())),
        }
    }

    /// Deletes pods. They stay until they are counted, except for those that another controller has removed as surplus
    /// ones.
    async fn delete(&self, pods: &[Arc<Pod>]) -> (Deeds, Result<(), Error>) {
        let owner = &reference_to(self.job);
        let deletions =
            stream::iter(pods.to_vec()).map(|pod| async move { self.delete_one(owner, &pod).await });
        deeds(deletions.buffer_unordered(IN_FLIGHT).collect().await)
    }

    async fn delete_one(&self, owner: &ObjectReference, pod: &Pod) -> (bool, Result<(), Error>) {
        let deletion = self.controller.control.delete(owner, pod).await;
        let is_tracked = match &deletion {
            Ok(Deletion::Accepted(Some(last))) => has_finalizer(last),
            Ok(Deletion::Accepted(None)) | Err(_) => true,
            Ok(Deletion::WasGone) => false,
        };
        if !is_tracked {
            self.controller.ledger.gone(self.key, uid(pod));
        }
        (is_ready(pod), deletion.map(drop).map_err(Error::Delete))
    }

    /// Deletes pods that need not be counted.
    async fn remove(&self, pods: &[Arc<Pod>]) -> (Deeds, Result<(), Error>) {
        let owner = &reference_to(self.job);
        let uids = pods.iter().map(|pod| uid(pod).to_owned());
        self.controller.expectations.expect_deletions(self.key, uids);
        let removals =
            stream::iter(pods.to_vec()).map(|pod| async move { self.remove_one(owner, &pod).await });
        deeds(removals.buffer_unordered(IN_FLIGHT).collect().await)
    }

    async fn remove_one(&self, owner: &ObjectReference, pod: &Pod) -> (bool, Result<(), Error>) {
        // Of the pod as it was seen: one that has ended meanwhile is counted.
        let result = match self.release(pod, pod.metadata.resource_version.as_deref()).await {
            Ok(()) => self.controller.control.delete(owner, pod).await.map_err(Error::Delete),
            Err(error) => Err(error),
        };
        match &result {
            Ok(Deletion::Accepted(_)) => {}
            Ok(Deletion::WasGone) | Err(_) => {
                self.controller.expectations.deletion_observed(self.key, uid(pod));
            }
        }
        (is_ready(pod), result.map(drop))
    }

    /// Gives pods the finalizer back, as they were seen: one that has ended meanwhile may have been counted.
    async fn track(&self, pods: &[Arc<Pod>]) -> Result<(), Error> {
        for pod in pods {
            let version = &pod.metadata.resource_version;
            let metadata = json!({"uid": uid(pod), "resourceVersion": version, "finalizers": [TRACKING]});
            let patch = json!({ "metadata": metadata });
            match self.controller.control.patch(pod, &patch).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(Error::Track(error)),
            }
        }
        Ok(())
    }

    /// Takes the finalizer from a pod, if it still has this version. From then on it may vanish.
    async fn release(&self, pod: &Pod, version: Option<&str>) -> Result<(), Error> {
        let Controller { control, ledger, .. } = self.controller;
        if !has_finalizer(pod) {
            return Ok(());
        }
        match control.patch(pod, &without_finalizer(pod, version)).await {
            Ok(released) => {
                ledger.released(self.key, uid(pod), &released.metadata);
                Ok(())
            }
            Err(error) if is_gone(&error) => {
                ledger.gone(self.key, uid(pod));
                Ok(())
            }
            // Whether it still has the finalizer nobody knows. As long as that is so it is not counted.
            Err(error) => Err(Error::Release(error)),
        }
    }

    /// Counts the pods that have ended, in three phases (`accounting.rs`).
    async fn account(
        &self,
        view: View<'_>,
        step: &Step,
        deeds: Deeds,
        has_seen_all: bool,
    ) -> Result<(), Error> {
        let ledger = &self.controller.ledger;
        let now = this_second();
        let draft = draft(&view, step, deeds, has_seen_all, now);
        let turn = draft.turn;
        let account = accounting::open(&view, draft, now);
        let written = self.write(self.job, account.status.clone()).await?;
        self.tell_turn(turn);
        let counted = |pods: &[Arc<Pod>]| -> Vec<Arc<Pod>> {
            let is_counted = |pod: &Arc<Pod>| account.release.iter().any(|it| uid(it) == uid(pod));
            pods.iter().filter(|pod| is_counted(pod)).cloned().collect()
        };
        let failures = ledger.failures(self.key);
        ledger.set_failures(
            self.key,
            failures.after(&counted(&view.newly_succeeded), &counted(&view.newly_failed)),
        );
        let mut tracked = view.tracked;
        let releases = stream::iter(account.release.clone())
            .map(|pod| async move { (uid(&pod).to_owned(), self.release(&pod, None).await) });
        let results: Vec<_> = releases.buffer_unordered(IN_FLIGHT).collect().await;
        let mut failed = Ok(());
        for (uid, result) in results {
            match result {
                Ok(()) => drop(tracked.remove(&uid)),
                Err(error) => failed = Err(error),
            }
        }
        let Closing { status, verdict } = accounting::close(account, &tracked, this_second());
        let ended = self.write(&written, status).await?;
        if let Some(verdict) = verdict {
            self.tell_end(&verdict, &ended);
        }
        failed
    }

    /// Writes the status if it says anything new; answers with the Job as it is then.
    async fn write(&self, job: &Job, status: JobStatus) -> Result<Job, Error> {
        if job.status.as_ref() == Some(&status) {
            return Ok(job.clone());
        }
        let jobs: Api<Job> = Api::namespaced(self.controller.client.clone(), &self.key.namespace);
        let wanted = Job { status: Some(status), ..job.clone() };
        let written = jobs.replace_status(&self.key.name, &PostParams::default(), &wanted).await;
        let written = written.map_err(Error::Status)?;
        self.controller.ledger.wrote(self.key, job, &written);
        Ok(written)
    }

    fn tell_turn(&self, turn: Turn) {
        let (events, job) = (&self.controller.events, &reference_to(self.job));
        match turn {
            Turn::None => {}
            Turn::Suspended => events.normal(job, "Suspended", "Job suspended"),
            Turn::Resumed => events.normal(job, "Resumed", "Job resumed"),
        }
    }

    fn tell_end(&self, verdict: &Verdict, job: &Job) {
        let (events, object) = (&self.controller.events, &reference_to(job));
        match verdict {
            Verdict::Failure(why) => events.warning(object, event_reason(&why.reason), why.message.clone()),
            Verdict::Success(_) => {
                let succeeded = count(job.status.as_ref().and_then(|status| status.succeeded));
                if self.terms.completions().is_some_and(|wanted| succeeded > wanted) {
                    let message = "Too many succeeded pods running after completion count reached";
                    events.warning(object, "TooManySucceededPods", message);
                }
                events.normal(object, "Completed", "Job completed");
            }
        }
    }
}

/// What became of deletions, each of a pod that was ready or not.
fn deeds(results: Vec<(bool, Result<(), Error>)>) -> (Deeds, Result<(), Error>) {
    let (mut deeds, mut failed) = (Deeds::default(), Ok(()));
    for (was_ready, result) in results {
        match result {
            Ok(()) => {
                deeds.removed += 1;
                deeds.removed_ready += usize::from(was_ready);
            }
            Err(error) => failed = Err(error),
        }
    }
    (deeds, failed)
}

/// The reason of the event that tells of a failure. A condition may have been written by anybody.
fn event_reason(reason: &str) -> &'static str {
    const KNOWN: [&str; 5] = [
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "FailedIndexes",
        "MaxFailedIndexesExceeded",
        "PodFailurePolicy",
    ];
    KNOWN.into_iter().find(|known| *known == reason).unwrap_or("Failed")
}
