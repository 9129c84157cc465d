//! The group `apps`.

use super::{super::ResourceInfo, Names, SCALE, namespaced, status};
use crate::kinds::{controller_revision, daemon_set, deployment, replica_set, stateful_set};

pub(super) const CONTROLLER_REVISIONS: ResourceInfo = ResourceInfo {
    columns: controller_revision::COLUMNS,
    strategy: &controller_revision::Rules,
    ..namespaced("apps", "v1", Names("ControllerRevision", "controllerrevisions", "controllerrevision"))
};

pub(super) const DAEMON_SETS: ResourceInfo = ResourceInfo {
    short_names: &["ds"],
    categories: &["all"],
    subresources: &[status("DaemonSet")],
    columns: daemon_set::COLUMNS,
    strategy: &daemon_set::Rules,
    ..namespaced("apps", "v1", Names("DaemonSet", "daemonsets", "daemonset"))
};

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

pub(super) const STATEFUL_SETS: ResourceInfo = ResourceInfo {
    short_names: &["sts"],
    categories: &["all"],
    subresources: &[SCALE, status("StatefulSet")],
    columns: stateful_set::COLUMNS,
    strategy: &stateful_set::Rules,
    ..namespaced("apps", "v1", Names("StatefulSet", "statefulsets", "statefulset"))
};
