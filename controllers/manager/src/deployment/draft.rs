//! A ReplicaSet as it will be when the plan has been carried out: what was observed, and what changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::jiff::Timestamp;

use super::annotations::{DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY, lengthened};

/// A change of a ReplicaSet, to be made only if it still is as it was observed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Update {
    /// As it was observed.
    pub(super) set: Arc<ReplicaSet>,
    /// The number of pods before and after, if it changes.
    pub(super) scaling: Option<Scaling>,
    /// The new least time of readiness, if it changes.
    pub(super) min_ready_seconds: Option<i32>,
    /// The annotations that are new or change.
    pub(super) annotations: BTreeMap<String, String>,
}

/// From how many pods to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scaling {
    /// Before.
    pub(super) from: i64,
    /// After.
    pub(super) to: i64,
}

/// One thing to do to a ReplicaSet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Create it.
    Create(Box<ReplicaSet>),
    /// Change it.
    Update(Update),
    /// Delete it: it is too old to be kept.
    Delete(Arc<ReplicaSet>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Create,
    Keep,
    Delete,
}

/// A ReplicaSet in the plan.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    observed: Arc<ReplicaSet>,
    fate: Fate,
    replicas: i64,
    min_ready_seconds: i32,
    annotations: BTreeMap<String, String>,
}

impl Draft {
    /// One that exists.
    pub(super) fn existing(observed: Arc<ReplicaSet>) -> Self {
        Self::new(observed, Fate::Keep)
    }

    /// One that is to be created, without pods at first.
    pub(super) fn fresh(set: ReplicaSet) -> Self {
        Self::new(Arc::new(set), Fate::Create)
    }

    fn new(observed: Arc<ReplicaSet>, fate: Fate) -> Self {
        Self {
            replicas: observed_replicas(&observed),
            min_ready_seconds: observed_min_ready_seconds(&observed),
            annotations: BTreeMap::new(),
            observed,
            fate,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.observed.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn uid(&self) -> Option<&str> {
        self.observed.metadata.uid.as_deref()
    }

    /// How many pods it is to have.
    pub(super) fn replicas(&self) -> i64 {
        self.replicas
    }

    /// Whether it is to have any.
    pub(super) fn is_active(&self) -> bool {
        self.replicas > 0
    }

    /// How many pods it had when its status was written; nothing if there is none yet.
    pub(super) fn status(&self, count: impl Fn(&ReplicaSetStatus) -> Option<i32>) -> i64 {
        self.observed.status.as_ref().and_then(count).unwrap_or(0).into()
    }

    pub(super) fn observed_status(&self) -> Option<&ReplicaSetStatus> {
        self.observed.status.as_ref()
    }

    /// How many of the pods that it is to have are available for certain: a status may tell of pods that are on their
    /// way out. `None`: the ReplicaSet controller has not said what it made of the last change.
    pub(super) fn available(&self) -> Option<i64> {
        self.is_settled().then(|| self.status(|status| status.available_replicas).min(self.replicas))
    }

    /// How many pods it may have at the moment, besides those that are being deleted: more than it is to have, if the
    /// others are not gone yet. `None` as for [`available`](Self::available).
    pub(super) fn occupied(&self) -> Option<i64> {
        self.is_settled().then(|| self.status(|status| Some(status.replicas)).max(self.replicas))
    }

    fn is_settled(&self) -> bool {
        let status = self.observed.status.as_ref();
        status.and_then(|status| status.observed_generation) >= self.observed.metadata.generation
    }

    /// The order of age: by creation, then by name.
    pub(super) fn age_order(&self) -> (Option<Timestamp>, &str) {
        (self.observed.metadata.creation_timestamp.as_ref().map(|time| time.0), self.name())
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        let observed = || self.observed.metadata.annotations.as_ref().and_then(|all| all.get(key));
        self.annotations.get(key).or_else(observed).map(String::as_str)
    }

    /// An annotation that is a number.
    pub(super) fn number(&self, key: &str) -> Option<i64> {
        self.annotation(key)?.parse().ok()
    }

    pub(super) fn annotate(&mut self, key: &str, value: &str) {
        if self.annotation(key) != Some(value) {
            self.annotations.insert(key.to_owned(), value.to_owned());
        }
    }

    /// Makes it at least this revision. One that was a lower revision before remembers that. A revision that is no
    /// number is left alone: somebody else has a use for it. Whether it is another revision now.
    pub(super) fn promote(&mut self, revision: i64) -> bool {
        let before = self.annotation(REVISION).map(str::to_owned);
        match before.as_deref().map(str::parse::<i64>) {
            None => self.annotate(REVISION, &revision.to_string()),
            Some(Ok(old)) if old < revision => {
                let history = self.annotation(REVISION_HISTORY).unwrap_or_default();
                let history = lengthened(history, &old.to_string());
                self.annotate(REVISION_HISTORY, &history);
                self.annotate(REVISION, &revision.to_string());
            }
            Some(Ok(_)) => {}
            Some(Err(_)) => tracing::warn!(set = self.name(), ?before, "the revision is not a number"),
        }
        self.annotation(REVISION) != before.as_deref()
    }

    /// Gives it so many pods, as a part of a deployment that wants `desired` and bears `max`.
    pub(super) fn scale(&mut self, replicas: i64, desired: i64, max: i64) {
        self.replicas = replicas.max(0);
        self.annotate(DESIRED_REPLICAS, &desired.to_string());
        self.annotate(MAX_REPLICAS, &max.to_string());
    }

    pub(super) fn set_min_ready_seconds(&mut self, seconds: i32) {
        self.min_ready_seconds = seconds;
    }

    /// Whether nothing of it is left, and nothing is on its way.
    pub(super) fn is_deletable(&self) -> bool {
        !self.is_being_deleted() && self.occupied() == Some(0) && observed_replicas(&self.observed) == 0
    }

    pub(super) fn is_being_deleted(&self) -> bool {
        self.observed.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn delete(&mut self) {
        self.fate = Fate::Delete;
    }

    /// What has to be done to make it so.
    pub(super) fn into_step(self) -> Option<Step> {
        match self.fate {
            Fate::Delete => Some(Step::Delete(self.observed)),
            Fate::Create => Some(Step::Create(Box::new(self.created()))),
            Fate::Keep => self.into_update().map(Step::Update),
        }
    }

    fn created(self) -> ReplicaSet {
        let mut set = Arc::unwrap_or_clone(self.observed);
        set.metadata.annotations.get_or_insert_default().extend(self.annotations);
        set.spec.replicas = Some(number(self.replicas));
        set
    }

    fn into_update(self) -> Option<Update> {
        let from = observed_replicas(&self.observed);
        let scaling = (self.replicas != from).then_some(Scaling { from, to: self.replicas });
        let seconds = self.min_ready_seconds;
        let min_ready_seconds = (seconds != observed_min_ready_seconds(&self.observed)).then_some(seconds);
        let changes = scaling.is_some() || min_ready_seconds.is_some() || !self.annotations.is_empty();
        let Self { observed: set, annotations, .. } = self;
        changes.then_some(Update { set, scaling, min_ready_seconds, annotations })
    }
}

/// As the API has it.
pub(super) fn number(replicas: i64) -> i32 {
    i32::try_from(replicas).unwrap_or(i32::MAX)
}

fn observed_replicas(set: &ReplicaSet) -> i64 {
    set.spec.replicas.unwrap_or(1).into()
}

fn observed_min_ready_seconds(set: &ReplicaSet) -> i32 {
    set.spec.min_ready_seconds.unwrap_or(0)
}

#[cfg(test)]
mod tests;
