//! Numbers, and the turns between running and being suspended.

use k8s_openapi::api::batch::v1::UncountedTerminatedPods;

use super::*;
use crate::job::{
    testing::{at, holds, job, leaving, pod, ready, succeeded_at, view, with, with_status},
    verdict::verdict,
};

const NOTHING: Deeds = Deeds { removed: 0, removed_ready: 0, created: 0 };

#[test]
fn the_first_status_tells_when_the_job_started_and_what_runs() {
    let job = job(5);
    let pods = vec![ready(pod("a", "Running"), 1), pod("b", "Running"), leaving(pod("c", "Running"))];
    let deeds = Deeds { created: 2, ..NOTHING };
    let draft = draft(&view(&job, pods), &Step::Create(vec![None; 2]), deeds, true, at(7));
    assert_eq!(
        draft.status,
        JobStatus {
            start_time: Some(Time(at(7))),
            active: Some(4),
            ready: Some(1),
            terminating: Some(1),
            uncounted_terminated_pods: Some(UncountedTerminatedPods::default()),
            ..JobStatus::default()
        }
    );
    assert_eq!((draft.verdict, draft.turn), (None, Turn::None));
}

#[test]
fn a_job_turns_when_it_is_suspended_and_when_it_is_resumed() {
    let running = with_status(job(5), JobStatus { start_time: Some(Time(at(1))), ..JobStatus::default() });
    let suspended = with(running, |spec| spec.suspend = Some(true));
    let one_ready = || vec![ready(pod("a", "Running"), 1)];
    let step = Step::Remove(vec![]);
    let deeds = Deeds { removed: 1, removed_ready: 1, ..NOTHING };
    let first = draft(&view(&suspended, one_ready()), &step, deeds, true, at(7));
    assert_eq!(first.turn, Turn::Suspended);
    assert_eq!((first.status.active, first.status.ready, first.status.terminating), (None, Some(0), Some(1)));
    assert_eq!(first.status.start_time, None, "its time starts anew when it is resumed");
    let condition = &first.status.conditions.as_ref().unwrap()[0];
    assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("Suspended", "True"));
    assert_eq!(condition.message.as_deref(), Some("Job suspended"));

    let again = with_status(suspended, first.status);
    assert_eq!(draft(&view(&again, vec![]), &Step::Rest, NOTHING, true, at(8)).turn, Turn::None);
    let resumed = with(again, |spec| spec.suspend = Some(false));
    let second = draft(&view(&resumed, vec![]), &Step::Rest, NOTHING, true, at(9));
    assert_eq!(second.turn, Turn::Resumed);
    assert_eq!(second.status.start_time, Some(Time(at(9))));
    let condition = &second.status.conditions.as_ref().unwrap()[0];
    assert_eq!((condition.status.as_str(), condition.reason.as_deref()), ("False", Some("JobResumed")));
    // As long as the cache is behind nobody knows whether all pods have been removed.
    assert_eq!(draft(&view(&resumed, vec![]), &Step::Hold, NOTHING, false, at(9)).turn, Turn::None);
}

#[test]
fn a_job_is_complete_when_nothing_is_left_to_succeed_or_to_run() {
    let job = job(1);
    let succeeded = || vec![succeeded_at("s", 1)];
    let verdict = |pods, deeds| draft(&view(&job, pods), &Step::Rest, deeds, true, at(2)).verdict;
    assert_eq!(verdict(succeeded(), NOTHING), Some(Verdict::completions_reached()));
    let one_runs = || [succeeded(), vec![pod("a", "Running")]].concat();
    assert_eq!(verdict(one_runs(), NOTHING), None);
    let removed = Deeds { removed: 1, ..NOTHING };
    assert_eq!(verdict(one_runs(), removed), Some(Verdict::completions_reached()));
}

#[test]
fn an_end_is_told_when_no_pod_can_be_left() {
    let status = JobStatus {
        conditions: Some(vec![holds("FailureTarget", "DeadlineExceeded")]),
        ..JobStatus::default()
    };
    let job = with_status(job(5), status);
    let view = view(&job, vec![pod("a", "Running")]);
    let end = verdict(&view, at(1)).unwrap();
    let step = Step::End(end.clone());
    let told = |deeds, has_seen_all| draft(&view, &step, deeds, has_seen_all, at(1)).verdict;
    let removed = Deeds { removed: 1, ..NOTHING };
    assert_eq!(told(removed, true), Some(end));
    assert_eq!(told(NOTHING, true), None, "its pod could not be deleted");
    assert_eq!(told(removed, false), None, "there may be a pod that the cache does not show");
}
