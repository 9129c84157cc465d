//! The three phases of counting, one by one; `tests.rs` stops between them.

use keelson_controller_runtime::pod::INDEX_FAILURES;

use super::*;
use crate::job::{
    status::Turn,
    testing::{
        annotate, at, failed_at, holds, indexed, job, leaving, names, of_index, pod, released, succeeded_at,
        view, with, with_status,
    },
    verdict::Why,
    view::status,
};

fn draft(view: &View<'_>, verdict: Option<Verdict>) -> Draft {
    Draft { status: status(view.job), verdict, turn: Turn::None }
}

fn uncounted(status: &JobStatus) -> (Vec<String>, Vec<String>) {
    let uncounted = status.uncounted_terminated_pods.clone().unwrap_or_default();
    (uncounted.succeeded.unwrap_or_default(), uncounted.failed.unwrap_or_default())
}

fn counts(status: &JobStatus) -> (Option<i32>, Option<i32>) {
    (status.succeeded, status.failed)
}

/// The status after all three phases, when all finalizers could be taken.
fn closed(account: Account) -> Closing {
    close(account, &HashSet::new(), at(2))
}

#[test]
fn pods_are_named_then_released_then_counted() {
    let job = job(5);
    let pods =
        vec![succeeded_at("s", 1), failed_at("f", 1), pod("runs", "Running"), released(failed_at("old", 1))];
    let view = view(&job, pods);
    let account = open(&view, draft(&view, None), at(1));
    assert_eq!(uncounted(&account.status), (vec!["s".into()], vec!["f".into()]));
    assert_eq!(counts(&account.status), (None, None));
    assert_eq!(names(&account.release), ["s", "f"]);
    // One finalizer could not be taken.
    let partly = close(account.clone(), &["f".to_owned()].into(), at(2));
    assert_eq!(counts(&partly.status), (Some(1), None));
    assert_eq!(uncounted(&partly.status), (vec![], vec!["f".into()]));
    let whole = closed(account);
    assert_eq!(counts(&whole.status), (Some(1), Some(1)));
    assert_eq!(uncounted(&whole.status), (vec![], vec![]));
}

#[test]
fn what_somebody_left_half_done_is_finished() {
    let uncounted_pods = UncountedTerminatedPods {
        succeeded: Some(vec!["vanished".into(), "released".into(), "tracked".into()]),
        failed: None,
    };
    let status = JobStatus {
        succeeded: Some(7),
        uncounted_terminated_pods: Some(uncounted_pods),
        ..JobStatus::default()
    };
    let job = with_status(job(20), status);
    let view = view(&job, vec![released(succeeded_at("released", 1)), succeeded_at("tracked", 1)]);
    let account = open(&view, draft(&view, None), at(1));
    assert_eq!(counts(&account.status), (Some(9), None));
    assert_eq!(uncounted(&account.status).0, ["tracked"]);
    assert_eq!(names(&account.release), ["tracked"]);
    assert_eq!(counts(&closed(account).status), (Some(10), None));
}

#[test]
fn an_index_is_counted_by_itself_and_a_failure_by_its_pod() {
    let job = with(indexed(9), |spec| spec.backoff_limit_per_index = Some(0));
    let fails = |index: usize| {
        let mut pod = of_index(failed_at(&format!("f{index}"), 1), index);
        annotate(&mut pod, INDEX_FAILURES, "0");
        pod
    };
    let pods = vec![
        of_index(succeeded_at("s1", 1), 1),
        of_index(succeeded_at("s2", 1), 2),
        of_index(succeeded_at("s1 again", 1), 1),
        fails(4),
        fails(77),
    ];
    let view = view(&job, pods);
    let account = open(&view, draft(&view, None), at(1));
    assert_eq!(account.status.completed_indexes.as_deref(), Some("1,2"));
    assert_eq!(account.status.failed_indexes.as_deref(), Some("4"));
    assert_eq!(account.status.succeeded, Some(2));
    assert_eq!(uncounted(&account.status), (vec![], vec!["f4".into()]), "an unwanted index does not count");
    assert_eq!(account.release.len(), 5);
}

#[test]
fn a_failed_pod_stays_until_its_index_has_another() {
    let job = with(indexed(2), |spec| spec.backoff_limit_per_index = Some(3));
    let failed = || of_index(failed_at("failed", 1), 0);
    let released = |pods: Vec<Pod>| {
        let view = view(&job, pods);
        let account = open(&view, draft(&view, None), at(1));
        account.release.len()
    };
    assert_eq!(released(vec![failed()]), 0);
    assert_eq!(released(vec![failed(), of_index(pod("next", "Pending"), 0)]), 1);
}

#[test]
fn when_a_job_fails_its_running_pods_have_failed_and_when_it_succeeds_they_have_not() {
    let why = || Why { reason: "Reason".into(), message: "message".into() };
    // It waits for the end of its pods, so that one that is being deleted has not failed by that.
    let job = with(job(5), |spec| spec.pod_replacement_policy = Some("Failed".into()));
    for (verdict, failed) in [(Verdict::Failure(why()), Some(1)), (Verdict::Success(why()), None)] {
        let view = view(&job, vec![leaving(pod("runs", "Running"))]);
        let mut draft = draft(&view, Some(verdict.clone()));
        draft.status.terminating = Some(1);
        let account = open(&view, draft, at(1));
        assert_eq!(names(&account.release), ["runs"]);
        let interim = account.status.conditions.clone().unwrap();
        assert_eq!((interim.len(), interim[0].type_.as_str()), (1, verdict.interim().0));
        let closing = closed(account);
        assert_eq!(closing.status.failed, failed);
        assert_eq!(closing.verdict, None, "the pod still runs");
    }
}

#[test]
fn a_job_ends_when_all_is_counted_and_nothing_runs() {
    let verdict = Verdict::completions_reached();
    let job = job(1);
    let view = view(&job, vec![succeeded_at("s", 1)]);
    let account = open(&view, draft(&view, Some(verdict.clone())), at(1));
    let early = close(account.clone(), &["s".to_owned()].into(), at(2));
    assert_eq!(early.verdict, None, "one finalizer is left");
    let closing = closed(account);
    assert_eq!(closing.verdict, Some(verdict));
    let kinds: Vec<_> = closing.status.conditions.iter().flatten().map(|it| it.type_.as_str()).collect();
    assert_eq!(kinds, ["SuccessCriteriaMet", "Complete"]);
    let complete = &closing.status.conditions.as_ref().unwrap()[1];
    assert_eq!(complete.reason.as_deref(), Some("CompletionsReached"));
    assert_eq!(complete.message.as_deref(), Some("Reached expected number of succeeded pods"));
    assert_eq!(closing.status.completion_time.map(|time| time.0), Some(at(2)));
    assert_eq!(closing.status.start_time.map(|time| time.0), Some(at(2)), "even if it never ran");
}

#[test]
fn a_verdict_is_told_once() {
    let told = JobStatus { conditions: Some(vec![holds("FailureTarget", "Reason")]), ..JobStatus::default() };
    let job = with_status(job(1), told);
    let view = view(&job, vec![]);
    let why = Why { reason: "Reason".into(), message: String::new() };
    let closing = closed(open(&view, draft(&view, Some(Verdict::Failure(why))), at(1)));
    let kinds: Vec<_> = closing.status.conditions.iter().flatten().map(|it| it.type_.as_str()).collect();
    assert_eq!(kinds, ["FailureTarget", "Failed"]);
    assert_eq!(closing.status.completion_time, None);
}

#[test]
fn a_status_names_so_many_pods_and_no_more() {
    let job = job(5000);
    let pods = (0..MOST_UNCOUNTED + 1).map(|n| succeeded_at(&n.to_string(), 1));
    let view = view(&job, pods.collect());
    let account = open(&view, draft(&view, Some(Verdict::completions_reached())), at(1));
    assert_eq!((account.release.len(), account.is_whole), (MOST_UNCOUNTED, false));
    assert_eq!(closed(account).verdict, None, "one pod has yet to be counted");
}

#[test]
fn a_job_that_is_being_deleted_keeps_no_pod_and_counts_those_that_have_ended() {
    let mut job = job(5);
    job.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(1)));
    let view = view(&job, vec![pod("runs", "Running"), succeeded_at("s", 1)]);
    let account = open(&view, draft(&view, None), at(1));
    assert_eq!(names(&account.release), ["runs", "s"]);
    assert_eq!(counts(&closed(account).status), (Some(1), None));
}
