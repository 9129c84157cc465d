//! The group `rbac.authorization.k8s.io`.

use super::{
    super::{ResourceInfo, Scope},
    Names, namespaced, of_cluster,
};
use crate::{
    columns,
    kinds::rbac::{BINDING_COLUMNS, BindingRules, RoleRules},
};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) const CLUSTER_ROLE_BINDINGS: ResourceInfo = ResourceInfo {
    columns: BINDING_COLUMNS,
    strategy: &BindingRules(Scope::Cluster),
    ..of_cluster(GROUP, "v1", Names("ClusterRoleBinding", "clusterrolebindings", "clusterrolebinding"))
};

pub(super) const CLUSTER_ROLES: ResourceInfo = ResourceInfo {
    columns: columns::DEFAULT,
    strategy: &RoleRules(Scope::Cluster),
    ..of_cluster(GROUP, "v1", Names("ClusterRole", "clusterroles", "clusterrole"))
};

pub(super) const ROLE_BINDINGS: ResourceInfo = ResourceInfo {
    columns: BINDING_COLUMNS,
    strategy: &BindingRules(Scope::Namespaced),
    ..namespaced(GROUP, "v1", Names("RoleBinding", "rolebindings", "rolebinding"))
};

pub(super) const ROLES: ResourceInfo = ResourceInfo {
    columns: columns::DEFAULT,
    strategy: &RoleRules(Scope::Namespaced),
    ..namespaced(GROUP, "v1", Names("Role", "roles", "role"))
};
