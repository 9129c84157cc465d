//! How a Job ends: pure.
//!
//! In: a [`View`] and the time. Out: a [`Verdict`], if there is one, with upstream's reasons and messages.
//!
//! A verdict is told twice: at once by an interim condition, `SuccessCriteriaMet` or `FailureTarget`, and when the last
//! pod has ended and been counted by `Complete` or `Failed`. Once told it stands, whatever the pods do.

use std::time::Duration;

use k8s_openapi::{api::batch::v1::JobCondition, apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::{
    pods::restarts,
    policy::{self, Failure},
    terms::Terms,
    view::{View, status},
};
use crate::pod_state::{is_terminal, phase};

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Success(Why),
    Failure(Why),
}

/// Why it ends so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) reason: String,
    pub(super) message: String,
}

impl Why {
    fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

impl Verdict {
    /// That the Job has what it wanted.
    pub(super) fn completions_reached() -> Self {
        Self::Success(Why::new("CompletionsReached", "Reached expected number of succeeded pods"))
    }

    /// The condition that tells it at once.
    pub(super) fn interim(&self) -> (&'static str, &Why) {
        match self {
            Self::Success(why) => ("SuccessCriteriaMet", why),
            Self::Failure(why) => ("FailureTarget", why),
        }
    }

    /// The condition that tells it in the end.
    pub(super) fn terminal(&self) -> (&'static str, &Why) {
        match self {
            Self::Success(why) => ("Complete", why),
            Self::Failure(why) => ("Failed", why),
        }
    }
}

/// The condition of this type, if it holds.
pub(super) fn holding<'a>(conditions: &'a [JobCondition], kind: &str) -> Option<&'a JobCondition> {
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

/// Whether the Job has ended, by its conditions.
pub(super) fn is_finished(conditions: &[JobCondition]) -> bool {
    ["Complete", "Failed"].iter().any(|kind| holding(conditions, kind).is_some())
}

/// A condition that has just come to be so.
pub(super) fn condition(kind: &str, status: &str, why: &Why, now: Timestamp) -> JobCondition {
    JobCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
        reason: Some(why.reason.clone()).filter(|reason| !reason.is_empty()),
        message: Some(why.message.clone()).filter(|message| !message.is_empty()),
    }
}

/// Makes the list say this; whether it did not before. What was never so is not said not to be so.
pub(super) fn ensure(
    conditions: &mut Vec<JobCondition>,
    kind: &str,
    status: &str,
    why: &Why,
    now: Timestamp,
) -> bool {
    let wanted = condition(kind, status, why, now);
    match conditions.iter_mut().find(|condition| condition.type_ == kind) {
        Some(is)
            if is.status == wanted.status && is.reason == wanted.reason && is.message == wanted.message =>
        {
            false
        }
        Some(is) => {
            *is = wanted;
            true
        }
        None if status == "False" => false,
        None => {
            conditions.push(wanted);
            true
        }
    }
}

/// The verdict on a Job that has yet to be ended.
pub(super) fn verdict(view: &View<'_>, now: Timestamp) -> Option<Verdict> {
    let conditions = status(view.job).conditions.unwrap_or_default();
    let told = |kind: &str| {
        let condition = holding(&conditions, kind)?;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Some(Why { reason: text(&condition.reason), message: text(&condition.message) })
    };
    if let Some(why) = told("SuccessCriteriaMet") {
        return Some(Verdict::Success(why));
    }
    told("FailureTarget")
        .or_else(|| failed_by_policy(view))
        .or_else(|| failed_too_often(view))
        .or_else(|| failed_by_deadline(view, now))
        .or_else(|| failed_by_indexes(view))
        .map(Verdict::Failure)
        .or_else(|| succeeded_by_policy(view).map(Verdict::Success))
}

/// How long the Job may still be active; `None` if it may for ever, or does not run.
pub(super) fn time_left(view: &View<'_>, now: Timestamp) -> Option<Duration> {
    let Terms { active_deadline, is_suspended: false, .. } = view.terms else { return None };
    let started = status(view.job).start_time.map_or(now, |time| time.0);
    let active = Duration::try_from(now.duration_since(started)).unwrap_or(Duration::ZERO);
    Some(active_deadline?.saturating_sub(active))
}

fn failed_by_policy(view: &View<'_>) -> Option<Why> {
    view.terms.failure_policy?;
    let failed = view.pods.iter().filter(|pod| view.has_failed(pod));
    let message = failed.filter_map(|pod| match view.judge(pod) {
        Failure::FailsJob(message) => Some(message),
        Failure::Counts | Failure::Ignored | Failure::FailsIndex => None,
    });
    message.into_iter().next().map(|message| Why::new("PodFailurePolicy", message))
}

fn failed_too_often(view: &View<'_>) -> Option<Why> {
    let limit = view.terms.backoff_limit;
    let exceeds = view.failed > limit || (view.terms.restarts_on_failure && restarted_too_often(view));
    exceeds.then(|| Why::new("BackoffLimitExceeded", "Job has reached the specified backoff limit"))
}

/// Whether containers that were started anew in their pods have used the limit up.
fn restarted_too_often(view: &View<'_>) -> bool {
    let running = view.pods.iter().filter(|pod| !is_terminal(pod) && phase(pod) != "Unknown");
    let restarts: i64 = running.map(|pod| restarts(pod)).sum();
    let limit = i64::try_from(view.terms.backoff_limit).unwrap_or(i64::MAX);
    restarts >= limit.max(1)
}

fn failed_by_deadline(view: &View<'_>, now: Timestamp) -> Option<Why> {
    status(view.job).start_time?;
    let is_over = time_left(view, now).is_some_and(|left| left.is_zero());
    is_over.then(|| Why::new("DeadlineExceeded", "Job was active longer than specified deadline"))
}

fn failed_by_indexes(view: &View<'_>) -> Option<Why> {
    let indexes = view.indexes.as_ref()?;
    let failed = indexes.failed.as_ref()?.len();
    let max_failed = view.terms.per_index.and_then(|limits| limits.max_failed);
    if max_failed.is_some_and(|max| failed > max) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        Some(Why::new("MaxFailedIndexesExceeded", message))
    } else if failed > 0 && failed + indexes.succeeded.len() >= indexes.completions {
        Some(Why::new("FailedIndexes", "Job has failed indexes"))
    } else {
        None
    }
}

fn succeeded_by_policy(view: &View<'_>) -> Option<Why> {
    let indexes = view.indexes.as_ref()?;
    let message = policy::success(view.terms.success_policy, indexes.completions, &indexes.succeeded)?;
    Some(Why::new("SuccessPolicy", message))
}

#[cfg(test)]
mod tests;
