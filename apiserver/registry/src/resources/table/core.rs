//! The core group.

use super::{
    super::{ResourceInfo, Scope, Subresource, Verb},
    Names, connection, namespaced, of_cluster, question, status,
};
use crate::kinds::{config_map, endpoints, event, namespace, node, pod, secret, service, service_account};

pub(super) const BINDINGS: ResourceInfo =
    question("", "v1", Scope::Namespaced, Names("Binding", "bindings", "binding"));

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
    subresources: &[status("Node")],
    columns: node::COLUMNS,
    selectable: &["spec.unschedulable"],
    strategy: &node::Rules,
    ..of_cluster("", "v1", Names("Node", "nodes", "node"))
};

pub(super) const PODS: ResourceInfo = ResourceInfo {
    short_names: &["po"],
    categories: &["all"],
    subresources: &[
        connection("attach", "PodAttachOptions"),
        Subresource { name: "binding", group_version: None, kind: "Binding", verbs: &[Verb::Create] },
        connection("exec", "PodExecOptions"),
        Subresource { name: "log", group_version: None, kind: "Pod", verbs: &[Verb::Get] },
        connection("portforward", "PodPortForwardOptions"),
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
    subresources: &[status("Service")],
    columns: service::COLUMNS,
    selectable: &["spec.clusterIP", "spec.type"],
    strategy: &service::Rules,
    ..namespaced("", "v1", Names("Service", "services", "service"))
};
