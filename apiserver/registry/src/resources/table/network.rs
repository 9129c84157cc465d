//! The groups `networking.k8s.io` and `discovery.k8s.io`.

use super::{super::ResourceInfo, Names, namespaced, of_cluster, status};

pub(super) const ENDPOINT_SLICES: ResourceInfo =
    namespaced("discovery.k8s.io", "v1", Names("EndpointSlice", "endpointslices", "endpointslice"));

pub(super) const IP_ADDRESSES: ResourceInfo = ResourceInfo {
    short_names: &["ip"],
    ..of_cluster("networking.k8s.io", "v1", Names("IPAddress", "ipaddresses", "ipaddress"))
};

pub(super) const SERVICE_CIDRS: ResourceInfo = ResourceInfo {
    subresources: &[status("ServiceCIDR")],
    ..of_cluster("networking.k8s.io", "v1", Names("ServiceCIDR", "servicecidrs", "servicecidr"))
};
