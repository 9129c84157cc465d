//! The controller against an API that keeps one Job and its pods, with caches that are filled by hand.

mod model;

use k8s_openapi::{
    api::batch::v1::JobStatus, apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp,
};
use keelson_controller_runtime::RecordedEvent;
use proptest::prelude::*;
use tokio::sync::mpsc;

use self::model::{Act, Failing, Kind, World};
use super::*;
use crate::job::testing::{at, indexed, job, pod, released, with};

/// A round after which the cache shows everything.
async fn round(world: &mut World) -> Result<Next, Error> {
    world.show_all(0);
    let result = world.round(0).await;
    world.show_all(0);
    result
}

fn kinds(job: &Job) -> Vec<&str> {
    conditions(job).iter().filter(|it| it.status == "True").map(|it| it.type_.as_str()).collect()
}

fn told(events: &mut mpsc::Receiver<RecordedEvent>) -> Vec<String> {
    let told = std::iter::from_fn(|| events.try_recv().ok());
    told.map(|event| format!("{} {} {}", event.kind, event.reason, event.message)).collect()
}

#[tokio::test]
async fn a_job_runs_to_its_end() {
    let mut world = World::new(with(job(2), |spec| spec.parallelism = Some(2)), 1);
    round(&mut world).await.unwrap();
    assert_eq!(
        told(world.events(0)),
        ["Normal SuccessfulCreate Created pod: once-0", "Normal SuccessfulCreate Created pod: once-1"]
    );
    assert_eq!(world.requests(), 3, "for two pods and one status");
    world.end(0, true);
    round(&mut world).await.unwrap();
    let status = world.job().status.unwrap();
    assert_eq!((status.active, status.succeeded), (Some(1), Some(1)));
    assert_eq!(kinds(&world.job()), [""; 0]);
    world.end(1, true);
    round(&mut world).await.unwrap();
    let ended = world.job();
    assert_eq!(kinds(&ended), ["SuccessCriteriaMet", "Complete"]);
    let status = ended.status.unwrap();
    assert_eq!(
        (status.active, status.ready, status.terminating, status.succeeded),
        (None, Some(0), Some(0), Some(2))
    );
    assert_eq!(status.uncounted_terminated_pods, Some(Default::default()));
    assert!(world.pods().iter().all(|pod| !pods::has_finalizer(pod)));
    assert_eq!(told(world.events(0)), ["Normal Completed Job completed"]);
}

#[tokio::test]
async fn a_job_fails_and_takes_its_pods_with_it() {
    let hopeless = with(job(5), |spec| {
        spec.parallelism = Some(2);
        spec.backoff_limit = Some(0);
    });
    let mut world = World::new(hopeless, 1);
    round(&mut world).await.unwrap();
    world.end(0, false);
    round(&mut world).await.unwrap();
    assert_eq!(kinds(&world.job()), ["FailureTarget"], "the other pod is on its way out");
    assert_eq!(world.pods().len(), 1, "and gone now");
    round(&mut world).await.unwrap();
    assert_eq!(kinds(&world.job()), ["FailureTarget", "Failed"]);
    assert_eq!(world.job().status.unwrap().failed, Some(2));
    let told = told(world.events(0));
    assert_eq!(
        told[2..],
        [
            "Normal SuccessfulDelete Deleted pod: once-1",
            "Warning BackoffLimitExceeded Job has reached the specified backoff limit",
        ]
    );
}

#[tokio::test]
async fn a_suspended_job_has_no_pods_and_a_resumed_one_has_new_ones() {
    let mut world = World::new(job(3), 1);
    round(&mut world).await.unwrap();
    world.change_spec(|spec| spec.suspend = Some(true));
    round(&mut world).await.unwrap();
    assert_eq!(world.pods().len(), 0);
    assert_eq!(kinds(&world.job()), ["Suspended"]);
    let status = world.job().status.unwrap();
    assert_eq!((status.active, status.failed, status.start_time), (None, None, None));
    round(&mut world).await.unwrap();
    world.change_spec(|spec| spec.suspend = Some(false));
    round(&mut world).await.unwrap();
    assert_eq!(world.pods().len(), 1);
    assert_eq!(kinds(&world.job()), [""; 0]);
    let reasons: Vec<_> =
        told(world.events(0)).iter().map(|it| it.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(reasons, ["SuccessfulCreate", "SuccessfulDelete", "Suspended", "SuccessfulCreate", "Resumed"]);
}

#[tokio::test]
async fn a_failed_pod_is_replaced_after_ten_seconds() {
    let mut world = World::new(job(1), 1);
    round(&mut world).await.unwrap();
    world.change_pod(0, |pod| {
        let failed = testing::exited(pod.clone(), 1, Timestamp::now().as_second());
        *pod = failed;
        pod.status.as_mut().unwrap().phase = Some("Failed".into());
    });
    let Ok(Next::After(wait)) = round(&mut world).await else { panic!("it has to wait") };
    assert!((8..=11).contains(&wait.as_secs()), "{wait:?}");
    // Counted and released, the failure is still remembered.
    let Ok(Next::After(wait)) = round(&mut world).await else { panic!("it still has to wait") };
    assert!((8..=11).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!((world.pods().len(), world.job().status.unwrap().failed), (1, Some(1)));
}

#[tokio::test]
async fn no_pod_is_created_twice_because_the_cache_is_slow() {
    let mut world = World::new(job(1), 1);
    world.show_all(0);
    for _ in 0..3 {
        world.round(0).await.unwrap();
    }
    assert_eq!(world.pods().len(), 1);
    world.act(&Act::Show { leader: 0, kind: Kind::Job }).await;
    let again = world.round(0).await.unwrap();
    assert_eq!(world.pods().len(), 1);
    assert!(matches!(again, Next::After(_)), "should it never show, nothing else brings the Job again");
}

/// The status of a Job that has ended.
fn ended() -> JobStatus {
    JobStatus {
        conditions: Some(vec![testing::holds("Complete", "CompletionsReached")]),
        ..JobStatus::default()
    }
}

#[tokio::test]
async fn a_job_that_others_manage_or_that_has_ended_is_left_alone() {
    let managed = with(job(1), |spec| spec.managed_by = Some("example.com/other".into()));
    for job in [managed, testing::with_status(job(1), ended())] {
        let mut world = World::new(job, 1);
        round(&mut world).await.unwrap();
        assert_eq!(world.requests(), 0);
    }
}

#[tokio::test]
async fn a_job_of_an_unknown_mode_is_told_so() {
    let mut world = World::new(with(job(1), |spec| spec.completion_mode = Some("Random".into())), 1);
    round(&mut world).await.unwrap();
    assert_eq!(world.requests(), 0);
    assert_eq!(
        told(world.events(0)),
        ["Warning UnknownCompletionMode Skipped Job sync because completion mode is unknown"]
    );
}

#[tokio::test]
async fn an_index_whose_pod_fails_gets_another_that_knows_of_it() {
    let limited = with(indexed(1), |spec| {
        spec.backoff_limit_per_index = Some(1);
        spec.backoff_limit = Some(i32::MAX);
    });
    let mut world = World::new(limited, 1);
    round(&mut world).await.unwrap();
    world.end(0, false);
    round(&mut world).await.unwrap();
    round(&mut world).await.unwrap();
    let pods = world.pods();
    let failures: Vec<_> = pods.iter().map(pods::index_failures).collect();
    assert_eq!(failures, [0, 1]);
    world.end(1, false);
    round(&mut world).await.unwrap();
    let job = world.job();
    assert_eq!(kinds(&job), ["FailureTarget", "Failed"]);
    let status = job.status.unwrap();
    assert_eq!((status.failed, status.failed_indexes.as_deref()), (Some(2), Some("0")));
}

#[tokio::test]
async fn pods_that_no_job_counts_any_more_lose_the_finalizer() {
    let world = World::new(job(1), 1);
    let controller = world.controller(0);
    let orphans = Orphans {
        jobs: controller.jobs.clone(),
        pods: controller.pods.clone(),
        control: controller.control.clone(),
    };
    let orphaned = |name: &str| {
        let mut pod = pod(name, "Running");
        pod.metadata.owner_references = None;
        pod
    };
    let mut of_other_job = pod("of-gone-job", "Running");
    of_other_job.metadata.owner_references.as_mut().unwrap()[0].uid = "gone".into();
    let mut of_other_kind = pod("of-other-kind", "Running");
    of_other_kind.metadata.owner_references.as_mut().unwrap()[0].kind = "Task".into();
    let all = [
        orphaned("orphan"),
        of_other_job,
        of_other_kind,
        pod("owned", "Running"),
        released(orphaned("free")),
    ];
    for pod in &all {
        world.put(pod.clone());
    }
    world.show_all(0);
    for pod in &all {
        orphans.reconcile(&ObjectKey::of(pod)).await.unwrap();
    }
    let kept: Vec<_> = world.pods().into_iter().filter(pods::has_finalizer).collect();
    assert_eq!(kept.iter().map(pods::uid).collect::<Vec<_>>(), ["of-other-kind", "owned"]);
    // Adopted meanwhile: the cache shows an orphan that is none.
    let stale = orphaned("adopted");
    world.put(stale.clone());
    controller.pods.apply(world.pods().into_iter().find(|pod| pods::uid(pod) == "adopted").unwrap());
    world.put(pod("adopted", "Running"));
    orphans.reconcile(&ObjectKey::of(&stale)).await.unwrap_err();
    assert!(world.pods().iter().any(|pod| pods::uid(pod) == "adopted" && pods::has_finalizer(pod)));
}

#[tokio::test]
async fn changes_of_pods_come_to_their_jobs_and_to_whoever_may_adopt_them() {
    let world = World::new(job(1), 1);
    let (queue, orphans) = world.queues(0);
    let controller = world.controller(0);
    world.show_all(0);
    let key = ObjectKey::new("shop", "once");
    let expect = |queue: &WorkQueue<ObjectKey>| {
        let queue = queue.clone();
        async move {
            let key = tokio::time::timeout(std::time::Duration::from_secs(5), queue.next()).await.ok()?;
            queue.done(&key);
            Some(key)
        }
    };
    assert_eq!(expect(&queue).await, Some(key.clone()), "the Job itself");
    controller.pods.apply(pod("a", "Pending"));
    assert_eq!(expect(&queue).await, Some(key.clone()));
    let mut orphan = pod("b", "Pending");
    orphan.metadata.owner_references = None;
    controller.pods.apply(orphan);
    assert_eq!(expect(&queue).await, Some(key.clone()));
    assert_eq!(expect(&orphans).await, Some(ObjectKey::new("shop", "b")));
    let ended = testing::with_status(world.job(), ended());
    controller.jobs.apply(Job {
        metadata: ObjectMeta { resource_version: Some("99".into()), ..ended.metadata.clone() },
        ..ended
    });
    assert_eq!(expect(&orphans).await, Some(ObjectKey::new("shop", "a")), "its Job has ended");
    controller.pods.apply(pod("late", "Running"));
    assert_eq!(expect(&orphans).await, Some(ObjectKey::new("shop", "late")), "nobody will count it");
    controller.pods.remove(pod("late", "Running"));
    controller.expectations.expect_creations(&key, 1);
    controller.jobs.remove(world.job());
    assert!(controller.expectations.wait(&key).is_none(), "another Job may have the name");
}

/// Two controllers and a Job that wants two successes. The first controller has created both pods; the cache of the
/// second has come to show so many changes of pods, and the Job as it is after one pod has succeeded and been counted.
async fn counted_by_the_first(succeeded: usize, shown_to_second: usize) -> World {
    let mut world = World::new(with(job(2), |spec| spec.parallelism = Some(2)), 2);
    round(&mut world).await.unwrap();
    show(&mut world, Kind::Pods, shown_to_second).await;
    world.end(succeeded, true);
    round(&mut world).await.unwrap();
    assert_eq!(world.counted(), (1, 1));
    show(&mut world, Kind::Job, usize::MAX).await;
    world
}

/// Shows the second controller's cache so many changes more, if there are as many.
async fn show(world: &mut World, kind: Kind, count: usize) {
    for _ in 0..count.min(20) {
        world.act(&Act::Show { leader: 1, kind }).await;
    }
}

#[tokio::test]
async fn a_pod_that_another_controller_has_counted_is_not_counted_again_after_a_refusal() {
    let mut world = counted_by_the_first(0, 2).await;
    // It takes both for running, and the first of them for one too many; but that has changed since.
    let Err(Error::Release(refusal)) = world.round(1).await else { panic!("it is refused") };
    assert!(refusal.to_string().contains("Conflict"), "{refusal}");
    // Now it sees that the pod has ended, but not what became of it then.
    show(&mut world, Kind::Pods, 1).await;
    show(&mut world, Kind::Job, usize::MAX).await;
    world.round(1).await.unwrap();
    assert_eq!(world.counted(), (1, 1));
}

#[tokio::test]
async fn a_pod_that_another_controller_has_counted_is_not_counted_again_by_one_that_never_saw_it() {
    let mut world = counted_by_the_first(1, 1).await;
    world.round(1).await.unwrap();
    // That there was a second pod it only sees now, and that it has ended, but not what became of it then.
    show(&mut world, Kind::Pods, 2).await;
    show(&mut world, Kind::Job, usize::MAX).await;
    world.round(1).await.unwrap();
    assert_eq!(world.counted(), (1, 1));
}

#[tokio::test]
async fn a_pod_that_another_controller_removed_as_surplus_does_not_fail_with_the_job() {
    let hopeless = with(job(5), |spec| {
        spec.parallelism = Some(2);
        spec.backoff_limit = Some(0);
    });
    let mut world = World::new(hopeless, 2);
    round(&mut world).await.unwrap();
    // The second one sees both pods, and that one of them has failed; the first one does not see that.
    world.change_spec(|spec| spec.suspend = Some(true));
    world.act(&Act::Show { leader: 0, kind: Kind::Job }).await;
    world.end(0, false);
    show(&mut world, Kind::Pods, usize::MAX).await;
    show(&mut world, Kind::Job, usize::MAX).await;
    let _ = world.round(0).await;
    assert_eq!(world.pods().len(), 1, "it removes the pod that runs, and is refused the other one");
    show(&mut world, Kind::Job, usize::MAX).await;
    world.round(1).await.unwrap();
    assert!(kinds(&world.job()).contains(&"FailureTarget"));
    assert_eq!(world.counted(), (0, 1));
}

/// What happens to one or two controllers, their caches and the pods.
fn histories(leaders: usize) -> impl Strategy<Value = Vec<Act>> {
    let kind = prop_oneof![Just(Kind::Job), Just(Kind::Pods)];
    let failing = prop_oneof![Just(Failing::Refused), Just(Failing::Unknown)];
    let act = prop_oneof![
        8 => (0..leaders).prop_map(|leader| Act::Step { leader }),
        6 => (0..leaders, kind).prop_map(|(leader, kind)| Act::Show { leader, kind }),
        1 => (0..leaders).prop_map(|leader| Act::Crash { leader }),
        4 => (0..12usize, prop::bool::weighted(0.7)).prop_map(|(pod, succeeds)| Act::End { pod, succeeds }),
        1 => (0..12usize).prop_map(|pod| Act::Delete { pod }),
        1 => (0..4i32).prop_map(|parallelism| Act::Scale { parallelism }),
        1 => (0..leaders, failing).prop_map(|(leader, how)| Act::Fail { leader, how }),
    ];
    prop::collection::vec(act, 0..150)
}

/// Lets a history happen, and then everything come to rest.
fn play(leaders: usize, history: &[Act]) -> World {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let job = with(job(5), |spec| {
            spec.parallelism = Some(3);
            spec.backoff_limit = Some(4);
        });
        let mut world = World::new(job, leaders);
        for act in history {
            world.act(act).await;
            world.check();
        }
        world.settle().await;
        world
    })
}

proptest! {
    /// A controller may stop at any request, before or after it took effect, and be replaced by one that knows nothing.
    #[test]
    fn every_pod_is_counted_once_wherever_the_controller_stops(history in histories(1)) {
        let world = play(1, &history);
        world.check_end()?;
        prop_assert_eq!(world.waiting(), (0, 0));
    }

    /// Two controllers may both take themselves for the leader, with caches of any age. One may create pods that the
    /// other, who ends the Job, never sees; such a pod is not counted, and keeps its finalizer until somebody does see
    /// that its Job has ended.
    #[test]
    fn every_pod_is_counted_once_whoever_counts(history in histories(2)) {
        play(2, &history).check_end()?;
    }
}
