//! The group `apps`.

use super::{super::ResourceInfo, Names, SCALE, namespaced, status};
use crate::kinds::{deployment, replica_set};

pub(super) const DEPLOYMENTS: ResourceInfo = ResourceInfo {
    short_names: &["deploy"],
    categories: &["all"],
    subresources: &[SCALE, status("Deployment")],
    columns: deployment::COLUMNS,
    strategy: &deployment::Rules,
    ..namespaced("apps", "v1", Names("Deployment", "deployments", "deployment"))
};

pub(super) const REPLICA_SETS: ResourceInfo = ResourceInfo {
    short_names: &["rs"],
    categories: &["all"],
    subresources: &[SCALE, status("ReplicaSet")],
    columns: replica_set::COLUMNS,
    selectable: &["status.replicas"],
    strategy: &replica_set::Rules,
    ..namespaced("apps", "v1", Names("ReplicaSet", "replicasets", "replicaset"))
};
