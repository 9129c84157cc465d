//! What stands behind a Service: which pods, under which addresses and ports.
//!
//! In: Services and pods. Out: what Endpoints and EndpointSlices have in common: who belongs to whom, which change of a
//! pod concerns which Services, the pod's addresses and ports as a Service sees them. Deliberately absent: the two
//! kinds themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{PodCondition, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use keelson_controller_runtime::pod::{Container, Pod};
use keelson_controller_runtime::{Change, Informer, ObjectKey};

pub(crate) mod trigger;

/// The label of Endpoints and EndpointSlices of a Service without an address of its own.
pub(crate) const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";

/// The annotation that says which change of a pod or Service an object follows.
pub(crate) const TRIGGER_TIME_ANNOTATION: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The index of Services by one pair of their selector: [`selector_pair`].
pub(crate) const BY_SELECTOR_PAIR: &str = "selector-pair";

/// The Service that belongs to the API servers, with its Endpoints and its slice. They keep all three themselves.
pub(crate) fn is_of_the_servers(key: &ObjectKey) -> bool {
    key.namespace == "default" && key.name == "kubernetes"
}

/// The specification of a Service; one without has the defaults of everything.
pub(crate) fn spec(service: &Service) -> ServiceSpec {
    service.spec.clone().unwrap_or_default()
}

/// By which labels a Service chooses its pods; `None` if it leaves that to somebody else, or needs none.
///
/// An empty selector is none: upstream's storage does not tell the two apart.
pub(crate) fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    let spec = service.spec.as_ref()?;
    let is_name_only = spec.type_.as_deref() == Some("ExternalName");
    spec.selector.as_ref().filter(|selector| !selector.is_empty() && !is_name_only)
}

/// Whether these labels are among the pod's.
pub(crate) fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The index keys of a Service: the first pair of its selector, with the namespace. Every pod of the Service has that
/// pair among its labels, so the Services of a pod are found through the pod's own labels.
pub(crate) fn selector_pair(service: &Service) -> Vec<String> {
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let first = selector(service).and_then(BTreeMap::first_key_value);
    first.map(|(key, value)| pair(namespace, key, value)).into_iter().collect()
}

fn pair(namespace: &str, key: &str, value: &str) -> String {
    format!("{namespace}/{key}={value}")
}

/// The Services with selectors that choose a pod with these labels.
fn services_of(
    services: &Informer<Service>,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> BTreeSet<ObjectKey> {
    let candidates = labels.iter().flat_map(|(key, value)| {
        services.by_index(BY_SELECTOR_PAIR, &pair(namespace, key, value)).into_iter()
    });
    let chosen = candidates.filter(|service| selector(service).is_some_and(|it| selects(it, labels)));
    chosen.map(|service| ObjectKey::of(&*service)).collect()
}

/// The Services that a pod is behind.
pub(crate) fn services_of_pod(services: &Informer<Service>, pod: &Pod) -> BTreeSet<ObjectKey> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    pod.metadata.labels.as_ref().map(|labels| services_of(services, namespace, labels)).unwrap_or_default()
}

/// The Services that have to be looked at after this change of a pod.
pub(crate) fn concerned_services(services: &Informer<Service>, change: &Change<Pod>) -> BTreeSet<ObjectKey> {
    match change {
        Change::Added(pod) | Change::Deleted(pod) => services_of_pod(services, pod),
        Change::Updated { old, new } if Facts::of(old) == Facts::of(new) => BTreeSet::new(),
        Change::Updated { old, new } => {
            let mut all = services_of_pod(services, new);
            if old.metadata.labels != new.metadata.labels {
                all.extend(services_of_pod(services, old));
            }
            all
        }
    }
}

/// What of a pod its Services depend on, besides what never changes.
#[derive(PartialEq)]
struct Facts<'a> {
    labels: Option<&'a BTreeMap<String, String>>,
    hostname: Option<&'a str>,
    subdomain: Option<&'a str>,
    node: Option<&'a str>,
    ips: Vec<&'a str>,
    is_ready: bool,
    is_deleted: bool,
    is_over: bool,
}

impl<'a> Facts<'a> {
    fn of(pod: &'a Pod) -> Self {
        let spec = pod.spec.as_ref();
        Self {
            labels: pod.metadata.labels.as_ref(),
            hostname: spec.and_then(|spec| spec.hostname.as_deref()),
            subdomain: spec.and_then(|spec| spec.subdomain.as_deref()),
            node: spec.and_then(|spec| spec.node_name.as_deref()),
            ips: ips(pod),
            is_ready: is_ready(pod),
            is_deleted: pod.metadata.deletion_timestamp.is_some(),
            is_over: is_over(pod),
        }
    }
}

/// Whether a pod has something to offer to a Service: an address, and containers that may yet run.
pub(crate) fn is_reachable(pod: &Pod) -> bool {
    !is_over(pod) && !ips(pod).is_empty()
}

/// Whether all containers have ended for good.
fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

/// The pod's Ready condition.
pub(crate) fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready")
}

/// Whether the pod says that it is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some_and(|condition| condition.status == "True")
}

/// The pod's addresses as it states them.
fn ips(pod: &Pod) -> Vec<&str> {
    let Some(status) = &pod.status else { return Vec::new() };
    let listed: Vec<&str> = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect();
    if listed.is_empty() { status.pod_ip.as_deref().into_iter().collect() } else { listed }
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// As Services and EndpointSlices name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Which family an address is of.
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::V4, Self::V6].into_iter().find(|family| family.name() == name)
    }
}

/// The families of a Service in its order. The API server fills them in; without them the cluster address tells.
pub(crate) fn families(spec: &ServiceSpec) -> Vec<Family> {
    let named: Vec<Family> =
        spec.ip_families.iter().flatten().filter_map(|name| Family::named(name)).collect();
    if !named.is_empty() {
        return named;
    }
    let address = spec.cluster_ip.as_deref().and_then(|ip| ip.parse().ok());
    vec![address.map_or(Family::V4, Family::of)]
}

/// The pod's addresses of a family, in canonical form.
pub(crate) fn addresses(pod: &Pod, family: Family) -> Vec<String> {
    let parsed = ips(pod).into_iter().filter_map(|ip| ip.parse::<IpAddr>().ok());
    parsed.filter(|ip| Family::of(*ip) == family).map(|ip| ip.to_string()).collect()
}

/// Whether a Service has no address of its own.
pub(crate) fn is_headless(spec: &ServiceSpec) -> bool {
    matches!(spec.cluster_ip.as_deref(), None | Some("" | "None"))
}

/// The name under which the pod is found below the Service's own, if it asks for one.
pub(crate) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let is_below = spec.subdomain.is_some() && spec.subdomain == service.metadata.name;
    spec.hostname.clone().filter(|name| is_below && !name.is_empty())
}

/// The protocol of a Service's port.
pub(crate) fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

/// The number that a Service's port leads to in a pod; `None` if it names a port that the pod does not have.
pub(crate) fn target_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    match &port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => named_port(pod, name, protocol(port)),
    }
}

/// The container port of this name: of the containers, then of the sidecars.
fn named_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
    let mut ports =
        spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let found = ports.find(|port| {
        port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
    });
    found.map(|port| port.container_port)
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
