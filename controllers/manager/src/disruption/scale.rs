//! How many pods the controllers of some pods want.
//!
//! In: pods, and who controls them as the caches show it. Out: the sum of what those controllers are scaled to, each
//! counted once, and the pods that nobody controls. Deliberately absent: the scale of custom resources.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Informer, controller_of};

use crate::claim::kin;
use crate::context::Context;

/// Where the numbers are.
pub(super) struct Scales {
    deployments: Informer<Deployment>,
    replica_sets: Informer<ReplicaSet>,
    replication_controllers: Informer<ReplicationController>,
    stateful_sets: Informer<StatefulSet>,
}

/// What the controllers of some pods want together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) wanted: i64,
    /// The names of the pods that nobody controls.
    pub(super) unmanaged: Vec<String>,
}

/// Why the number is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnknownScale {
    /// The controller is gone, or has yet to show up.
    #[error("found no controllers for pod {0:?}")]
    NoController(String),
    /// Objects of that kind say nothing of the kind.
    #[error("{0} does not implement the scale subresource")]
    NotScalable(String),
}

/// The uid of what has a scale, and the scale.
type Scaled = (Option<String>, i32);

impl Scales {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            deployments: context.deployments(),
            replica_sets: context.replica_sets(),
            replication_controllers: context.replication_controllers(),
            stateful_sets: context.stateful_sets(),
        }
    }

    pub(super) async fn synced(&self) {
        tokio::join!(
            self.deployments.synced(),
            self.replica_sets.synced(),
            self.replication_controllers.synced(),
            self.stateful_sets.synced(),
        );
    }

    /// What the controllers of these pods want.
    pub(super) fn of(&self, pods: &[Arc<Pod>]) -> Result<Scale, UnknownScale> {
        let mut unmanaged = Vec::new();
        let mut wanted = HashMap::new();
        for pod in pods {
            match controller_of(&pod.metadata) {
                None => unmanaged.push(name(pod)),
                Some(controller) => {
                    let (uid, scale) = self.of_controller(pod, controller)?;
                    wanted.insert(uid, i64::from(scale));
                }
            }
        }
        Ok(Scale { wanted: wanted.into_values().sum(), unmanaged })
    }

    fn of_controller(&self, pod: &Pod, controller: &OwnerReference) -> Result<Scaled, UnknownScale> {
        let group = controller.api_version.split_once('/').map_or("", |(group, _)| group);
        let found = match (group, controller.kind.as_str()) {
            ("apps", "ReplicaSet") => self.of_replica_set(pod),
            ("apps", "StatefulSet") => kin::owner_of(&self.stateful_sets, &pod.metadata)
                .map(|set| (set.metadata.uid.clone(), replicas(set.spec.replicas))),
            ("", "ReplicationController") => kin::owner_of(&self.replication_controllers, &pod.metadata)
                .map(|it| (it.metadata.uid.clone(), replicas(it.spec.as_ref().and_then(|it| it.replicas)))),
            _ => return Err(UnknownScale::NotScalable(resource(group, &controller.kind))),
        };
        found.ok_or_else(|| UnknownScale::NoController(name(pod)))
    }

    /// A set that a deployment controls has no say.
    fn of_replica_set(&self, pod: &Pod) -> Option<Scaled> {
        let set = kin::owner_of(&self.replica_sets, &pod.metadata)?;
        match controller_of(&set.metadata) {
            Some(controller) if controller.kind == "Deployment" => {
                let deployment = kin::owner_of(&self.deployments, &set.metadata)?;
                Some((deployment.metadata.uid.clone(), replicas(deployment.spec.replicas)))
            }
            _ => Some((set.metadata.uid.clone(), replicas(set.spec.replicas))),
        }
    }
}

/// What is not given is one.
fn replicas(given: Option<i32>) -> i32 {
    given.unwrap_or(1)
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

/// A kind's resource as errors name it: `jobs.batch`.
fn resource(group: &str, kind: &str) -> String {
    let plural = format!("{}s", kind.to_lowercase());
    if group.is_empty() { plural } else { format!("{plural}.{group}") }
}
