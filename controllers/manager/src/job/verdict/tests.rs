//! Every way in which a Job ends.

use k8s_openapi::api::batch::v1::{
    Job, JobStatus, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule,
    SuccessPolicy, SuccessPolicyRule,
};
use keelson_controller_runtime::pod::{INDEX_FAILURES, Pod};

use super::*;
use crate::job::testing::{
    annotate, at, exited, failed_at, holds, indexed, job, of_index, pod, released, succeeded_at, view, with,
    with_status,
};

fn reason(job: &Job, pods: Vec<Pod>, second: i64) -> Option<String> {
    match verdict(&view(job, pods), at(second))? {
        Verdict::Success(why) => Some(format!("+ {}", why.reason)),
        Verdict::Failure(why) => Some(format!("- {}", why.reason)),
    }
}

fn failures(count: usize) -> Vec<Pod> {
    (0..count).map(|n| failed_at(&n.to_string(), 1)).collect()
}

fn failing_on_42() -> PodFailurePolicy {
    let codes = PodFailurePolicyOnExitCodesRequirement {
        container_name: None,
        operator: "In".into(),
        values: vec![42],
    };
    let rule = PodFailurePolicyRule {
        action: "FailJob".into(),
        on_exit_codes: Some(codes),
        on_pod_conditions: None,
    };
    PodFailurePolicy { rules: vec![rule] }
}

#[test]
fn more_failures_than_the_limit_end_a_job() {
    let job = with(job(9), |spec| spec.backoff_limit = Some(2));
    assert_eq!(reason(&job, failures(2), 1), None);
    assert_eq!(reason(&job, failures(3), 1).as_deref(), Some("- BackoffLimitExceeded"));
    let view = view(&job, failures(3));
    let Some(Verdict::Failure(why)) = verdict(&view, at(1)) else { panic!("it has failed") };
    assert_eq!(why.message, "Job has reached the specified backoff limit");
}

#[test]
fn containers_that_start_anew_in_their_pod_use_the_limit_up() {
    let restarted = |count: i32| {
        let mut pod = exited(pod("p", "Running"), 1, 1);
        let statuses = pod.status.as_mut().unwrap().container_statuses.as_mut().unwrap();
        statuses[0].restart_count = count;
        vec![pod]
    };
    let in_place = |limit| {
        with(job(1), |spec| {
            spec.backoff_limit = Some(limit);
            spec.template.spec.as_mut().unwrap().restart_policy = Some("OnFailure".into());
        })
    };
    let exceeded = Some("- BackoffLimitExceeded");
    assert_eq!(reason(&in_place(3), restarted(2), 1), None);
    assert_eq!(reason(&in_place(3), restarted(3), 1).as_deref(), exceeded);
    assert_eq!(reason(&in_place(0), restarted(0), 1), None);
    assert_eq!(reason(&in_place(0), restarted(1), 1).as_deref(), exceeded);
    assert_eq!(reason(&job(1), restarted(99), 1), None, "only if they start anew in their pod");
}

#[test]
fn a_job_that_is_active_for_too_long_ends() {
    let started = JobStatus { start_time: Some(Time(at(100))), ..JobStatus::default() };
    let limited = |job| with(job, |spec| spec.active_deadline_seconds = Some(30));
    let running = limited(with_status(job(1), started.clone()));
    assert_eq!(time_left(&view(&running, vec![]), at(120)), Some(Duration::from_secs(10)));
    assert_eq!(reason(&running, vec![], 129), None);
    assert_eq!(reason(&running, vec![], 130).as_deref(), Some("- DeadlineExceeded"));
    let suspended = with(running, |spec| spec.suspend = Some(true));
    assert_eq!(reason(&suspended, vec![], 999), None);
    assert_eq!(time_left(&view(&suspended, vec![]), at(120)), None);
    let not_yet_started = limited(job(1));
    assert_eq!(reason(&not_yet_started, vec![], 999), None);
    assert_eq!(time_left(&view(&not_yet_started, vec![]), at(999)), Some(Duration::from_secs(30)));
}

#[test]
fn a_policy_can_end_a_job_at_its_first_failure() {
    let job = with(job(9), |spec| spec.pod_failure_policy = Some(failing_on_42()));
    assert_eq!(reason(&job, vec![exited(pod("p", "Failed"), 1, 1)], 1), None);
    let fatal = || exited(pod("p", "Failed"), 42, 1);
    assert_eq!(reason(&job, vec![fatal()], 1).as_deref(), Some("- PodFailurePolicy"));
    assert_eq!(reason(&job, vec![released(fatal())], 1).as_deref(), Some("- PodFailurePolicy"));
}

#[test]
fn indexes_that_fail_end_a_job_at_their_limit_or_when_no_other_is_left() {
    let limited = |max| {
        with(indexed(3), |spec| {
            spec.backoff_limit = Some(i32::MAX);
            spec.backoff_limit_per_index = Some(0);
            spec.max_failed_indexes = max;
        })
    };
    let failed = |index: usize| {
        let mut pod = of_index(failed_at(&index.to_string(), 1), index);
        annotate(&mut pod, INDEX_FAILURES, "0");
        pod
    };
    assert_eq!(reason(&limited(Some(1)), vec![failed(0)], 1), None);
    let exceeded = reason(&limited(Some(1)), vec![failed(0), failed(1)], 1);
    assert_eq!(exceeded.as_deref(), Some("- MaxFailedIndexesExceeded"));
    assert_eq!(reason(&limited(None), vec![failed(0), failed(1)], 1), None);
    let rest = vec![failed(0), of_index(succeeded_at("1", 1), 1), of_index(succeeded_at("2", 1), 2)];
    assert_eq!(reason(&limited(None), rest, 1).as_deref(), Some("- FailedIndexes"));
}

#[test]
fn a_success_policy_ends_a_job_unless_it_has_failed() {
    let rule = SuccessPolicyRule { succeeded_indexes: None, succeeded_count: Some(1) };
    let job = with(indexed(3), |spec| {
        spec.backoff_limit = Some(0);
        spec.success_policy = Some(SuccessPolicy { rules: vec![rule] });
    });
    let succeeded = || of_index(succeeded_at("0", 1), 0);
    assert_eq!(reason(&job, vec![succeeded()], 1).as_deref(), Some("+ SuccessPolicy"));
    let both = vec![succeeded(), of_index(failed_at("1", 1), 1)];
    assert_eq!(reason(&job, both, 1).as_deref(), Some("- BackoffLimitExceeded"));
}

#[test]
fn a_verdict_that_was_told_stands() {
    let told = |kind, reason| {
        let status = JobStatus { conditions: Some(vec![holds(kind, reason)]), ..JobStatus::default() };
        with(with_status(job(9), status), |spec| spec.backoff_limit = Some(0))
    };
    let verdict = |kind, why| reason(&told(kind, why), failures(1), 1);
    assert_eq!(verdict("SuccessCriteriaMet", "SuccessPolicy").as_deref(), Some("+ SuccessPolicy"));
    assert_eq!(verdict("FailureTarget", "DeadlineExceeded").as_deref(), Some("- DeadlineExceeded"));
}

#[test]
fn a_condition_is_written_when_it_says_something_new() {
    let why = |reason| Why::new(reason, "…");
    let mut list = Vec::new();
    assert!(!ensure(&mut list, "Suspended", "False", &why("JobResumed"), at(1)), "it never was");
    assert!(ensure(&mut list, "Suspended", "True", &why("JobSuspended"), at(2)));
    assert!(!ensure(&mut list, "Suspended", "True", &why("JobSuspended"), at(3)));
    assert_eq!(list[0].last_transition_time, Some(Time(at(2))));
    assert!(ensure(&mut list, "Suspended", "False", &why("JobResumed"), at(4)));
    assert_eq!((list.len(), &list[0].last_transition_time), (1, &Some(Time(at(4)))));
}
