//! What the DNS knows of the cluster.
//!
//! In: informers of Services and EndpointSlices. Out: lookups by name and by address, each by an index.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keelson_controller_runtime::{Informer, ObjectKey};

use crate::question::ServiceName;

/// Slices by the Service that they belong to: `namespace/name`.
const BY_SERVICE: &str = "dns/service";
/// Either kind by its addresses.
const BY_ADDRESS: &str = "dns/address";

/// The label that says which Service a slice belongs to.
const SERVICE: &str = "kubernetes.io/service-name";

/// The cluster's Services and their endpoints.
#[derive(Clone)]
pub(crate) struct Cluster {
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
}

impl Cluster {
    pub(crate) fn new(services: Informer<Service>, slices: Informer<EndpointSlice>) -> Self {
        services.add_index(BY_ADDRESS, |service| {
            service.spec.iter().flat_map(|spec| spec.cluster_ips.iter().flatten().cloned()).collect()
        });
        slices.add_index(BY_SERVICE, |slice| {
            let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE));
            let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
            service.map(|service| format!("{namespace}/{service}")).into_iter().collect()
        });
        slices.add_index(BY_ADDRESS, |slice| {
            slice.endpoints.iter().flatten().flat_map(|endpoint| endpoint.addresses.clone()).collect()
        });
        Self { services, slices }
    }

    /// Until everything that exists is known.
    pub(crate) async fn synced(&self) {
        self.services.synced().await;
        self.slices.synced().await;
    }

    /// Whether that is so already.
    pub(crate) fn is_known(&self) -> bool {
        self.synced().now_or_never().is_some()
    }

    pub(crate) fn service(&self, of: ServiceName<'_>) -> Option<Arc<Service>> {
        self.services.get(&ObjectKey::new(of.namespace, of.name))
    }

    /// Whether names exist in this namespace. Namespaces themselves are not listened to: one without any Service has no
    /// names here, of pods neither.
    pub(crate) fn has_namespace(&self, namespace: &str) -> bool {
        self.services.any_in_namespace(namespace)
    }

    pub(crate) fn slices(&self, of: ServiceName<'_>) -> Vec<Arc<EndpointSlice>> {
        self.slices.by_index(BY_SERVICE, &format!("{}/{}", of.namespace, of.name))
    }

    /// The Service with this ClusterIP.
    pub(crate) fn service_at(&self, ip: IpAddr) -> Option<Arc<Service>> {
        self.services.by_index(BY_ADDRESS, &ip.to_string()).into_iter().next()
    }

    /// The slices with an endpoint at this address.
    pub(crate) fn slices_at(&self, ip: IpAddr) -> Vec<Arc<EndpointSlice>> {
        self.slices.by_index(BY_ADDRESS, &ip.to_string())
    }
}

/// The name of the Service that a slice belongs to.
pub(crate) fn service_of(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.as_ref()?.get(SERVICE).map(String::as_str)
}
