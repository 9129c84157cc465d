//! The groups `networking.k8s.io` and `discovery.k8s.io`.

use super::{super::ResourceInfo, Names, namespaced, of_cluster, status};
use crate::kinds::{endpoint_slice, ingress, ingress_class, ip_address, network_policy, service_cidr};

pub(super) const ENDPOINT_SLICES: ResourceInfo = ResourceInfo {
    columns: endpoint_slice::COLUMNS,
    strategy: &endpoint_slice::Rules,
    ..namespaced("discovery.k8s.io", "v1", Names("EndpointSlice", "endpointslices", "endpointslice"))
};

pub(super) const INGRESS_CLASSES: ResourceInfo = ResourceInfo {
    columns: ingress_class::COLUMNS,
    strategy: &ingress_class::Rules,
    ..of_cluster("networking.k8s.io", "v1", Names("IngressClass", "ingressclasses", "ingressclass"))
};

pub(super) const INGRESSES: ResourceInfo = ResourceInfo {
    short_names: &["ing"],
    subresources: &[status("Ingress")],
    columns: ingress::COLUMNS,
    strategy: &ingress::Rules,
    ..namespaced("networking.k8s.io", "v1", Names("Ingress", "ingresses", "ingress"))
};

pub(super) const IP_ADDRESSES: ResourceInfo = ResourceInfo {
    short_names: &["ip"],
    columns: ip_address::COLUMNS,
    strategy: &ip_address::Rules,
    ..of_cluster("networking.k8s.io", "v1", Names("IPAddress", "ipaddresses", "ipaddress"))
};

pub(super) const NETWORK_POLICIES: ResourceInfo = ResourceInfo {
    short_names: &["netpol"],
    columns: network_policy::COLUMNS,
    strategy: &network_policy::Rules,
    ..namespaced("networking.k8s.io", "v1", Names("NetworkPolicy", "networkpolicies", "networkpolicy"))
};

pub(super) const SERVICE_CIDRS: ResourceInfo = ResourceInfo {
    subresources: &[status("ServiceCIDR")],
    columns: service_cidr::COLUMNS,
    strategy: &service_cidr::Rules,
    ..of_cluster("networking.k8s.io", "v1", Names("ServiceCIDR", "servicecidrs", "servicecidr"))
};
