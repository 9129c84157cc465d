//! What a Job has to hear of: changes of it, and of pods that are its own or may become so.
//!
//! In: changes of the caches. Out: keys of Jobs and of orphaned pods in queues, and expectations that are fulfilled.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::batch::v1::{Job, JobCondition},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Change, Expectations, Informer, ObjectKey, WorkQueue, controller_of};

use super::{
    ledger::Ledger,
    pods::{has_finalizer, uid},
    verdict::is_finished,
};
use crate::claim::kin;

/// How long to wait for more changes of pods, so that pods that end together are counted together. Upstream waits a
/// second.
const BATCH: Duration = Duration::from_millis(200);

/// Who listens.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) jobs: Informer<Job>,
    pub(super) pods: Informer<Pod>,
    pub(super) queue: WorkQueue<ObjectKey>,
    /// Pods that may have lost their Job, and with it whoever takes their finalizer away.
    pub(super) orphans: WorkQueue<ObjectKey>,
    pub(super) expectations: Arc<Expectations>,
    pub(super) ledger: Arc<Ledger>,
}

impl Watch {
    pub(super) fn job_changed(&self, change: &Change<Job>) {
        match change {
            Change::Added(job) => {
                self.queue.add(ObjectKey::of(&**job));
                self.enqueue_pods_of_finished(job);
            }
            Change::Updated { old, new } => {
                let key = ObjectKey::of(&**new);
                match old.metadata.generation == new.metadata.generation {
                    true => self.queue.add_after(key, BATCH),
                    false => self.queue.add(key),
                }
                self.enqueue_pods_of_finished(new);
            }
            Change::Deleted(job) => {
                // Another Job may get the name at once, and must not wait for what this one did.
                let key = ObjectKey::of(&**job);
                self.expectations.forget(&key);
                self.ledger.forget(&key);
                self.enqueue_pods(job);
            }
        }
    }

    pub(super) fn pod_changed(&self, change: &Change<Pod>) {
        match change {
            Change::Added(pod) | Change::Updated { new: pod, .. }
                if pod.metadata.deletion_timestamp.is_some() =>
            {
                self.pod_leaving(pod);
            }
            Change::Added(pod) => match kin::owner_of(&self.jobs, &pod.metadata) {
                Some(job) => {
                    self.expectations.creation_observed(&ObjectKey::of(&*job));
                    self.enqueue(&job, pod);
                }
                None => self.pod_orphaned(pod),
            },
            Change::Updated { old, new } => self.pod_updated(old, new),
            Change::Deleted(pod) => self.pod_leaving(pod),
        }
    }

    fn pod_updated(&self, old: &Pod, new: &Pod) {
        let changed_hands = controller_of(&old.metadata) != controller_of(&new.metadata);
        let owners = [changed_hands.then_some(old), Some(new)];
        for job in owners.into_iter().flatten().filter_map(|pod| kin::owner_of(&self.jobs, &pod.metadata)) {
            self.enqueue(&job, new);
        }
        if changed_hands || old.metadata.labels != new.metadata.labels {
            self.pod_orphaned(new);
        }
    }

    /// A pod that has a deletion time will not come back: the Job need not wait for its end.
    fn pod_leaving(&self, pod: &Pod) {
        let Some(job) = kin::owner_of(&self.jobs, &pod.metadata) else { return self.enqueue_orphan(pod) };
        let key = ObjectKey::of(&*job);
        self.expectations.deletion_observed(&key, uid(pod));
        self.enqueue(&job, pod);
    }

    /// Tells those that may adopt the pod, if it is an orphan.
    fn pod_orphaned(&self, pod: &Pod) {
        if controller_of(&pod.metadata).is_some() {
            return;
        }
        self.enqueue_orphan(pod);
        let suitors = kin::suitors(&self.jobs, &pod.metadata, selector);
        suitors.into_iter().for_each(|key| self.queue.add_after(key, BATCH));
    }

    /// Pods of a Job that has ended should have no finalizer left; this is a safety net.
    fn enqueue_pods_of_finished(&self, job: &Job) {
        if is_finished(conditions(job)) {
            self.enqueue_pods(job);
        }
    }

    fn enqueue_pods(&self, job: &Job) {
        for pod in kin::controlled_by(&self.pods, job.metadata.uid.as_deref().unwrap_or_default()) {
            self.enqueue_orphan(&pod);
        }
    }

    fn enqueue_orphan(&self, pod: &Pod) {
        if has_finalizer(pod) {
            self.orphans.add(ObjectKey::of(pod));
        }
    }

    /// Something has become of a pod of the Job.
    fn enqueue(&self, job: &Job, pod: &Pod) {
        match is_finished(conditions(job)) {
            // Nobody counts the pod any more.
            true => self.enqueue_orphan(pod),
            false => self.queue.add_after(ObjectKey::of(job), BATCH),
        }
    }
}

/// What the Job selects; a Job without a selector selects nothing.
fn selector(job: &Job) -> LabelSelector {
    job.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default()
}

fn conditions(job: &Job) -> &[JobCondition] {
    job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}
