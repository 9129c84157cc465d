//! Flows in the connection tracker that a change of routes makes wrong. Pure.
//!
//! In: routes before and after. Out: [`Flow`]s to forget. A UDP "connection" has no end of its own: as long as packets
//! come, the tracker sends them where it once decided, also when that pod is gone, or when it decided before there was
//! any endpoint. TCP notices by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::routes::endpoint::Endpoint;
use crate::routes::family::Family;
use crate::routes::{PortName, Protocol, Route};

/// Flows of UDP to forget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flow {
    /// To this address, and on to this endpoint, which is gone.
    ToEndpoint { address: IpAddr, endpoint: IpAddr },
    /// To this address and port, decided when there was no endpoint.
    Undecided { address: IpAddr, port: u16 },
    /// To this port of the node, decided when there was no endpoint.
    UndecidedNodePort { port: u16 },
}

/// What has to be forgotten after the rules have changed. `before` is empty after a start: then nothing is known about
/// what the tracker holds, and every UDP address may have undecided flows.
pub(crate) fn stale(before: &[Route], after: &[Route]) -> BTreeSet<Flow> {
    let old: BTreeMap<(&PortName, Family), &Route> = udp(before).map(|route| (key(route), route)).collect();
    let new: BTreeMap<(&PortName, Family), &Route> = udp(after).map(|route| (key(route), route)).collect();
    let mut flows = BTreeSet::new();
    let none = BTreeSet::new();
    for (key, route) in &old {
        let now = new.get(key).map_or(&none, |route| &route.internal);
        for gone in route.internal.difference(now) {
            flows.extend(to_endpoint(route, gone));
        }
    }
    for (key, route) in &new {
        let had_none = old.get(key).is_none_or(|route| route.internal.is_empty());
        if had_none && !route.internal.is_empty() {
            flows.extend(addresses(route).map(|address| Flow::Undecided { address, port: route.port }));
            flows.extend(route.node_port.map(|port| Flow::UndecidedNodePort { port }));
        }
    }
    flows
}

fn udp(routes: &[Route]) -> impl Iterator<Item = &Route> {
    routes.iter().filter(|route| route.name.protocol == Protocol::Udp)
}

fn key(route: &Route) -> (&PortName, Family) {
    (&route.name, Family::of(route.cluster_ip))
}

fn addresses(route: &Route) -> impl Iterator<Item = IpAddr> {
    std::iter::once(route.cluster_ip).chain(route.external_ips.iter().copied())
}

fn to_endpoint(route: &Route, endpoint: &Endpoint) -> impl Iterator<Item = Flow> {
    addresses(route).map(|address| Flow::ToEndpoint { address, endpoint: endpoint.ip })
}

impl Flow {
    /// The arguments of `conntrack` that forget it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let family = |ip: IpAddr| if ip.is_ipv4() { "ipv4" } else { "ipv6" };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::ToEndpoint { address, endpoint } => {
                let (to, at) = (address.to_string(), endpoint.to_string());
                words(&["-D", "-f", family(*address), "-p", "udp", "--orig-dst", &to, "--dst-nat", &at])
            }
            Self::Undecided { address, port } => {
                let (to, port) = (address.to_string(), port.to_string());
                words(&[
                    "-D",
                    "-f",
                    family(*address),
                    "-p",
                    "udp",
                    "--orig-dst",
                    &to,
                    "--orig-port-dst",
                    &port,
                ])
            }
            Self::UndecidedNodePort { port } => {
                words(&["-D", "-p", "udp", "--orig-port-dst", &port.to_string()])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::External;

    fn route(protocol: Protocol, endpoints: &[&str]) -> Route {
        let endpoint = |ip: &&str| Endpoint { ip: ip.parse().unwrap(), port: 53 };
        Route {
            name: PortName { namespace: "n".into(), service: "s".into(), protocol, port: String::new() },
            cluster_ip: "10.96.0.9".parse().unwrap(),
            external_ips: BTreeSet::new(),
            port: 53,
            node_port: Some(30_053),
            affinity: None,
            internal: endpoints.iter().map(endpoint).collect(),
            external: External::Anywhere,
        }
    }

    #[test]
    fn flows_to_an_endpoint_that_is_gone_are_forgotten_and_others_are_not() {
        let before = [route(Protocol::Udp, &["10.244.0.1", "10.244.0.2"])];
        let after = [route(Protocol::Udp, &["10.244.0.2", "10.244.0.3"])];
        let flow = Flow::ToEndpoint {
            address: "10.96.0.9".parse().unwrap(),
            endpoint: "10.244.0.1".parse().unwrap(),
        };
        assert_eq!(flow.arguments().join(" "), "-D -f ipv4 -p udp --orig-dst 10.96.0.9 --dst-nat 10.244.0.1");
        assert_eq!(stale(&before, &after), BTreeSet::from([flow]));
        assert_eq!(stale(&before, &before), BTreeSet::new());
        assert_eq!(stale(&before, &[]).len(), 2);
    }

    #[test]
    fn the_first_endpoint_frees_flows_that_were_decided_without_one() {
        let after = [route(Protocol::Udp, &["10.244.0.1"])];
        let freed: Vec<String> = stale(&[route(Protocol::Udp, &[])], &after)
            .iter()
            .map(|flow| flow.arguments().join(" "))
            .collect();
        assert_eq!(
            freed,
            ["-D -f ipv4 -p udp --orig-dst 10.96.0.9 --orig-port-dst 53", "-D -p udp --orig-port-dst 30053"]
        );
    }

    #[test]
    fn tcp_looks_after_itself() {
        assert_eq!(stale(&[], &[route(Protocol::Tcp, &["10.244.0.1"])]), BTreeSet::new());
    }
}
