//! The network of all pods, as `--cluster-cidr` gives it.
//!
//! In: `10.244.0.0/16`. Out: a network that is one, and whether it can be split between nodes.

use std::fmt;
use std::str::FromStr;

use keelson_api_registry::cidr::{Cidr, CidrError};
use keelson_service_proxy::Network;

/// A network for pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodNetwork(Cidr);

/// A node needs an address for its bridge, one for a pod, and the two that every network has.
const LEAST_ADDRESSES: u32 = 2;

impl PodNetwork {
    /// Whether parts whose prefix has that many bits lie in it, each with room for pods.
    pub(crate) fn can_be_split(self, mask: u8) -> bool {
        let bits: u32 = if self.0.is_ipv6() { 128 } else { 32 };
        let mask = u32::from(mask);
        let part = bits.checked_sub(mask).and_then(|rest| 1_u128.checked_shl(rest));
        mask + LEAST_ADDRESSES <= bits && part.is_some_and(|part| self.0.size() >= part)
    }

    /// Whether it shares an address with another network.
    pub(crate) fn overlaps(self, other: Cidr) -> bool {
        self.0.contains(other.network()) || other.contains(self.0.network())
    }

    /// The same, as the rules of Service traffic want it.
    pub(crate) fn network(self) -> Network {
        self.0.to_string().parse().expect("it was read as a network, and is written as one")
    }

    /// Whether its addresses are IPv6's.
    pub(crate) fn is_ipv6(self) -> bool {
        self.0.is_ipv6()
    }
}

impl FromStr for PodNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| match error {
            CidrError::Malformed => "write it as ADDRESS/PREFIX, for instance 10.244.0.0/16".to_owned(),
            CidrError::HostBits(range) => format!("it has bits set behind its prefix: write {range}"),
        })
    }
}

impl fmt::Display for PodNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_split_between_its_prefix_and_what_leaves_room_for_pods() {
        let network: PodNetwork = "10.244.0.0/16".parse().unwrap();
        for (mask, fits) in [(15, false), (16, true), (24, true), (30, true), (31, false), (40, false)] {
            assert_eq!(network.can_be_split(mask), fits, "{mask}");
        }
        let network: PodNetwork = "fd00::/48".parse().unwrap();
        assert!(network.can_be_split(64) && !network.can_be_split(47) && !network.can_be_split(127));
        assert_eq!(network.network().to_string(), "fd00::/48");
        assert!(!network.can_be_split(0) && !network.can_be_split(255));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_cure() {
        assert!("10.244.0.0".parse::<PodNetwork>().unwrap_err().contains("10.244.0.0/16"));
        assert!("10.244.0.1/16".parse::<PodNetwork>().unwrap_err().ends_with("write 10.244.0.0/16"));
    }
}
