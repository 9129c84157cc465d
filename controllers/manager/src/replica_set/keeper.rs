//! What keeps a number of pods: ReplicaSets, and ReplicationControllers, which are their older form.
//!
//! In: an object of either kind. Out: what the controller has to know of it, in words of ReplicaSets.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    PodTemplateSpec, ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use keelson_controller_runtime::Informer;
use kube::Resource;
use serde::Serialize;

use crate::claim::kin::Cached;
use crate::context::Context;

/// A kind of objects each of which keeps a number of pods.
pub(super) trait Keeper: Cached + Serialize + Resource<Scope = NamespaceResourceScope> {
    /// Upstream's name of the controller.
    const CONTROLLER: &'static str;
    /// The name of its queue.
    const QUEUE: &'static str;
    /// The kind's own status.
    type Status: PartialEq + Send + Sync;

    fn informer(context: &Context) -> Informer<Self>;
    fn replicas(&self) -> i32;
    fn min_ready_seconds(&self) -> i32;
    fn selector(&self) -> LabelSelector;
    fn template(&self) -> Option<&PodTemplateSpec>;
    fn status(&self) -> Option<ReplicaSetStatus>;
    fn own_status(&self) -> Option<&Self::Status>;
    /// What the kind does not tell is lost.
    fn told(status: ReplicaSetStatus) -> Self::Status;
    /// The same object with another status.
    fn with_status(&self, status: Self::Status) -> Self;
}

impl Keeper for ReplicaSet {
    const CONTROLLER: &'static str = "replicaset-controller";
    const QUEUE: &'static str = "replica_set";
    type Status = ReplicaSetStatus;

    fn informer(context: &Context) -> Informer<Self> {
        context.replica_sets()
    }

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }

    fn selector(&self) -> LabelSelector {
        self.spec.selector.clone()
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.template.as_ref()
    }

    fn status(&self) -> Option<ReplicaSetStatus> {
        self.status.clone()
    }

    fn own_status(&self) -> Option<&ReplicaSetStatus> {
        self.status.as_ref()
    }

    fn told(status: ReplicaSetStatus) -> ReplicaSetStatus {
        status
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }
}

impl Keeper for ReplicationController {
    const CONTROLLER: &'static str = "replicationcontroller-controller";
    const QUEUE: &'static str = "replication_controller";
    type Status = ReplicationControllerStatus;

    fn informer(context: &Context) -> Informer<Self> {
        context.replication_controllers()
    }

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }

    fn selector(&self) -> LabelSelector {
        let labels = self.spec.as_ref().and_then(|spec| spec.selector.clone());
        LabelSelector { match_labels: labels, match_expressions: None }
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().and_then(|spec| spec.template.as_ref())
    }

    fn status(&self) -> Option<ReplicaSetStatus> {
        let status = self.status.clone()?;
        let condition = |it: ReplicationControllerCondition| ReplicaSetCondition {
            type_: Some(it.type_),
            status: Some(it.status),
            reason: it.reason,
            message: it.message,
            last_transition_time: it.last_transition_time,
        };
        Some(ReplicaSetStatus {
            replicas: status.replicas,
            fully_labeled_replicas: status.fully_labeled_replicas,
            ready_replicas: status.ready_replicas,
            available_replicas: status.available_replicas,
            terminating_replicas: None,
            observed_generation: status.observed_generation,
            conditions: status.conditions.map(|all| all.into_iter().map(condition).collect()),
        })
    }

    fn own_status(&self) -> Option<&ReplicationControllerStatus> {
        self.status.as_ref()
    }

    fn told(status: ReplicaSetStatus) -> ReplicationControllerStatus {
        let condition = |it: ReplicaSetCondition| ReplicationControllerCondition {
            type_: it.type_.unwrap_or_default(),
            status: it.status.unwrap_or_default(),
            reason: it.reason,
            message: it.message,
            last_transition_time: it.last_transition_time,
        };
        ReplicationControllerStatus {
            replicas: status.replicas,
            fully_labeled_replicas: status.fully_labeled_replicas,
            ready_replicas: status.ready_replicas,
            available_replicas: status.available_replicas,
            observed_generation: status.observed_generation,
            conditions: status.conditions.map(|all| all.into_iter().map(condition).collect()),
        }
    }

    fn with_status(&self, status: ReplicationControllerStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }
}
