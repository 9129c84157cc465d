//! Where the Service `kubernetes` leads: Endpoints and an EndpointSlice with the servers that live.
//!
//! All servers must have the same port: the Service names one. The first server of a cluster decides which; one with
//! another port is not listed.

use std::net::{IpAddr, SocketAddr};

use keelson_api_registry::{object::Object, resources, status::ApiError};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::ensure::{self, Wanted};
use crate::storage::{ObjectStore, Stored};

/// Name of the Service, its Endpoints, and its EndpointSlice.
const NAME: &str = "kubernetes";

/// The namespace of all of them.
const NAMESPACE: &str = "default";

/// What the Service and its endpoints were at some moment.
pub(super) struct Found {
    service: Option<Stored>,
    endpoints: Option<Stored>,
    slice: Option<Stored>,
}

impl Found {
    /// Looks. Whoever looks first, and then at who lives, cannot put an older view in the place of a newer one.
    pub(super) async fn look(objects: &ObjectStore) -> Result<Self, ApiError> {
        let get = async |group, plural| match resources::find(group, "v1", plural) {
            Some(resource) => objects.get(resource, NAMESPACE, NAME).await,
            None => Ok(None),
        };
        Ok(Self {
            service: get("", "services").await?,
            endpoints: get("", "endpoints").await?,
            slice: get("discovery.k8s.io", "endpointslices").await?,
        })
    }

    /// Makes the endpoints say that these servers live; `own` is this server's address. Says `false` when somebody
    /// has written them since they were looked at.
    pub(super) async fn settle(
        &self,
        objects: &ObjectStore,
        alive: &[SocketAddr],
        own: SocketAddr,
        now: OffsetDateTime,
    ) -> Result<bool, ApiError> {
        let target = Target::of(self.service.as_ref().map(|stored| &stored.object), own);
        if !target.fits(own) {
            tracing::warn!(%own, port = target.port, "the Service kubernetes cannot list this server: another port or family");
        }
        let ips: Vec<IpAddr> =
            alive.iter().filter(|address| target.fits(**address)).map(SocketAddr::ip).collect();
        let endpoints =
            Wanted { object: endpoints(&ips, target.port), merge: |old, new| take(old, new, &["subsets"]) };
        let slice =
            Wanted { object: slice(&ips, target), merge: |old, new| take(old, new, &["endpoints", "ports"]) };
        Ok(ensure::amend(objects, self.endpoints.as_ref(), &endpoints, now).await?
            && ensure::amend(objects, self.slice.as_ref(), &slice, now).await?)
    }
}

/// What the Service leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    port: u16,
    ipv6: bool,
}

impl Target {
    /// Of the Service, or of this server while there is none.
    fn of(service: Option<&Object>, own: SocketAddr) -> Self {
        let port =
            service.and_then(|service| service.list(&["spec", "ports"]).first()?["targetPort"].as_u64());
        let family = service.and_then(|service| service.list(&["spec", "ipFamilies"]).first()?.as_str());
        Self {
            port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or_else(|| own.port()),
            ipv6: family.map_or_else(|| own.is_ipv6(), |family| family == "IPv6"),
        }
    }

    fn fits(self, address: SocketAddr) -> bool {
        address.port() == self.port && address.is_ipv6() == self.ipv6
    }
}

fn endpoints(ips: &[IpAddr], port: u16) -> Object {
    let addresses: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip.to_string()})).collect();
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let subsets =
        if addresses.is_empty() { json!([]) } else { json!([{"addresses": addresses, "ports": ports}]) };
    Object(json!({
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            // The slice below is the servers' own work.
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": subsets,
    }))
}

fn slice(ips: &[IpAddr], target: Target) -> Object {
    let endpoint = |ip: &IpAddr| json!({"addresses": [ip.to_string()], "conditions": {"ready": true}});
    Object(json!({
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": NAME},
        },
        "addressType": if target.ipv6 { "IPv6" } else { "IPv4" },
        "endpoints": ips.iter().map(endpoint).collect::<Vec<Value>>(),
        "ports": [{"name": "https", "port": target.port, "protocol": "TCP"}],
    }))
}

/// The old object with these fields of the new one; `None` when it has them already.
fn take(old: &Object, new: &Object, fields: &[&str]) -> Option<Object> {
    let mut result = old.clone();
    for field in fields {
        match new.get(&[field]) {
            Some(value) => result.set(&[field], value.clone()),
            None => drop(result.remove(&[field])),
        }
    }
    (result != *old).then_some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_says_which_port_and_family() {
        let own: SocketAddr = "192.0.2.1:6443".parse().unwrap();
        assert_eq!(Target::of(None, own), Target { port: 6443, ipv6: false });
        let service =
            Object(json!({"spec": {"ipFamilies": ["IPv4"], "ports": [{"port": 443, "targetPort": 7443}]}}));
        let target = Target::of(Some(&service), own);
        assert_eq!(target, Target { port: 7443, ipv6: false });
        assert!(!target.fits(own));
        assert!(!target.fits("[fd00::1]:7443".parse().unwrap()));
        assert!(target.fits("192.0.2.2:7443".parse().unwrap()));
    }

    #[test]
    fn all_servers_are_listed() {
        let ips: Vec<IpAddr> = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap()).to_vec();
        let endpoints = endpoints(&ips, 6443);
        assert_eq!(
            endpoints.0["subsets"],
            json!([{
                "addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}],
                "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
            }])
        );
        assert_eq!(take(&endpoints, &endpoints, &["subsets"]), None);
        let slice = slice(&ips, Target { port: 6443, ipv6: false });
        assert_eq!(slice.list(&["endpoints"]).len(), 2);
    }
}
