//! What a Job asks for, in a form that cannot be half set: pure.
//!
//! In: a Job as the API shows it, with its defaults. Out: [`Terms`].

use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobSpec, PodFailurePolicy, SuccessPolicy};

/// Who manages a Job that does not say so.
const OURSELVES: &str = "kubernetes.io/job-controller";

/// How completions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One pod is like another. `None`: it is enough that one succeeds.
    NonIndexed { completions: Option<usize> },
    /// Each index has to succeed once.
    Indexed { completions: usize },
}

/// How often a pod may fail in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PerIndex {
    pub(super) backoff_limit: i32,
    /// How many indexes may fail before the Job does.
    pub(super) max_failed: Option<usize>,
}

/// When a pod is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replacement {
    /// When it is being deleted.
    WhenTerminating,
    /// When it has ended.
    WhenFailed,
}

/// What a Job asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Terms<'a> {
    pub(super) mode: Mode,
    pub(super) parallelism: usize,
    pub(super) backoff_limit: usize,
    /// Only indexed Jobs have it.
    pub(super) per_index: Option<PerIndex>,
    pub(super) active_deadline: Option<Duration>,
    pub(super) failure_policy: Option<&'a PodFailurePolicy>,
    pub(super) success_policy: Option<&'a SuccessPolicy>,
    pub(super) replacement: Replacement,
    pub(super) is_suspended: bool,
    /// Whether containers that fail are started anew in their pod.
    pub(super) restarts_on_failure: bool,
}

/// Whether somebody else manages the Job.
pub(super) fn is_managed_elsewhere(job: &Job) -> bool {
    let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
    manager.is_some_and(|manager| manager != OURSELVES)
}

impl<'a> Terms<'a> {
    /// Of a Job; `None` if its completion mode is none that is known here.
    pub(super) fn of(spec: &'a JobSpec) -> Option<Self> {
        let completions = spec.completions.map(count);
        let mode = match spec.completion_mode.as_deref() {
            None | Some("NonIndexed") => Mode::NonIndexed { completions },
            Some("Indexed") => Mode::Indexed { completions: completions.unwrap_or(0) },
            Some(_) => return None,
        };
        let is_indexed = matches!(mode, Mode::Indexed { .. });
        let per_index =
            |backoff_limit| PerIndex { backoff_limit, max_failed: spec.max_failed_indexes.map(count) };
        let has_failure_policy = spec.pod_failure_policy.is_some();
        let pods = spec.template.spec.as_ref();
        Some(Self {
            mode,
            parallelism: spec.parallelism.map_or(1, count),
            backoff_limit: spec.backoff_limit.map_or(6, count),
            per_index: spec.backoff_limit_per_index.filter(|_| is_indexed).map(per_index),
            active_deadline: spec
                .active_deadline_seconds
                .map(|it| Duration::from_secs(it.max(0).unsigned_abs())),
            failure_policy: spec.pod_failure_policy.as_ref(),
            success_policy: spec.success_policy.as_ref(),
            replacement: match spec.pod_replacement_policy.as_deref() {
                Some("Failed") => Replacement::WhenFailed,
                _ if has_failure_policy => Replacement::WhenFailed,
                _ => Replacement::WhenTerminating,
            },
            is_suspended: spec.suspend == Some(true),
            restarts_on_failure: pods.and_then(|it| it.restart_policy.as_deref()) == Some("OnFailure"),
        })
    }

    /// How many pods have to succeed; `None`: any number but zero.
    pub(super) fn completions(&self) -> Option<usize> {
        match self.mode {
            Mode::NonIndexed { completions } => completions,
            Mode::Indexed { completions } => Some(completions),
        }
    }

    /// How many indexes there are, if there are any.
    pub(super) fn indexes(&self) -> Option<usize> {
        match self.mode {
            Mode::NonIndexed { .. } => None,
            Mode::Indexed { completions } => Some(completions),
        }
    }
}

/// A number that the API does not let be negative.
fn count(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}
