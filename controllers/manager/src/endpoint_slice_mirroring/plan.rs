//! Which slices say the same as Endpoints that somebody wrote: pure.
//!
//! In: Endpoints, and the slices that mirror them. Out: slices to create, to update and to delete, and how many
//! addresses are left out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{self as core, EndpointAddress, Endpoints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use keelson_controller_runtime::{ObjectKey, new_controller_ref};

use crate::backends::{Family, TRIGGER_TIME_ANNOTATION, is_of_the_servers};
use crate::endpoint_slice::pack::{Annotations, Changes, Group, Head, Wanted, pack};
use crate::endpoint_slice::{MANAGED_BY_LABEL, SERVICE_LABEL};

/// The value of [`MANAGED_BY_LABEL`] on slices that are ours.
pub(super) const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";

/// How many addresses of a subset are mirrored.
pub(super) const LIMIT: usize = 1000;

/// The label by which an author of Endpoints says that he writes the slices too.
const SKIP_LABEL: &str = "endpointslice.kubernetes.io/skip-mirror";

/// Endpoints with this annotation are an old leader-election lock.
const LEADER_ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";

/// What kubectl remembers there is not of the slices.
const LAST_APPLIED_ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What there is to do.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) changes: Changes,
    /// Addresses that are none.
    pub(super) invalid: usize,
    /// Addresses beyond the limit.
    pub(super) excess: usize,
}

/// Whether Endpoints are to be mirrored if their Service has no selector.
pub(super) fn asks_for_mirror(endpoints: &Endpoints) -> bool {
    let has = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref().and_then(|map| map.get(key).cloned())
    };
    has(&endpoints.metadata.labels, SKIP_LABEL).as_deref() != Some("true")
        && has(&endpoints.metadata.annotations, LEADER_ANNOTATION).is_none()
        && !is_of_the_servers(&ObjectKey::of(endpoints))
}

/// Decides. `existing` are the slices that mirror Endpoints of this name and are not being deleted.
pub(super) fn plan(endpoints: &Endpoints, existing: &[Arc<EndpointSlice>]) -> Plan {
    let mut annotations = endpoints.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| key != TRIGGER_TIME_ANNOTATION && key != LAST_APPLIED_ANNOTATION);
    let name = endpoints.metadata.name.clone().unwrap_or_default();
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_LABEL.to_owned(), name.clone());
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned());
    let head = Head {
        namespace: endpoints.metadata.namespace.clone().unwrap_or_default(),
        name,
        owner: new_controller_ref(endpoints),
        labels,
        annotations: Annotations::Exactly(annotations),
    };
    let mut plan = Plan::default();
    let wanted = wanted(endpoints, &mut plan);
    plan.changes = pack(&head, wanted, existing, LIMIT);
    if endpoints.metadata.deletion_timestamp.is_some() {
        plan.changes.create.clear();
    }
    plan
}

fn wanted(endpoints: &Endpoints, plan: &mut Plan) -> Wanted {
    let mut wanted = Wanted::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ports: Vec<EndpointPort> = subset.ports.iter().flatten().map(port).collect();
        let ready = subset.addresses.iter().flatten().map(|address| (address, true));
        let others = subset.not_ready_addresses.iter().flatten().map(|address| (address, false));
        let mut count = 0;
        for (address, is_ready) in ready.chain(others) {
            match endpoint(address, is_ready) {
                None => plan.invalid += 1,
                Some(_) if count == LIMIT => plan.excess += 1,
                Some((family, endpoint)) => {
                    wanted.entry(Group::new(family, &ports)).or_default().push(endpoint);
                    count += 1;
                }
            }
        }
    }
    wanted
}

fn port(port: &core::EndpointPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    }
}

fn endpoint(address: &EndpointAddress, is_ready: bool) -> Option<(Family, Endpoint)> {
    let ip: IpAddr = address.ip.parse().ok()?;
    let mut target_ref = address.target_ref.clone();
    if let Some(target) = &mut target_ref {
        // Endpoints do not follow every change of their pods.
        target.resource_version = None;
    }
    let endpoint = Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(is_ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref,
        ..Endpoint::default()
    };
    Some((Family::of(ip), endpoint))
}

#[cfg(test)]
mod tests;
