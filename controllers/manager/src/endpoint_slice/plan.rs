//! Which endpoints the slices of a Service should list: pure.
//!
//! In: a Service, its pods, their nodes, and the slices as they are. Out: slices to create, to update and to delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, ObjectReference, Service, ServiceSpec};
use k8s_openapi::api::discovery::v1::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForNode, ForZone,
};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::new_controller_ref;
use keelson_controller_runtime::pod::Pod;

use super::pack::{Annotations, Changes, Group, Head, Wanted, pack};
use super::{MANAGED_BY_LABEL, SERVICE_LABEL};
use crate::backends::{self, Family, HEADLESS_LABEL};

/// The value of [`MANAGED_BY_LABEL`] on slices that are ours.
pub(super) const MANAGER: &str = "endpointslice-controller.k8s.io";

/// The label of a node that says in which zone it is.
pub(super) const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// How many endpoints a slice has at most.
const LIMIT: usize = 100;

/// Decides. `existing` are the slices of this Service's name that are ours and are not being deleted; `trigger` is the
/// earliest change that the slices have not followed yet.
pub(super) fn plan(
    service: &Service,
    pods: &[Arc<Pod>],
    node: impl Fn(&str) -> Option<Arc<Node>>,
    existing: &[Arc<EndpointSlice>],
    trigger: Option<Timestamp>,
) -> Changes {
    let head = Head {
        namespace: service.metadata.namespace.clone().unwrap_or_default(),
        name: service.metadata.name.clone().unwrap_or_default(),
        owner: new_controller_ref(service),
        labels: labels(service),
        annotations: Annotations::Trigger(trigger),
    };
    let mut changes = pack(&head, wanted(service, pods, node), existing, LIMIT);
    if service.metadata.deletion_timestamp.is_some() {
        // The garbage collector is about to delete them all.
        changes.create.clear();
    }
    changes
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS_LABEL);
    if backends::is_headless(&backends::spec(service)) {
        labels.insert(HEADLESS_LABEL.to_owned(), String::new());
    }
    labels.insert(SERVICE_LABEL.to_owned(), service.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned());
    labels
}

fn wanted(service: &Service, pods: &[Arc<Pod>], node: impl Fn(&str) -> Option<Arc<Node>>) -> Wanted {
    let spec = backends::spec(service);
    let families = backends::families(&spec);
    let mut wanted = Wanted::new();
    for pod in pods.iter().filter(|pod| backends::is_reachable(pod)) {
        let name = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let node = name.and_then(&node);
        // A pod on a node that is not there is about to be removed.
        if node.is_none() && spec.publish_not_ready_addresses != Some(true) {
            continue;
        }
        for family in &families {
            let Some(endpoint) = endpoint(service, &spec, pod, node.as_deref(), *family) else { continue };
            wanted.entry(Group::new(*family, &ports(&spec, pod))).or_default().push(endpoint);
        }
    }
    for family in families {
        if !wanted.keys().any(|group| group.is_of(family)) {
            wanted.insert(Group::new(family, &[]), Vec::new());
        }
    }
    wanted
}

fn ports(spec: &ServiceSpec, pod: &Pod) -> Vec<EndpointPort> {
    let ports = spec.ports.iter().flatten();
    let found = ports.filter_map(|port| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(backends::target_port(pod, port)?),
            protocol: Some(backends::protocol(port).to_owned()),
            app_protocol: port.app_protocol.clone(),
        })
    });
    found.collect()
}

fn endpoint(
    service: &Service,
    spec: &ServiceSpec,
    pod: &Pod,
    node: Option<&Node>,
    family: Family,
) -> Option<Endpoint> {
    let addresses = Some(backends::addresses(pod, family)).filter(|all| !all.is_empty())?;
    let is_serving = backends::is_ready(pod);
    let is_terminating = pod.metadata.deletion_timestamp.is_some();
    let is_ready = spec.publish_not_ready_addresses == Some(true) || (is_serving && !is_terminating);
    let node_name = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let zone = node.and_then(|node| node.metadata.labels.as_ref()?.get(ZONE_LABEL).cloned());
    let zone = zone.filter(|zone| !zone.is_empty());
    let hints = if is_ready { hints(spec, node_name.as_deref(), zone.as_deref()) } else { None };
    Some(Endpoint {
        addresses,
        conditions: Some(EndpointConditions {
            ready: Some(is_ready),
            serving: Some(is_serving),
            terminating: Some(is_terminating),
        }),
        deprecated_topology: None,
        hints,
        hostname: backends::hostname(pod, service),
        node_name,
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        zone,
    })
}

/// For whom an endpoint is meant first, if the Service prefers what is near.
fn hints(spec: &ServiceSpec, node: Option<&str>, zone: Option<&str>) -> Option<EndpointHints> {
    let by_node = match spec.traffic_distribution.as_deref() {
        Some("PreferClose" | "PreferSameZone") => false,
        Some("PreferSameNode") => true,
        _ => return None,
    };
    let for_zones = zone.map(|zone| vec![ForZone { name: zone.to_owned() }]);
    let for_nodes = node.filter(|_| by_node).map(|node| vec![ForNode { name: node.to_owned() }]);
    let hints = EndpointHints { for_nodes, for_zones };
    (hints != EndpointHints::default()).then_some(hints)
}

#[cfg(test)]
mod tests;
