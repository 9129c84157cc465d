//! The entries, in the order in which discovery lists the groups.

use super::{
    ResourceInfo, Scope, Storage, Subresource,
    Verb::{self, Create, Delete, DeleteCollection, Get, List, Patch, Update, Watch},
};
use crate::strategy::Plain;

mod admission_registration;
mod apps;
mod auth;
mod autoscaling;
mod batch;
mod certificates;
mod cluster;
mod core;
mod devices;
mod extensions;
mod flow_control;
mod network;
mod policy;
mod rbac;
mod storage;

/// What can be done with an ordinary resource.
const ALL: &[Verb] = &[Create, Delete, DeleteCollection, Get, List, Patch, Update, Watch];

/// What can be done with a part of an object.
const PART: &[Verb] = &[Get, Patch, Update];

/// The entries, grouped by group and version.
pub static RESOURCES: &[ResourceInfo] = &[
    core::BINDINGS,
    core::COMPONENT_STATUSES,
    core::CONFIG_MAPS,
    core::ENDPOINTS,
    core::EVENTS,
    core::LIMIT_RANGES,
    core::NAMESPACES,
    core::NODES,
    core::PERSISTENT_VOLUME_CLAIMS,
    core::PERSISTENT_VOLUMES,
    core::PODS,
    core::POD_TEMPLATES,
    core::REPLICATION_CONTROLLERS,
    core::RESOURCE_QUOTAS,
    core::SECRETS,
    core::SERVICE_ACCOUNTS,
    core::SERVICES,
    extensions::API_SERVICES,
    apps::CONTROLLER_REVISIONS,
    apps::DAEMON_SETS,
    apps::DEPLOYMENTS,
    apps::REPLICA_SETS,
    apps::STATEFUL_SETS,
    cluster::EVENTS,
    auth::SELF_SUBJECT_REVIEWS,
    auth::TOKEN_REVIEWS,
    auth::LOCAL_SUBJECT_ACCESS_REVIEWS,
    auth::SELF_SUBJECT_ACCESS_REVIEWS,
    auth::SELF_SUBJECT_RULES_REVIEWS,
    auth::SUBJECT_ACCESS_REVIEWS,
    autoscaling::HORIZONTAL_POD_AUTOSCALERS,
    autoscaling::HORIZONTAL_POD_AUTOSCALERS_V1,
    batch::CRON_JOBS,
    batch::JOBS,
    certificates::CERTIFICATE_SIGNING_REQUESTS,
    certificates::CLUSTER_TRUST_BUNDLES,
    certificates::POD_CERTIFICATE_REQUESTS,
    network::INGRESS_CLASSES,
    network::INGRESSES,
    network::IP_ADDRESSES,
    network::NETWORK_POLICIES,
    network::SERVICE_CIDRS,
    cluster::RUNTIME_CLASSES,
    policy::POD_DISRUPTION_BUDGETS,
    rbac::CLUSTER_ROLE_BINDINGS,
    rbac::CLUSTER_ROLES,
    rbac::ROLE_BINDINGS,
    rbac::ROLES,
    admission_registration::MUTATING_ADMISSION_POLICIES,
    admission_registration::MUTATING_ADMISSION_POLICY_BINDINGS,
    admission_registration::MUTATING_WEBHOOK_CONFIGURATIONS,
    admission_registration::VALIDATING_ADMISSION_POLICIES,
    admission_registration::VALIDATING_ADMISSION_POLICY_BINDINGS,
    admission_registration::VALIDATING_WEBHOOK_CONFIGURATIONS,
    extensions::CUSTOM_RESOURCE_DEFINITIONS,
    cluster::PRIORITY_CLASSES,
    storage::CSI_DRIVERS,
    storage::CSI_NODES,
    storage::CSI_STORAGE_CAPACITIES,
    storage::STORAGE_CLASSES,
    storage::VOLUME_ATTACHMENTS,
    storage::VOLUME_ATTRIBUTES_CLASSES,
    cluster::LEASES,
    network::ENDPOINT_SLICES,
    flow_control::FLOW_SCHEMAS,
    flow_control::PRIORITY_LEVEL_CONFIGURATIONS,
    devices::DEVICE_CLASSES,
    devices::DEVICE_TAINT_RULES,
    devices::RESOURCE_CLAIMS,
    devices::RESOURCE_CLAIM_TEMPLATES,
    devices::RESOURCE_SLICES,
    storage::STORAGE_VERSION_MIGRATIONS,
];

/// How a kind and its resource are called: `Names("Pod", "pods", "pod")`.
#[derive(Clone, Copy)]
struct Names(&'static str, &'static str, &'static str);

/// A namespaced resource that is stored under its plural, with every verb and no rules.
const fn namespaced(group: &'static str, version: &'static str, names: Names) -> ResourceInfo {
    let Names(kind, plural, singular) = names;
    ResourceInfo {
        group,
        version,
        kind,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        scope: Scope::Namespaced,
        verbs: ALL,
        subresources: &[],
        storage: Storage::Stored(plural),
        columns: &[],
        selectable: &[],
        strategy: &Plain,
    }
}

/// The same for a resource of the whole cluster.
const fn of_cluster(group: &'static str, version: &'static str, names: Names) -> ResourceInfo {
    ResourceInfo { scope: Scope::Cluster, ..namespaced(group, version, names) }
}

/// A resource of which nothing is stored: creating one asks or orders something.
const fn question(group: &'static str, version: &'static str, scope: Scope, names: Names) -> ResourceInfo {
    ResourceInfo { scope, verbs: &[Create], storage: Storage::Question, ..namespaced(group, version, names) }
}

/// The status of an object of this kind.
const fn status(kind: &'static str) -> Subresource {
    Subresource { name: "status", group_version: None, kind, verbs: PART }
}

/// Something beyond this server that a request with these options is connected to. WebSockets begin with a GET, SPDY
/// with a POST.
const fn connection(name: &'static str, options: &'static str) -> Subresource {
    Subresource { name, group_version: None, kind: options, verbs: &[Create, Get] }
}

/// Somebody beyond this server to whom requests are passed on as they are.
const fn proxy(options: &'static str) -> Subresource {
    let verbs = &[Create, Delete, Get, Patch, Update];
    Subresource { name: "proxy", group_version: None, kind: options, verbs }
}

/// How many replicas an object wants and has.
const SCALE: Subresource =
    Subresource { name: "scale", group_version: Some(("autoscaling", "v1")), kind: "Scale", verbs: PART };

#[cfg(test)]
mod tests;
