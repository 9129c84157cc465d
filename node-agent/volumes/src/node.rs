//! Facts about the node that Pods may ask for.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The node as the downward API and resource fields see it.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The node's own addresses, at most one of each family, the primary one first (`status.hostIPs`).
    pub addresses: Vec<IpAddr>,
    /// `status.allocatable`: stands in for limits that a container does not set, and bounds tmpfs.
    pub allocatable: BTreeMap<String, Quantity>,
}

impl Node {
    /// Addresses of a Pod in the order that the node prefers: those of the primary address' family first.
    pub(crate) fn sorted(&self, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        if let Some(primary) = self.addresses.first() {
            addresses.sort_by_key(|address| address.is_ipv4() != primary.is_ipv4());
        }
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_addresses_come_in_the_order_of_the_nodes_families() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut node = Node { addresses: vec![parse("fd00::1")], ..Node::default() };
        let addresses = vec![parse("10.0.0.1"), parse("fd00::2")];
        assert_eq!(node.sorted(addresses.clone()), [parse("fd00::2"), parse("10.0.0.1")]);
        node.addresses.clear();
        assert_eq!(node.sorted(addresses.clone()), addresses);
    }
}
