//! Deletes Jobs some time after they have ended, if they say so.
//!
//! In: Jobs. Out: deletions, each of the very version of the Job that was judged. Deliberately absent: what becomes of
//! its pods; they go first, by the garbage collector.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::batch::v1::Job,
    jiff::{SignedDuration, Timestamp},
};
use keelson_controller_runtime::{Informer, Next, ObjectKey, Reconcile, WorkQueue, work};
use kube::{
    Api, Client,
    api::{DeleteParams, Preconditions, PropagationPolicy},
};

use crate::{changes::newest, context::Context};

/// The controller's name in logs.
const NAME: &str = "ttl-after-finished-controller";

/// How many Jobs are worked on at once.
const WORKERS: usize = 5;

/// A little later than the moment itself, so that it has passed on every clock that counts in it.
const MARGIN: Duration = Duration::from_millis(20);

/// What did not work; it is worth another try.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read the job")]
    Get(#[source] kube::Error),
    #[error("cannot delete the job")]
    Delete(#[source] kube::Error),
}

/// Reconciles one Job at a time.
struct Controller {
    client: Client,
    jobs: Informer<Job>,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let controller = Controller { client, jobs: context.jobs() };
    let queue = WorkQueue::new("ttl_jobs_to_delete");
    let enqueue = queue.clone();
    controller.jobs.on_change(move |change| {
        let job = newest(change);
        if time_left(job, Timestamp::now()).is_some() {
            enqueue.add(ObjectKey::of(&**job));
        }
    });
    controller.jobs.synced().await;
    work(NAME, queue, WORKERS, Arc::new(controller)).await;
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, Error> {
        let left = self.jobs.get(key).and_then(|job| time_left(&job, Timestamp::now()));
        match left {
            None => return Ok(Next::Done),
            Some(Duration::ZERO) => {}
            Some(left) => return Ok(Next::After(left + MARGIN)),
        }
        // The cache may be old, and the time may have been made longer meanwhile.
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &key.namespace);
        let Some(job) = jobs.get_opt(&key.name).await.map_err(Error::Get)? else { return Ok(Next::Done) };
        match time_left(&job, Timestamp::now()) {
            None => Ok(Next::Done),
            Some(Duration::ZERO) => delete(&jobs, &job).await,
            Some(left) => Ok(Next::After(left + MARGIN)),
        }
    }
}

async fn delete(jobs: &Api<Job>, job: &Job) -> Result<Next, Error> {
    let this_one = Preconditions {
        uid: job.metadata.uid.clone(),
        resource_version: job.metadata.resource_version.clone(),
    };
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        preconditions: Some(this_one),
        ..DeleteParams::default()
    };
    match jobs.delete(job.metadata.name.as_deref().unwrap_or_default(), &params).await {
        Ok(_) => Ok(Next::Done),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Next::Done),
        Err(error) => Err(Error::Delete(error)),
    }
}

/// How long the Job may still be there; `None` if it has not ended, may stay for ever, or is going already.
fn time_left(job: &Job, now: Timestamp) -> Option<Duration> {
    if job.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let after = SignedDuration::from_secs(job.spec.as_ref()?.ttl_seconds_after_finished?.into());
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let ended = conditions.iter().find(|condition| {
        matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
    })?;
    let end = ended.last_transition_time.as_ref()?.0.checked_add(after).ok()?;
    Some(Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::batch::v1::{JobCondition, JobSpec, JobStatus},
        apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::fake_api::{Call, Calls, fake_api, refusal};

    /// A Job that ended so many seconds ago.
    fn ended(ago: i64, ttl: Option<i32>) -> Job {
        let metadata = ObjectMeta {
            namespace: Some("shop".into()),
            name: Some("once".into()),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
            ..ObjectMeta::default()
        };
        let condition = JobCondition {
            type_: "Complete".into(),
            status: "True".into(),
            last_transition_time: Some(Time(Timestamp::now() - SignedDuration::from_secs(ago))),
            ..JobCondition::default()
        };
        let status = JobStatus { conditions: Some(vec![condition]), ..JobStatus::default() };
        let spec = JobSpec { ttl_seconds_after_finished: ttl, ..JobSpec::default() };
        Job { metadata, spec: Some(spec), status: Some(status) }
    }

    async fn reconcile(
        cached: Job,
        answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
    ) -> (Result<Next, Error>, Calls) {
        let (client, calls) = fake_api(answer);
        let controller = Controller { client, jobs: Informer::detached() };
        controller.jobs.apply(cached);
        (controller.reconcile(&ObjectKey::new("shop", "once")).await, calls)
    }

    fn live(job: &Job) -> impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static {
        let job = serde_json::to_value(job).unwrap();
        move |_| (200, job.clone())
    }

    #[tokio::test]
    async fn a_job_goes_when_its_time_is_over_and_only_if_it_is_still_the_same() {
        let (next, calls) = reconcile(ended(60, Some(60)), live(&ended(60, Some(60)))).await;
        assert_eq!(next.unwrap(), Next::Done);
        let path = "/apis/batch/v1/namespaces/shop/jobs/once";
        assert_eq!(calls.lines(), [format!("GET {path}"), format!("DELETE {path}")]);
        assert_eq!(
            calls.all()[1].body,
            json!({
                "propagationPolicy": "Foreground",
                "preconditions": {"uid": "u", "resourceVersion": "7"},
            })
        );
    }

    #[tokio::test]
    async fn a_job_stays_until_its_time_is_over_also_if_only_the_api_knows_of_more_time() {
        let minute = |next| matches!(next, Ok(Next::After(left)) if left.as_secs().abs_diff(60) <= 1);
        let (next, calls) = reconcile(ended(0, Some(60)), |_| refusal(500, "InternalError", "…")).await;
        assert!(minute(next));
        assert_eq!(calls.lines(), [""; 0]);
        let (next, calls) = reconcile(ended(60, Some(60)), live(&ended(60, Some(120)))).await;
        assert!(minute(next));
        assert_eq!(calls.lines().len(), 1);
    }

    #[test]
    fn a_job_without_a_time_or_without_an_end_stays() {
        let now = Timestamp::now();
        assert_eq!(time_left(&ended(60, None), now), None);
        let running = Job { status: None, ..ended(60, Some(0)) };
        assert_eq!(time_left(&running, now), None);
        let mut leaving = ended(60, Some(0));
        leaving.metadata.deletion_timestamp = Some(Time(now));
        assert_eq!(time_left(&leaving, now), None);
        assert_eq!(time_left(&ended(60, Some(0)), now), Some(Duration::ZERO));
    }
}
