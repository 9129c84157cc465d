//! What leads where: every port of every Service with the endpoints that it leads to. Pure.
//!
//! In: Services and EndpointSlices as the API has them, and the node's name. Out: [`Route`]s, sorted by name, one per
//! address family. Whatever in an object is no address, port or protocol that the packet filter knows is left out: the
//! API server refuses such objects, and one that got by must not stop all others.
//!
//! Source: `pkg/proxy/{service,endpoints,topology}.go` of Kubernetes, for which endpoints are used.

pub(crate) mod endpoint;
pub(crate) mod family;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use self::endpoint::{Candidate, Endpoint};
use self::family::{FAMILIES, Family};

/// What a packet's ports belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// As the API names it; it takes absence for TCP.
    fn named(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// As nftables and conntrack name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A port of a Service. Its text is part of chains' names: names of the API have no slash in them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PortName {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) protocol: Protocol,
    /// Empty for the only port of a Service.
    pub(crate) port: String,
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.namespace, self.service, self.protocol.name(), self.port)
    }
}

/// Where one port of a Service leads, in one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) name: PortName,
    pub(crate) cluster_ip: IpAddr,
    pub(crate) external_ips: BTreeSet<IpAddr>,
    pub(crate) port: u16,
    /// On every address of the node.
    pub(crate) node_port: Option<u16>,
    /// How long a client stays with an endpoint; `None`: each connection goes anywhere.
    pub(crate) affinity: Option<Duration>,
    /// The endpoints that are used, on whatever node.
    pub(crate) everywhere: BTreeSet<Endpoint>,
    /// Those that are used for traffic that must not leave this node.
    pub(crate) local: BTreeSet<Endpoint>,
    /// Where traffic to the ClusterIP goes.
    pub(crate) internal: Policy,
    /// Where traffic to node ports and external addresses goes.
    pub(crate) external: Policy,
}

/// Which endpoints traffic may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// All.
    Cluster,
    /// Those on this node.
    Local,
}

impl Policy {
    /// As the API names it; it takes absence for all.
    fn named(name: Option<&str>) -> Self {
        match name {
            Some("Local") => Self::Local,
            _ => Self::Cluster,
        }
    }
}

impl Route {
    /// Where traffic goes; empty: nowhere.
    pub(crate) fn endpoints(&self, policy: Policy) -> &BTreeSet<Endpoint> {
        match policy {
            Policy::Cluster => &self.everywhere,
            Policy::Local => &self.local,
        }
    }
}

/// What has to be known beside the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// ClusterIPs that this node answers itself; nothing leads away from them.
    pub(crate) own_cluster_ips: BTreeSet<IpAddr>,
}

/// All routes, sorted by name, then family.
pub(crate) fn routes(services: &[Arc<Service>], slices: &[Arc<EndpointSlice>], node: &Node) -> Vec<Route> {
    let by_service = by_service(slices);
    let mut routes = Vec::new();
    for service in services {
        let name = (text(&service.metadata.namespace), text(&service.metadata.name));
        let slices = by_service.get(&name).map_or(&[][..], Vec::as_slice);
        if let Some(spec) = &service.spec {
            routes_of(&mut routes, name, spec, slices, node);
        }
    }
    routes.sort_by(|a, b| (&a.name, Family::of(a.cluster_ip)).cmp(&(&b.name, Family::of(b.cluster_ip))));
    routes
}

type SlicesByService<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>;

fn by_service(slices: &[Arc<EndpointSlice>]) -> SlicesByService<'_> {
    let mut by_service = SlicesByService::new();
    for slice in slices {
        let labels = slice.metadata.labels.as_ref();
        if let Some(service) = labels.and_then(|labels| labels.get("kubernetes.io/service-name")) {
            by_service.entry((text(&slice.metadata.namespace), service)).or_default().push(slice);
        }
    }
    by_service
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

fn routes_of(
    routes: &mut Vec<Route>,
    (namespace, service): (&str, &str),
    spec: &ServiceSpec,
    slices: &[&EndpointSlice],
    node: &Node,
) {
    let addresses = cluster_ips(spec, node);
    for port in spec.ports.iter().flatten() {
        let Some(protocol) = Protocol::named(port.protocol.as_deref()) else { continue };
        let name = PortName {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            protocol,
            port: port.name.clone().unwrap_or_default(),
        };
        for (family, cluster_ip) in &addresses {
            let candidates = endpoint::candidates(slices, *family, &name, &node.name);
            routes.extend(route(&name, (*family, *cluster_ip), (spec, port), node, &candidates));
        }
    }
}

/// One per family. None for a headless Service, one that is only a name in the DNS, and one that the node answers.
fn cluster_ips(spec: &ServiceSpec, node: &Node) -> Vec<(Family, IpAddr)> {
    if spec.type_.as_deref() == Some("ExternalName") {
        return Vec::new();
    }
    let listed = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let ips: Vec<IpAddr> = listed.filter_map(|ip| ip.parse().ok()).collect();
    let first = |family| ips.iter().find(|ip| Family::of(**ip) == family).map(|ip| (family, *ip));
    let own = |(_, ip): &(Family, IpAddr)| node.own_cluster_ips.contains(ip);
    FAMILIES.into_iter().filter_map(first).filter(|address| !own(address)).collect()
}

fn route(
    name: &PortName,
    (family, cluster_ip): (Family, IpAddr),
    (spec, port): (&ServiceSpec, &ServicePort),
    node: &Node,
    candidates: &[Candidate],
) -> Option<Route> {
    // An address that the node answers itself is not somebody else's to lead away, whoever claims it.
    let external_ips = spec.external_ips.iter().flatten().filter_map(|ip| ip.parse().ok());
    let external_ips =
        external_ips.filter(|ip| Family::of(*ip) == family && !node.own_cluster_ips.contains(ip));
    Some(Route {
        name: name.clone(),
        cluster_ip,
        external_ips: external_ips.collect(),
        port: u16::try_from(port.port).ok().filter(|port| *port > 0)?,
        node_port: port.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0),
        affinity: affinity(spec),
        everywhere: endpoint::usable(candidates.iter()),
        local: endpoint::usable(candidates.iter().filter(|candidate| candidate.local)),
        internal: Policy::named(spec.internal_traffic_policy.as_deref()),
        external: Policy::named(spec.external_traffic_policy.as_deref()),
    })
}

/// The API server fills in the time; three hours is its default.
fn affinity(spec: &ServiceSpec) -> Option<Duration> {
    const DEFAULT_SECONDS: u64 = 10_800;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds =
        config.and_then(|config| config.timeout_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    Some(Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS).max(1)))
}
