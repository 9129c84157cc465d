//! What Endpoints a Service should have: pure.
//!
//! In: a Service, its pods, and the Endpoints as they are. Out: nothing to do, or the object to create or to update.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, ObjectReference, Service, ServicePort,
    ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;

use super::subsets::{Offer, pack, truncate};
use crate::backends::{self, HEADLESS_LABEL, TRIGGER_TIME_ANNOTATION};

/// The label of Endpoints that are ours, and its value.
pub(super) const MANAGED_BY: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");

/// The annotation of Endpoints that do not list all there are, and its value.
const OVER_CAPACITY: (&str, &str) = ("endpoints.kubernetes.io/over-capacity", "truncated");

/// What there is to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Nothing,
    Create(Box<Endpoints>),
    /// Carries the `resourceVersion` of what it replaces.
    Update(Box<Endpoints>),
}

/// Decides. `trigger` is the earliest change that the Endpoints have not followed yet.
pub(super) fn plan(
    service: &Service,
    pods: &[Arc<Pod>],
    current: Option<&Endpoints>,
    trigger: Option<Timestamp>,
) -> Action {
    let mut subsets = subsets(service, pods);
    let is_truncated = truncate(&mut subsets);
    let labels = labels(service);
    let Some(current) = current else {
        let metadata = ObjectMeta {
            namespace: service.metadata.namespace.clone(),
            name: service.metadata.name.clone(),
            ..ObjectMeta::default()
        };
        let bare = Endpoints { metadata, subsets: None };
        return Action::Create(Box::new(filled(bare, subsets, labels, is_truncated, trigger)));
    };
    let annotations = current.metadata.annotations.as_ref();
    let says_truncated = annotations.is_some_and(|all| all.contains_key(OVER_CAPACITY.0));
    let is_right = current.subsets.as_deref().unwrap_or_default() == subsets
        && current.metadata.labels.as_ref() == Some(&labels)
        && says_truncated == is_truncated;
    if is_right {
        return Action::Nothing;
    }
    Action::Update(Box::new(filled(current.clone(), subsets, labels, is_truncated, trigger)))
}

fn filled(
    mut endpoints: Endpoints,
    subsets: Vec<EndpointSubset>,
    labels: BTreeMap<String, String>,
    is_truncated: bool,
    trigger: Option<Timestamp>,
) -> Endpoints {
    endpoints.subsets = Some(subsets).filter(|all| !all.is_empty());
    endpoints.metadata.labels = Some(labels);
    let annotations = endpoints.metadata.annotations.get_or_insert_default();
    let mut set = |key: &str, value: Option<String>| match value {
        Some(value) => drop(annotations.insert(key.to_owned(), value)),
        None => drop(annotations.remove(key)),
    };
    set(TRIGGER_TIME_ANNOTATION, trigger.map(|time| time.to_string()));
    set(OVER_CAPACITY.0, is_truncated.then(|| OVER_CAPACITY.1.to_owned()));
    endpoints
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels.remove(HEADLESS_LABEL);
    if backends::is_headless(&backends::spec(service)) {
        labels.insert(HEADLESS_LABEL.to_owned(), String::new());
    }
    labels
}

fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let spec = backends::spec(service);
    let takes_all = spec.publish_not_ready_addresses == Some(true);
    let chosen = pods.iter().filter(|pod| {
        backends::is_reachable(pod) && (takes_all || pod.metadata.deletion_timestamp.is_none())
    });
    let offers = chosen.flat_map(|pod| {
        let address = address(service, &spec, pod);
        let is_ready = takes_all || backends::is_ready(pod);
        address.into_iter().flat_map(|address| offers(&spec, pod, address, is_ready)).collect::<Vec<_>>()
    });
    pack(offers.collect())
}

/// The pod's address of the Service's first family.
fn address(service: &Service, spec: &ServiceSpec, pod: &Pod) -> Option<EndpointAddress> {
    let family = *backends::families(spec).first()?;
    Some(EndpointAddress {
        ip: backends::addresses(pod, family).into_iter().next()?,
        hostname: backends::hostname(pod, service),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
    })
}

fn offers(spec: &ServiceSpec, pod: &Pod, address: EndpointAddress, is_ready: bool) -> Vec<Offer> {
    let ports = spec.ports.as_deref().unwrap_or_default();
    if ports.is_empty() {
        // Only a Service without an address may do without ports.
        let offer = backends::is_headless(spec).then_some(Offer { address, port: None, is_ready });
        return offer.into_iter().collect();
    }
    let found = ports.iter().filter_map(|port| Some(endpoint_port(port, backends::target_port(pod, port)?)));
    found.map(|port| Offer { address: address.clone(), port: Some(port), is_ready }).collect()
}

fn endpoint_port(port: &ServicePort, number: i32) -> EndpointPort {
    EndpointPort {
        name: port.name.clone(),
        port: number,
        protocol: Some(backends::protocol(port).to_owned()),
        app_protocol: port.app_protocol.clone(),
    }
}

#[cfg(test)]
mod tests;
