//! The groups `networking.k8s.io` and `discovery.k8s.io`.

use super::{super::ResourceInfo, Names, namespaced, of_cluster, status};
use crate::kinds::{endpoint_slice, ip_address, service_cidr};

pub(super) const ENDPOINT_SLICES: ResourceInfo = ResourceInfo {
    columns: endpoint_slice::COLUMNS,
    strategy: &endpoint_slice::Rules,
    ..namespaced("discovery.k8s.io", "v1", Names("EndpointSlice", "endpointslices", "endpointslice"))
};

pub(super) const IP_ADDRESSES: ResourceInfo = ResourceInfo {
    short_names: &["ip"],
    columns: ip_address::COLUMNS,
    strategy: &ip_address::Rules,
    ..of_cluster("networking.k8s.io", "v1", Names("IPAddress", "ipaddresses", "ipaddress"))
};

pub(super) const SERVICE_CIDRS: ResourceInfo = ResourceInfo {
    subresources: &[status("ServiceCIDR")],
    columns: service_cidr::COLUMNS,
    strategy: &service_cidr::Rules,
    ..of_cluster("networking.k8s.io", "v1", Names("ServiceCIDR", "servicecidrs", "servicecidr"))
};
