//! The group `apps`.

use super::{super::ResourceInfo, Names, SCALE, namespaced, status};

pub(super) const DEPLOYMENTS: ResourceInfo = ResourceInfo {
    short_names: &["deploy"],
    categories: &["all"],
    subresources: &[SCALE, status("Deployment")],
    ..namespaced("apps", "v1", Names("Deployment", "deployments", "deployment"))
};

pub(super) const REPLICA_SETS: ResourceInfo = ResourceInfo {
    short_names: &["rs"],
    categories: &["all"],
    subresources: &[SCALE, status("ReplicaSet")],
    selectable: &["status.replicas"],
    ..namespaced("apps", "v1", Names("ReplicaSet", "replicasets", "replicaset"))
};
