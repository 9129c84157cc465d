//! Carries a plan out: changes ReplicaSets as they were observed, and writes the status.
//!
//! In: a deployment and a plan. Out: requests to the API, and events that tell users of scaling. A step that fails
//! ends the round: the next one plans anew. Nothing is written over a change that the cache did not show.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::{EventRecorder, ObjectKey, is_controlled_by, reference_to};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client};
use serde_json::{Map, Value, json};

use super::Error;
use super::annotations::REVISION;
use super::draft::{Scaling, Step, Update};
use super::freshness::Freshness;
use super::plan::{Plan, StatusUpdate};
use super::rollout::{canonical_template, has_template};
use super::status;
use crate::pod_control::{is_namespace_terminating, message_of};

/// Acts for one deployment.
pub(super) struct Actor<'a> {
    pub(super) client: &'a Client,
    pub(super) events: &'a EventRecorder,
    pub(super) freshness: &'a Freshness,
    pub(super) key: &'a ObjectKey,
    pub(super) deployment: &'a Deployment,
}

/// What became of a step.
enum Outcome {
    Done,
    /// The rest of the plan rests on what turned out otherwise; what was learned is written, or will be heard of.
    Overtaken,
}

impl Actor<'_> {
    /// Carries out the plan.
    pub(super) async fn carry_out(&self, plan: Plan) -> Result<(), Error> {
        for step in plan.steps {
            let outcome = match step {
                Step::Create(set) => self.create(&set).await?,
                Step::Update(update) => self.update(&update).await?,
                Step::Delete(set) => self.delete(&set).await?,
            };
            match outcome {
                Outcome::Done => {}
                Outcome::Overtaken => return Ok(()),
            }
        }
        match plan.status {
            Some(update) => self.tell(update).await,
            None => Ok(()),
        }
    }

    async fn create(&self, set: &ReplicaSet) -> Result<Outcome, Error> {
        match self.sets().create(&PostParams::default(), set).await {
            Ok(created) => {
                self.freshness.wrote(self.key, &created.metadata);
                let replicas = created.spec.replicas.unwrap_or(0).into();
                if replicas > 0 {
                    self.tell_of_scaling(&created, Scaling { from: 0, to: replicas });
                }
                Ok(Outcome::Done)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => self.name_taken(set).await,
            // Nothing can be done, and nothing needs to be.
            Err(error) if is_namespace_terminating(&error) => Ok(Outcome::Overtaken),
            Err(error) => {
                self.creation_failed(set, &error).await?;
                Err(Error::CreateSet(error))
            }
        }
    }

    /// Somebody has the name of the new set. If that is this deployment itself, and the cache is late, then it will
    /// hear of it; else the next name is another.
    async fn name_taken(&self, set: &ReplicaSet) -> Result<Outcome, Error> {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let found = self.sets().get_opt(name).await.map_err(Error::CreateSet)?;
        let uid = self.deployment.metadata.uid.as_deref().unwrap_or_default();
        match found {
            Some(found)
                if is_controlled_by(&found.metadata, uid)
                    && has_template(&found, &canonical_template(self.deployment)) =>
            {
                self.freshness.wrote(self.key, &found.metadata);
            }
            Some(_) => {
                tracing::info!(deployment = %self.key, set = name, "a hash collides; taking another");
                self.write_status(status::after_collision(self.deployment), None).await?;
            }
            // It has just gone: the next round finds the name free.
            None => return Err(Error::NameTaken(name.to_owned())),
        }
        Ok(Outcome::Overtaken)
    }

    async fn creation_failed(&self, set: &ReplicaSet, error: &kube::Error) -> Result<(), Error> {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let message = format!("Failed to create new replica set \"{name}\": {}", message_of(error));
        self.events.warning(&reference_to(self.deployment), "ReplicaSetCreateError", message.clone());
        let deadline = self.deployment.spec.progress_deadline_seconds;
        if deadline.is_none_or(|seconds| seconds == i32::MAX) {
            return Ok(());
        }
        let status = status::after_failed_creation(self.deployment, &message, Timestamp::now());
        if self.deployment.status.as_ref() == Some(&status) {
            return Ok(());
        }
        self.write_status(status, None).await
    }

    async fn update(&self, update: &Update) -> Result<Outcome, Error> {
        let name = update.set.metadata.name.as_deref().unwrap_or_default();
        let patch = Patch::Merge(patch_of(update));
        let changed = self.sets().patch(name, &PatchParams::default(), &patch).await;
        let changed = changed.map_err(Error::UpdateSet)?;
        self.freshness.wrote(self.key, &changed.metadata);
        if let Some(scaling) = update.scaling {
            self.tell_of_scaling(&changed, scaling);
        }
        Ok(Outcome::Done)
    }

    async fn delete(&self, set: &ReplicaSet) -> Result<Outcome, Error> {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let preconditions = Preconditions {
            uid: set.metadata.uid.clone(),
            resource_version: set.metadata.resource_version.clone(),
        };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.sets().delete(name, &params).await {
            Ok(_) => Ok(Outcome::Done),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Outcome::Done),
            Err(error) => Err(Error::DeleteSet(error)),
        }
    }

    async fn tell(&self, update: StatusUpdate) -> Result<(), Error> {
        self.write_status(update.status, update.revision).await
    }

    async fn write_status(&self, status: DeploymentStatus, revision: Option<String>) -> Result<(), Error> {
        let mut deployment = Deployment { status: Some(status), ..self.deployment.clone() };
        if let Some(revision) = revision {
            let annotations = deployment.metadata.annotations.get_or_insert_default();
            annotations.insert(REVISION.to_owned(), revision);
        }
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), &self.key.namespace);
        match deployments.replace_status(&self.key.name, &PostParams::default(), &deployment).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(Error::Status(error)),
        }
    }

    fn tell_of_scaling(&self, set: &ReplicaSet, scaling: Scaling) {
        let Scaling { from, to } = scaling;
        let direction = if from < to { "up" } else { "down" };
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
        self.events.normal(&reference_to(self.deployment), "ScalingReplicaSet", message);
    }

    fn sets(&self) -> Api<ReplicaSet> {
        Api::namespaced(self.client.clone(), &self.key.namespace)
    }
}

/// The change alone, and that it holds for this state of this very set only.
fn patch_of(update: &Update) -> Value {
    let meta = &update.set.metadata;
    let mut metadata = json!({"uid": meta.uid, "resourceVersion": meta.resource_version});
    if !update.annotations.is_empty() {
        metadata["annotations"] = json!(update.annotations);
    }
    let mut spec = Map::new();
    if let Some(scaling) = update.scaling {
        spec.insert("replicas".to_owned(), scaling.to.into());
    }
    if let Some(seconds) = update.min_ready_seconds {
        spec.insert("minReadySeconds".to_owned(), seconds.into());
    }
    let mut patch = json!({"metadata": metadata});
    if !spec.is_empty() {
        patch["spec"] = spec.into();
    }
    patch
}
