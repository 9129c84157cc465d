//! A Deployment and its ReplicaSets while a plan is made: which is the new one, which are old, and what revision
//! they are.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::new_controller_ref;

use super::annotations::{DESIRED_REPLICAS, REVISION, copied};
use super::bounds::{Bounds, bounds, desired, is_rolling};
use super::conditions::{Conditions, PAUSED, PROGRESSING, TIMED_OUT, condition};
use super::draft::Draft;
use super::template::{Canonical, HASH_LABEL};

/// The longest name that an object can have.
const LONGEST_NAME: usize = 253;

/// The plan in the making.
pub(super) struct Rollout<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) now: Timestamp,
    /// How many pods are wanted.
    pub(super) desired: i64,
    pub(super) bounds: Bounds,
    /// The set with the deployment's template.
    pub(super) new: Option<Draft>,
    /// All others, the oldest first.
    pub(super) old: Vec<Draft>,
    pub(super) conditions: Conditions,
    /// Which revision the deployment is at, if that is known.
    pub(super) revision: Option<String>,
    template: Canonical,
}

impl<'a> Rollout<'a> {
    /// Of a deployment and the sets that are its own.
    pub(super) fn begin(deployment: &'a Deployment, sets: &[Arc<ReplicaSet>], now: Timestamp) -> Self {
        let template = canonical_template(deployment);
        let mut old: Vec<_> = sets.iter().cloned().map(Draft::existing).collect();
        old.sort_by(|a, b| a.age_order().cmp(&b.age_order()));
        // Should there be several with the template, the oldest is the one.
        let is_new = |set: &Arc<ReplicaSet>| has_template(set, &template);
        let new = sets.iter().filter(|set| is_new(set)).map(|set| Draft::existing(Arc::clone(set)));
        let new = new.min_by(|a, b| a.age_order().cmp(&b.age_order()));
        if let Some(new) = &new {
            old.retain(|set| set.uid() != new.uid());
        }
        Self {
            deployment,
            now,
            desired: desired(deployment),
            bounds: bounds(deployment),
            new,
            old,
            conditions: Conditions::of(
                deployment.status.as_ref().and_then(|status| status.conditions.as_ref()),
            ),
            revision: None,
            template,
        }
    }

    /// All sets, the old ones first.
    pub(super) fn sets(&self) -> impl Iterator<Item = &Draft> {
        self.old.iter().chain(&self.new)
    }

    /// All sets, to be changed.
    pub(super) fn sets_mut(&mut self) -> impl Iterator<Item = &mut Draft> {
        self.old.iter_mut().chain(&mut self.new)
    }

    /// How many pods all sets together are to have.
    pub(super) fn total(&self) -> i64 {
        self.sets().map(Draft::replicas).sum()
    }

    /// The most pods that there may be.
    pub(super) fn max_total(&self) -> i64 {
        self.desired + self.bounds.max_surge
    }

    pub(super) fn min_available(&self) -> i64 {
        self.desired - self.bounds.max_unavailable
    }

    /// Within how many seconds something must have happened; `None` if nobody asks.
    pub(super) fn progress_deadline(&self) -> Option<i32> {
        let deadline = self.deployment.spec.progress_deadline_seconds;
        deadline.filter(|seconds| *seconds != i32::MAX)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.deployment.spec.paused.unwrap_or(false)
    }

    /// Whether the deployment wants another number of pods than when it last scaled its sets.
    pub(super) fn is_scaled(&self) -> bool {
        let told = |set: &Draft| set.number(DESIRED_REPLICAS);
        self.sets().filter(|set| set.is_active()).filter_map(told).any(|told| told != self.desired)
    }

    /// Says that the deployment is paused, or no longer is. A rollout that has run out of time stays so.
    pub(super) fn note_pause(&mut self) {
        let reason = self.conditions.reason(PROGRESSING);
        if self.progress_deadline().is_none() || reason == Some(TIMED_OUT) {
            return;
        }
        match (self.is_paused(), reason == Some(PAUSED)) {
            (true, false) => self.note_progress("Unknown", PAUSED, "Deployment is paused"),
            (false, true) => self.note_progress("Unknown", "DeploymentResumed", "Deployment is resumed"),
            (true, true) | (false, false) => {}
        }
    }

    fn note_progress(&mut self, status: &str, reason: &str, message: &str) {
        self.conditions.set(condition(PROGRESSING, status, reason, message, self.now));
    }

    /// Makes the new set, if there is one, the latest revision, with what it has of the deployment.
    pub(super) fn settle_revision(&mut self) {
        let revision = self.next_revision();
        let (has_deadline, is_paused) = (self.progress_deadline().is_some(), self.is_paused());
        let Some(new) = &mut self.new else { return };
        for (key, value) in copied(self.deployment.metadata.annotations.as_ref()) {
            new.annotate(key, value);
        }
        let is_undone = new.promote(revision) && !is_paused;
        new.set_min_ready_seconds(min_ready_seconds(self.deployment));
        self.revision = new.annotation(REVISION).map(str::to_owned);
        // A rollout that was undone is another one, whatever was said of its end.
        if has_deadline && (is_undone || self.conditions.get(PROGRESSING).is_none()) {
            let message = format!("Found new replica set \"{}\"", new.name());
            self.note_progress("True", "FoundNewReplicaSet", &message);
        }
    }

    /// As [`settle_revision`](Self::settle_revision), and creates the new set if there is none.
    pub(super) fn settle_new_set(&mut self) {
        if self.new.is_some() {
            return self.settle_revision();
        }
        let revision = self.next_revision();
        let mut new = Draft::fresh(self.fresh_set());
        for (key, value) in copied(self.deployment.metadata.annotations.as_ref()) {
            new.annotate(key, value);
        }
        new.promote(revision);
        new.scale(self.replicas_of_new(0), self.desired, self.max_total());
        self.revision = new.annotation(REVISION).map(str::to_owned);
        if self.progress_deadline().is_some() {
            let message = format!("Created new replica set \"{}\"", new.name());
            self.note_progress("True", "NewReplicaSetCreated", &message);
        }
        self.new = Some(new);
    }

    /// How many pods the new set, which is to have `present`, may have: as many as there is room for. A set that was
    /// told to have fewer takes room until it has.
    pub(super) fn replicas_of_new(&self, present: i64) -> i64 {
        if !is_rolling(self.deployment) {
            return self.desired;
        }
        let occupied: Option<i64> = self.sets().map(Draft::occupied).sum();
        let room = occupied.map_or(0, |occupied| (self.max_total() - occupied).max(0));
        present + room.min(self.desired - present)
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().filter_map(|set| set.number(REVISION)).max().unwrap_or(0).max(0).saturating_add(1)
    }

    fn fresh_set(&self) -> ReplicaSet {
        let deployment = self.deployment;
        let collisions = deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0);
        let hash = self.template.hash(collisions);
        let mut template = deployment.spec.template.clone();
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(HASH_LABEL.to_owned(), hash.clone());
        let metadata = ObjectMeta {
            name: Some(set_name(deployment.metadata.name.as_deref().unwrap_or_default(), &hash)),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels.clone()),
            owner_references: Some(vec![new_controller_ref(deployment)]),
            ..ObjectMeta::default()
        };
        let mut selector = deployment.spec.selector.clone();
        selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash);
        let spec = ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: Some(min_ready_seconds(deployment)).filter(|seconds| *seconds != 0),
            selector,
            template: Some(template),
        };
        ReplicaSet { metadata, spec, status: None }
    }
}

/// Whether the set makes the pods that `template` means.
pub(super) fn has_template(set: &ReplicaSet, template: &Canonical) -> bool {
    let own = set.spec.template.as_ref();
    own.is_some_and(|own| Canonical::of(own) == *template)
}

/// What the pods of the deployment are to be.
pub(super) fn canonical_template(deployment: &Deployment) -> Canonical {
    Canonical::of(&deployment.spec.template)
}

fn min_ready_seconds(deployment: &Deployment) -> i32 {
    deployment.spec.min_ready_seconds.unwrap_or(0)
}

/// Names are ASCII: the API refuses others.
fn set_name(deployment: &str, hash: &str) -> String {
    let longest = LONGEST_NAME - 1 - hash.len();
    format!("{}-{hash}", deployment.get(..longest).unwrap_or(deployment))
}
