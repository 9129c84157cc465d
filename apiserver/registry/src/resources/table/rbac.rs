//! The group `rbac.authorization.k8s.io`.

use super::{super::ResourceInfo, Names, namespaced, of_cluster};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) const CLUSTER_ROLE_BINDINGS: ResourceInfo =
    of_cluster(GROUP, "v1", Names("ClusterRoleBinding", "clusterrolebindings", "clusterrolebinding"));

pub(super) const CLUSTER_ROLES: ResourceInfo =
    of_cluster(GROUP, "v1", Names("ClusterRole", "clusterroles", "clusterrole"));

pub(super) const ROLE_BINDINGS: ResourceInfo =
    namespaced(GROUP, "v1", Names("RoleBinding", "rolebindings", "rolebinding"));

pub(super) const ROLES: ResourceInfo = namespaced(GROUP, "v1", Names("Role", "roles", "role"));
