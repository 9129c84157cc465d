//! The numbers and conditions of a Job's status, apart from what has been counted: pure.
//!
//! In: a [`View`], the step that was taken and what became of it. Out: a [`Draft`], to which `accounting.rs` adds.

use k8s_openapi::{api::batch::v1::JobStatus, apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::{
    plan::{Step, is_complete},
    verdict::{Verdict, Why, ensure},
    view::{View, status},
};

/// What became of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deeds {
    /// Active pods that are being deleted now.
    pub(super) removed: usize,
    /// Those of them that were ready.
    pub(super) removed_ready: usize,
    pub(super) created: usize,
}

/// A status that has yet to be counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) status: JobStatus,
    /// How the Job ends, if nothing stands against telling so.
    pub(super) verdict: Option<Verdict>,
    pub(super) turn: Turn,
}

/// Whether the Job turned between running and being suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    None,
    Suspended,
    Resumed,
}

/// Drafts the status. `has_seen_all`: whether the cache showed all pods that were created.
pub(super) fn draft(view: &View<'_>, step: &Step, deeds: Deeds, has_seen_all: bool, now: Timestamp) -> Draft {
    let mut status = status(view.job);
    if status.start_time.is_none() && !view.terms.is_suspended {
        status.start_time = Some(Time(now));
    }
    status.uncounted_terminated_pods.get_or_insert_default();
    let active = view.active.len().saturating_sub(deeds.removed) + deeds.created;
    let mut turn = Turn::None;
    let verdict = match step {
        // As long as a pod may be left nobody can say that all has ended.
        Step::End(verdict) => (has_seen_all && active == 0).then(|| verdict.clone()),
        Step::Hold | Step::Rest | Step::Remove(_) | Step::Track(_) | Step::Create(_)
            if is_complete(view, active) =>
        {
            Some(Verdict::completions_reached())
        }
        Step::Hold => None,
        Step::Rest | Step::Remove(_) | Step::Track(_) | Step::Create(_) => {
            turn = suspend_or_resume(&mut status, view.terms.is_suspended, now);
            None
        }
    };
    status.active = nonzero(active);
    status.ready = Some(number(view.ready.saturating_sub(deeds.removed_ready)));
    status.terminating = Some(number(view.terminating + deeds.removed));
    Draft { status, verdict, turn }
}

/// A number that is left out where it is zero.
pub(super) fn nonzero(count: usize) -> Option<i32> {
    Some(number(count)).filter(|number| *number != 0)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Time that a Job spends suspended is no time that it is active: its start is forgotten, and set anew.
fn suspend_or_resume(status: &mut JobStatus, is_suspended: bool, now: Timestamp) -> Turn {
    let why = |reason: &str, message: &str| Why { reason: reason.to_owned(), message: message.to_owned() };
    let conditions = status.conditions.get_or_insert_default();
    let turn = if is_suspended {
        let why = why("JobSuspended", "Job suspended");
        if ensure(conditions, "Suspended", "True", &why, now) { Turn::Suspended } else { Turn::None }
    } else {
        let why = why("JobResumed", "Job resumed");
        if ensure(conditions, "Suspended", "False", &why, now) { Turn::Resumed } else { Turn::None }
    };
    if conditions.is_empty() {
        status.conditions = None;
    }
    match turn {
        Turn::None => {}
        Turn::Suspended => status.start_time = None,
        Turn::Resumed => status.start_time = Some(Time(now)),
    }
    turn
}

#[cfg(test)]
mod tests;
