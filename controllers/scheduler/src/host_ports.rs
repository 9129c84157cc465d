//! Ports of a node's own addresses that pods take for themselves.
//!
//! In: pods' specs. Out: what they take, and whether that meets what others took: the same port and protocol on the same
//! address, where no address is all of them.

use keelson_controller_runtime::pod::{Container, PodSpec};

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A port that a pod takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    protocol: Arc<str>,
    port: i32,
    address: Address,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    /// All of the node's.
    Any,
    One(Arc<str>),
}

/// What the pod takes. Containers that end before the others start take nothing.
pub(crate) fn of(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let containers = spec.containers.iter().chain(sidecars);
    containers.flat_map(of_container).collect()
}

fn of_container(container: &Container) -> impl Iterator<Item = HostPort> {
    container.ports.iter().flatten().filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        Some(HostPort {
            protocol: port.protocol.as_deref().unwrap_or("TCP").into(),
            port: number,
            address: Address::of(port.host_ip.as_deref().unwrap_or_default()),
        })
    })
}

impl Address {
    fn of(text: &str) -> Self {
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        match text.is_empty() || text.parse() == Ok(everywhere) {
            true => Self::Any,
            false => Self::One(text.into()),
        }
    }
}

impl HostPort {
    /// Whether both cannot be on one node.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let same_address = match (&self.address, &other.address) {
            (Address::Any, _) | (_, Address::Any) => true,
            (Address::One(one), Address::One(two)) => one == two,
        };
        self.port == other.port && self.protocol == other.protocol && same_address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MakePod;

    fn port(protocol: &str, address: &str, port: i32) -> HostPort {
        let pod = MakePod::named("p").plain_container().host_port(protocol, address, port).pod();
        of(&pod.spec.expect("it has a spec")).remove(0)
    }

    #[test]
    fn the_same_port_is_free_on_another_address_or_protocol() {
        let taken = port("TCP", "127.0.0.1", 80);
        assert!(taken.meets(&port("TCP", "127.0.0.1", 80)));
        assert!(taken.meets(&port("TCP", "0.0.0.0", 80)));
        assert!(taken.meets(&port("TCP", "", 80)));
        assert!(!taken.meets(&port("TCP", "127.0.0.2", 80)));
        assert!(!taken.meets(&port("UDP", "127.0.0.1", 80)));
        assert!(!taken.meets(&port("TCP", "", 81)));
        assert!(port("TCP", "", 80).meets(&taken), "it goes both ways");
    }

    #[test]
    fn only_containers_that_stay_take_ports() {
        let ended = MakePod::named("p").init_container("1", "1").host_port("TCP", "", 80).pod();
        let sidecar = MakePod::named("p").sidecar("1", "1").host_port("TCP", "", 80).pod();
        assert_eq!(of(&ended.spec.expect("it has a spec")), []);
        assert_eq!(of(&sidecar.spec.expect("it has a spec")).len(), 1);
    }
}
