//! The core group.

use super::{
    super::{ResourceInfo, Scope, Subresource, Verb},
    Names, PART, SCALE, connection, namespaced, of_cluster, proxy, question, status,
};
use crate::kinds::{
    component_status, config_map, endpoints, event, limit_range, namespace, node, persistent_volume,
    persistent_volume_claim, pod, pod_template, replication_controller, resource_quota, secret, service,
    service_account,
};

pub(super) const BINDINGS: ResourceInfo =
    question("", "v1", Scope::Namespaced, Names("Binding", "bindings", "binding"));

pub(super) const COMPONENT_STATUSES: ResourceInfo = ResourceInfo {
    short_names: &["cs"],
    verbs: &[Verb::Get, Verb::List],
    columns: component_status::COLUMNS,
    ..question("", "v1", Scope::Cluster, Names("ComponentStatus", "componentstatuses", "componentstatus"))
};

pub(super) const CONFIG_MAPS: ResourceInfo = ResourceInfo {
    short_names: &["cm"],
    columns: config_map::COLUMNS,
    strategy: &config_map::Rules,
    ..namespaced("", "v1", Names("ConfigMap", "configmaps", "configmap"))
};

pub(super) const ENDPOINTS: ResourceInfo = ResourceInfo {
    short_names: &["ep"],
    columns: endpoints::COLUMNS,
    strategy: &endpoints::Rules,
    ..namespaced("", "v1", Names("Endpoints", "endpoints", "endpoints"))
};

pub(super) const EVENTS: ResourceInfo = ResourceInfo {
    short_names: &["ev"],
    columns: event::COLUMNS,
    selectable: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    strategy: &event::Rules { strict: false },
    ..namespaced("", "v1", Names("Event", "events", "event"))
};

pub(super) const LIMIT_RANGES: ResourceInfo = ResourceInfo {
    short_names: &["limits"],
    columns: limit_range::COLUMNS,
    strategy: &limit_range::Rules,
    ..namespaced("", "v1", Names("LimitRange", "limitranges", "limitrange"))
};

pub(super) const NAMESPACES: ResourceInfo = ResourceInfo {
    short_names: &["ns"],
    verbs: &[Verb::Create, Verb::Delete, Verb::Get, Verb::List, Verb::Patch, Verb::Update, Verb::Watch],
    subresources: &[
        Subresource { name: "finalize", group_version: None, kind: "Namespace", verbs: &[Verb::Update] },
        status("Namespace"),
    ],
    columns: namespace::COLUMNS,
    selectable: &["status.phase", "name"],
    strategy: &namespace::Rules,
    ..of_cluster("", "v1", Names("Namespace", "namespaces", "namespace"))
};

pub(super) const NODES: ResourceInfo = ResourceInfo {
    short_names: &["no"],
    subresources: &[proxy("NodeProxyOptions"), status("Node")],
    columns: node::COLUMNS,
    selectable: &["spec.unschedulable"],
    strategy: &node::Rules,
    ..of_cluster("", "v1", Names("Node", "nodes", "node"))
};

pub(super) const PERSISTENT_VOLUME_CLAIMS: ResourceInfo = ResourceInfo {
    short_names: &["pvc"],
    subresources: &[status("PersistentVolumeClaim")],
    columns: persistent_volume_claim::COLUMNS,
    strategy: &persistent_volume_claim::Rules,
    ..namespaced("", "v1", Names("PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim"))
};

pub(super) const PERSISTENT_VOLUMES: ResourceInfo = ResourceInfo {
    short_names: &["pv"],
    subresources: &[status("PersistentVolume")],
    columns: persistent_volume::COLUMNS,
    strategy: &persistent_volume::Rules,
    ..of_cluster("", "v1", Names("PersistentVolume", "persistentvolumes", "persistentvolume"))
};

pub(super) const PODS: ResourceInfo = ResourceInfo {
    short_names: &["po"],
    categories: &["all"],
    subresources: &[
        connection("attach", "PodAttachOptions"),
        Subresource { name: "binding", group_version: None, kind: "Binding", verbs: &[Verb::Create] },
        Subresource { name: "ephemeralcontainers", group_version: None, kind: "Pod", verbs: PART },
        Subresource {
            name: "eviction",
            group_version: Some(("policy", "v1")),
            kind: "Eviction",
            verbs: &[Verb::Create],
        },
        connection("exec", "PodExecOptions"),
        Subresource { name: "log", group_version: None, kind: "Pod", verbs: &[Verb::Get] },
        connection("portforward", "PodPortForwardOptions"),
        proxy("PodProxyOptions"),
        Subresource { name: "resize", group_version: None, kind: "Pod", verbs: PART },
        status("Pod"),
    ],
    columns: pod::COLUMNS,
    selectable: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
        "spec.host",
    ],
    strategy: &pod::Rules,
    ..namespaced("", "v1", Names("Pod", "pods", "pod"))
};

pub(super) const POD_TEMPLATES: ResourceInfo = ResourceInfo {
    columns: pod_template::COLUMNS,
    strategy: &pod_template::Rules,
    ..namespaced("", "v1", Names("PodTemplate", "podtemplates", "podtemplate"))
};

pub(super) const REPLICATION_CONTROLLERS: ResourceInfo = ResourceInfo {
    short_names: &["rc"],
    categories: &["all"],
    subresources: &[SCALE, status("ReplicationController")],
    columns: replication_controller::COLUMNS,
    selectable: &["status.replicas"],
    strategy: &replication_controller::Rules,
    ..namespaced("", "v1", Names("ReplicationController", "replicationcontrollers", "replicationcontroller"))
};

pub(super) const RESOURCE_QUOTAS: ResourceInfo = ResourceInfo {
    short_names: &["quota"],
    subresources: &[status("ResourceQuota")],
    columns: resource_quota::COLUMNS,
    strategy: &resource_quota::Rules,
    ..namespaced("", "v1", Names("ResourceQuota", "resourcequotas", "resourcequota"))
};

pub(super) const SECRETS: ResourceInfo = ResourceInfo {
    columns: secret::COLUMNS,
    selectable: &["type"],
    strategy: &secret::Rules,
    ..namespaced("", "v1", Names("Secret", "secrets", "secret"))
};

pub(super) const SERVICE_ACCOUNTS: ResourceInfo = ResourceInfo {
    short_names: &["sa"],
    subresources: &[Subresource {
        name: "token",
        group_version: Some(("authentication.k8s.io", "v1")),
        kind: "TokenRequest",
        verbs: &[Verb::Create],
    }],
    columns: service_account::COLUMNS,
    strategy: &service_account::Rules,
    ..namespaced("", "v1", Names("ServiceAccount", "serviceaccounts", "serviceaccount"))
};

pub(super) const SERVICES: ResourceInfo = ResourceInfo {
    short_names: &["svc"],
    categories: &["all"],
    subresources: &[proxy("ServiceProxyOptions"), status("Service")],
    columns: service::COLUMNS,
    selectable: &["spec.clusterIP", "spec.type"],
    strategy: &service::Rules,
    ..namespaced("", "v1", Names("Service", "services", "service"))
};
