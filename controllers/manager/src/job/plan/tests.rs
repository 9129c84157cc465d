//! How many pods, which, and when.

use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};
use keelson_controller_runtime::pod::INDEX_FAILURES;

use super::*;
use crate::job::testing::{
    annotate, at, failed_at, indexed, job, leaving, names, of_index, pod, ready, released, succeeded_at,
    view, with,
};

fn step(job: &Job, pods: Vec<Pod>) -> Step {
    plan(&view(job, pods), Failures::default(), true, at(1000)).step
}

fn running(names: &[&str]) -> Vec<Pod> {
    names.iter().map(|name| pod(name, "Running")).collect()
}

fn create(count: usize) -> Step {
    Step::Create(vec![None; count])
}

fn removed(step: &Step) -> Vec<&str> {
    match step {
        Step::Remove(pods) => {
            let mut names = names(pods);
            names.sort_unstable();
            names
        }
        other => panic!("{other:?}"),
    }
}

fn parallel(completions: i32, parallelism: i32) -> Job {
    with(job(completions), |spec| spec.parallelism = Some(parallelism))
}

#[test]
fn as_many_pods_run_as_are_needed_and_allowed() {
    assert_eq!(step(&parallel(5, 2), vec![]), create(2));
    assert_eq!(step(&parallel(5, 2), running(&["a"])), create(1));
    assert_eq!(step(&parallel(5, 2), running(&["a", "b"])), Step::Rest);
    assert_eq!(step(&parallel(2, 5), vec![succeeded_at("s", 1)]), create(1), "one success is left to reach");
    assert_eq!(step(&parallel(5, 0), vec![]), Step::Rest, "paused by hand");
    assert_eq!(step(&parallel(2000, 2000), vec![]), create(MOST_AT_ONCE));
}

#[test]
fn without_completions_pods_run_until_the_first_success() {
    let any = with(job(1), |spec| {
        spec.completions = None;
        spec.parallelism = Some(3);
    });
    assert_eq!(step(&any, running(&["a"])), create(2));
    let one_succeeded = [running(&["a"]), vec![succeeded_at("s", 1)]].concat();
    assert_eq!(step(&any, one_succeeded.clone()), Step::Rest);
    assert!(!is_complete(&view(&any, one_succeeded), 1), "what runs is left to its end");
    assert!(is_complete(&view(&any, vec![succeeded_at("s", 1)]), 0));
    assert!(!is_complete(&view(&any, vec![]), 0));
}

#[test]
fn too_many_pods_lose_those_that_have_come_least_far() {
    let mut scheduled = pod("scheduled", "Pending");
    scheduled.spec.get_or_insert_default().node_name = Some("node".into());
    let on_node = |mut pod: Pod| {
        pod.spec.get_or_insert_default().node_name = Some("node".into());
        pod
    };
    let mut young = on_node(pod("young", "Running"));
    young.metadata.creation_timestamp = Some(Time(at(500)));
    let order = [
        pod("unscheduled", "Pending"),
        scheduled,
        young,
        on_node(pod("runs", "Running")),
        on_node(ready(pod("ready lately", "Running"), 900)),
        on_node(ready(pod("ready for long", "Running"), 100)),
    ];
    for left in 1..order.len() {
        let mut pods = order.to_vec();
        pods.reverse();
        let step = step(&parallel(9, i32::try_from(left).unwrap()), pods);
        let mut expected: Vec<_> =
            order[..order.len() - left].iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
        expected.sort_unstable();
        assert_eq!(removed(&step), expected);
    }
}

#[test]
fn a_suspended_job_loses_all_its_pods() {
    let suspended = with(parallel(5, 2), |spec| spec.suspend = Some(true));
    assert_eq!(removed(&step(&suspended, running(&["a", "b"]))), ["a", "b"]);
    assert_eq!(step(&suspended, vec![leaving(pod("a", "Running"))]), Step::Rest);
}

#[test]
fn nothing_is_decided_by_a_cache_that_is_behind_or_for_a_job_that_is_being_deleted() {
    let step =
        |job: &Job, has_seen_all| plan(&view(job, vec![]), Failures::default(), has_seen_all, at(1)).step;
    assert_eq!(step(&parallel(5, 2), false), Step::Hold);
    let mut going = parallel(5, 2);
    going.metadata.deletion_timestamp = Some(Time(at(1)));
    assert_eq!(step(&going, true), Step::Hold);
}

#[test]
fn a_pod_that_is_being_deleted_is_replaced_when_the_job_wants_it() {
    let pods = || vec![leaving(pod("a", "Running"))];
    assert_eq!(step(&parallel(5, 1), pods()), create(1));
    let patient = with(parallel(5, 1), |spec| spec.pod_replacement_policy = Some("Failed".into()));
    assert_eq!(step(&patient, pods()), Step::Rest);
    assert_eq!(step(&patient, vec![failed_at("a", 1)]), create(1));
}

#[test]
fn failed_pods_are_replaced_after_a_while_and_the_deadline_is_kept_in_mind() {
    let limited = with(parallel(5, 2), |spec| spec.active_deadline_seconds = Some(3600));
    let failed = Arc::new(failed_at("f", 995));
    let failures = Failures::default().after(&[], std::slice::from_ref(&failed));
    let view = view(&limited, vec![pod("a", "Running"), failed_at("f", 995)]);
    let waiting = plan(&view, failures, true, at(1000));
    assert_eq!(waiting, Plan { step: Step::Rest, look_again: Some(Duration::from_secs(5)) });
    let due = plan(&view, failures, true, at(1005));
    assert_eq!(due, Plan { step: create(1), look_again: Some(Duration::from_secs(3600)) });
}

#[test]
fn an_active_pod_that_lost_its_finalizer_gets_it_back_unless_it_goes_anyway() {
    let pods = || vec![released(pod("lost", "Running")), pod("fine", "Running")];
    let Step::Track(lost) = step(&parallel(5, 3), pods()) else { panic!("nobody would count it") };
    assert_eq!(names(&lost), ["lost"]);
    let suspended = with(parallel(5, 3), |spec| spec.suspend = Some(true));
    assert_eq!(removed(&step(&suspended, pods())), ["fine", "lost"]);
}

#[test]
fn each_index_that_needs_a_pod_gets_one() {
    let job = with(indexed(6), |spec| spec.parallelism = Some(3));
    let pods = vec![of_index(succeeded_at("0", 1), 0), of_index(pod("2", "Running"), 2)];
    assert_eq!(step(&job, pods), Step::Create(vec![Some(1), Some(3)]));
}

#[test]
fn an_index_has_one_pod_and_unwanted_indexes_have_none() {
    let job = indexed(3);
    let pods = vec![
        of_index(pod("0 pending", "Pending"), 0),
        of_index(pod("0 running", "Running"), 0),
        of_index(pod("1", "Running"), 1),
        of_index(pod("3", "Running"), 3),
        pod("none", "Running"),
    ];
    assert_eq!(removed(&step(&job, pods)), ["0 pending", "3", "none"]);
}

#[test]
fn an_index_whose_pod_is_on_its_way_out_waits_if_the_job_does() {
    let pods = || vec![of_index(leaving(pod("0", "Running")), 0)];
    let all = |indexes: &[usize]| Step::Create(indexes.iter().copied().map(Some).collect());
    assert_eq!(step(&indexed(3), pods()), all(&[0, 1, 2]));
    let patient = with(indexed(3), |spec| spec.pod_replacement_policy = Some("Failed".into()));
    assert_eq!(step(&patient, pods()), all(&[1, 2]));
}

#[test]
fn each_index_waits_by_itself_after_its_failures() {
    let job = with(indexed(3), |spec| {
        spec.backoff_limit_per_index = Some(3);
        spec.backoff_limit = Some(i32::MAX);
    });
    let failed = |index: usize, before: &str, second| {
        let mut pod = of_index(failed_at(&index.to_string(), second), index);
        annotate(&mut pod, INDEX_FAILURES, before);
        pod
    };
    let plan_at = |pods: Vec<Pod>, second| plan(&view(&job, pods), Failures::default(), true, at(second));
    let pods = || vec![failed(0, "1", 1000), failed(1, "0", 1000)];
    let first = plan_at(pods(), 1004);
    assert_eq!(first.step, Step::Create(vec![Some(2)]));
    assert_eq!(first.look_again, Some(Duration::from_secs(6)));
    let later = plan_at([pods(), vec![of_index(pod("2", "Running"), 2)]].concat(), 1010);
    assert_eq!(later.step, Step::Create(vec![Some(1)]));
    assert_eq!(later.look_again, Some(Duration::from_secs(10)));
    let given_up = plan_at(vec![failed(0, "3", 0), of_index(pod("1", "Running"), 1)], 1000);
    assert_eq!(given_up.step, Step::Create(vec![Some(2)]), "an index that has failed gets no more pods");
}
