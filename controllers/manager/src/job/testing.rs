//! Jobs and pods for tests.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobSpec, JobStatus},
        core::v1::{self, PodCondition, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time},
    jiff::Timestamp,
};
use keelson_controller_runtime::new_controller_ref;
use keelson_controller_runtime::pod::{
    COMPLETION_INDEX, ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodSpec, PodStatus,
};

use super::{
    pods::{TRACKING, has_finalizer},
    terms::Terms,
    view::View,
};

/// What there is to know of a Job with these pods, when nobody else counts them.
pub(super) fn view(job: &Job, pods: Vec<Pod>) -> View<'_> {
    let tracked = pods.iter().filter(|pod| has_finalizer(pod)).filter_map(|pod| pod.metadata.uid.clone());
    let tracked = tracked.collect();
    let terms = Terms::of(job.spec.as_ref().unwrap()).unwrap();
    View::new(job, terms, pods.into_iter().map(Arc::new).collect(), tracked)
}

/// The names of pods.
pub(super) fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect()
}

/// The Job with this status.
pub(super) fn with_status(job: Job, status: JobStatus) -> Job {
    Job { status: Some(status), ..job }
}

/// A condition that holds.
pub(super) fn holds(kind: &str, reason: &str) -> JobCondition {
    JobCondition {
        type_: kind.into(),
        status: "True".into(),
        reason: Some(reason.into()),
        ..JobCondition::default()
    }
}

/// The time of a test.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The Job `shop/once`, which wants so many successes, one at a time.
pub(super) fn job(completions: i32) -> Job {
    let labels = [("batch.kubernetes.io/controller-uid".to_owned(), "job-uid".to_owned())];
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some("once".into()),
        uid: Some("job-uid".into()),
        generation: Some(1),
        resource_version: Some("1".into()),
        ..ObjectMeta::default()
    };
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels.clone().into()), ..ObjectMeta::default() }),
        spec: Some(v1::PodSpec {
            containers: vec![v1::Container { name: "main".into(), ..v1::Container::default() }],
            restart_policy: Some("Never".into()),
            ..v1::PodSpec::default()
        }),
    };
    let spec = JobSpec {
        completions: Some(completions),
        parallelism: Some(1),
        backoff_limit: Some(6),
        completion_mode: Some("NonIndexed".into()),
        pod_replacement_policy: Some("TerminatingOrFailed".into()),
        suspend: Some(false),
        selector: Some(LabelSelector { match_labels: Some(labels.into()), ..LabelSelector::default() }),
        template,
        ..JobSpec::default()
    };
    Job { metadata, spec: Some(spec), status: None }
}

/// The Job with another spec.
pub(super) fn with(mut job: Job, change: impl FnOnce(&mut JobSpec)) -> Job {
    change(job.spec.as_mut().unwrap());
    job
}

/// The Job `shop/once` with so many indexes, all at a time.
pub(super) fn indexed(completions: i32) -> Job {
    with(job(completions), |spec| {
        spec.completion_mode = Some("Indexed".into());
        spec.parallelism = Some(completions);
    })
}

/// A tracked pod of the Job; its uid is its name.
pub(super) fn pod(name: &str, phase: &str) -> Pod {
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some(name.into()),
        uid: Some(name.into()),
        resource_version: Some("1".into()),
        creation_timestamp: Some(Time(at(0))),
        labels: Some([("batch.kubernetes.io/controller-uid".into(), "job-uid".into())].into()),
        finalizers: Some(vec![TRACKING.into()]),
        owner_references: Some(vec![new_controller_ref(&job(1))]),
        ..ObjectMeta::default()
    };
    let status = PodStatus { phase: Some(phase.into()), ..PodStatus::default() };
    Pod { metadata, spec: Some(PodSpec::default()), status: Some(status) }
}

/// The pod with a completion index.
pub(super) fn of_index(mut pod: Pod, index: usize) -> Pod {
    annotate(&mut pod, COMPLETION_INDEX, &index.to_string());
    pod
}

/// Gives the pod an annotation.
pub(super) fn annotate(pod: &mut Pod, key: &str, value: &str) {
    pod.metadata.annotations.get_or_insert_default().insert(key.into(), value.into());
}

/// The pod, being deleted.
pub(super) fn leaving(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = Some(Time(at(0)));
    pod
}

/// The pod without its finalizer.
pub(super) fn released(mut pod: Pod) -> Pod {
    pod.metadata.finalizers = None;
    pod
}

/// The pod, whose container ended with this code at this time.
pub(super) fn exited(mut pod: Pod, code: i32, second: i64) -> Pod {
    let terminated = ContainerStateTerminated { exit_code: code, finished_at: Some(Time(at(second))) };
    let container = ContainerStatus {
        name: "main".into(),
        state: Some(ContainerState { terminated: Some(terminated) }),
        ..ContainerStatus::default()
    };
    pod.status.get_or_insert_default().container_statuses = Some(vec![container]);
    pod
}

/// The pod, ready since then.
pub(super) fn ready(mut pod: Pod, since: i64) -> Pod {
    let condition = PodCondition {
        type_: "Ready".into(),
        status: "True".into(),
        last_transition_time: Some(Time(at(since))),
        ..PodCondition::default()
    };
    pod.status.get_or_insert_default().conditions = Some(vec![condition]);
    pod
}

/// A pod that failed then.
pub(super) fn failed_at(name: &str, second: i64) -> Pod {
    exited(pod(name, "Failed"), 1, second)
}

/// A pod that succeeded then.
pub(super) fn succeeded_at(name: &str, second: i64) -> Pod {
    exited(pod(name, "Succeeded"), 0, second)
}
