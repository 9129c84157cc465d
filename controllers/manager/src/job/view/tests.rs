//! What pods amount to.

use k8s_openapi::api::batch::v1::UncountedTerminatedPods;
use keelson_controller_runtime::pod::INDEX_FAILURES;

use super::*;
use crate::job::testing::{
    annotate, failed_at, indexed, job, leaving, names, of_index, pod, ready, released, succeeded_at, view,
    with, with_status,
};

#[test]
fn what_has_ended_is_counted_once_wherever_it_stands() {
    let uncounted = UncountedTerminatedPods {
        succeeded: Some(vec!["s2".into()]),
        failed: Some(vec!["f2".into(), "long gone".into()]),
    };
    let status = JobStatus {
        succeeded: Some(10),
        failed: Some(20),
        uncounted_terminated_pods: Some(uncounted),
        ..JobStatus::default()
    };
    let job = with_status(job(100), status);
    let pods = vec![
        succeeded_at("s1", 1),
        succeeded_at("s2", 1),
        released(succeeded_at("s3", 1)),
        failed_at("f1", 1),
        failed_at("f2", 1),
        pod("running", "Running"),
    ];
    let view = view(&job, pods);
    assert_eq!(names(&view.newly_succeeded), ["s1"]);
    assert_eq!(names(&view.newly_failed), ["f1"]);
    assert_eq!((view.succeeded, view.failed), (12, 23));
}

#[test]
fn a_pod_that_is_being_deleted_has_failed_unless_the_job_waits_for_its_end() {
    let pods =
        || vec![leaving(pod("leaving", "Running")), pod("a", "Running"), ready(pod("b", "Running"), 1)];
    let impatient = job(5);
    let view = view(&impatient, pods());
    assert_eq!((view.active.len(), view.ready, view.terminating, view.failed), (2, 1, 1, 1));
    let patient = with(job(5), |spec| spec.pod_replacement_policy = Some("Failed".into()));
    assert_eq!(super::View::new(&patient, view_terms(&patient), arcs(pods()), tracked()).failed, 0);
}

fn view_terms(job: &Job) -> Terms<'_> {
    Terms::of(job.spec.as_ref().unwrap()).unwrap()
}

fn arcs(pods: Vec<Pod>) -> Vec<Arc<Pod>> {
    pods.into_iter().map(Arc::new).collect()
}

fn tracked() -> HashSet<String> {
    ["leaving", "a", "b"].map(str::to_owned).into()
}

#[test]
fn an_index_succeeds_once_and_only_if_it_is_wanted() {
    let status = JobStatus { completed_indexes: Some("1,9".into()), ..JobStatus::default() };
    let job = with_status(indexed(5), status);
    let pods = vec![
        of_index(succeeded_at("again", 1), 1),
        of_index(succeeded_at("new", 1), 3),
        of_index(succeeded_at("out of range", 1), 7),
        succeeded_at("without", 1),
    ];
    let view = view(&job, pods);
    assert_eq!(view.indexes.as_ref().unwrap().succeeded.to_string(), "1,3");
    assert_eq!(view.succeeded, 2);
}

#[test]
fn an_index_fails_when_its_limit_is_used_up() {
    let job = with(indexed(5), |spec| spec.backoff_limit_per_index = Some(1));
    let failed = |name, index, before: &str| {
        let mut pod = of_index(failed_at(name, 1), index);
        annotate(&mut pod, INDEX_FAILURES, before);
        pod
    };
    let view = view(&job, vec![failed("first", 0, "0"), failed("last", 2, "1")]);
    let indexes = view.indexes.unwrap();
    assert_eq!(indexes.failed.unwrap().to_string(), "2");
    let awaiting: Vec<_> = indexes.awaiting_replacement.keys().collect();
    assert_eq!(awaiting, [&0], "the other index gets no more pods");
}

#[test]
fn of_the_failed_pods_of_an_index_the_last_one_awaits_its_replacement() {
    let job = with(indexed(5), |spec| spec.backoff_limit_per_index = Some(9));
    let failed = |name, before: &str, second| {
        let mut pod = of_index(failed_at(name, second), 3);
        annotate(&mut pod, INDEX_FAILURES, before);
        pod
    };
    let pods = || vec![failed("second", "1", 20), failed("first", "0", 30), failed("third", "2", 10)];
    let awaiting = |pods: Vec<Pod>| {
        let indexes = view(&job, pods).indexes.unwrap();
        indexes.awaiting_replacement.into_values().map(|pod| uid(&pod).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(awaiting(pods()), ["third"]);
    let replaced = [pods(), vec![of_index(pod("new", "Pending"), 3)]].concat();
    assert_eq!(awaiting(replaced), [""; 0]);
}
