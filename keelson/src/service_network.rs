//! The network of the Services, as `--service-cidr` gives it.
//!
//! In: `10.96.0.0/16`. Out: a network that is one, and its first address, at which pods reach the API.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use keelson_api_registry::cidr::{Cidr, CidrError};

/// A network with room for at least one Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServiceNetwork {
    range: Cidr,
    /// At this address pods reach the API.
    first: IpAddr,
}

/// Why a text is no [`ServiceNetwork`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("{0:?} is not of the form ADDRESS/PREFIX, for instance 10.96.0.0/16")]
    Form(String),
    #[error("{given:?} has bits set behind its prefix: write {range}")]
    HostBits { given: String, range: Cidr },
    #[error("{0:?} has no room for Services: use a prefix of at most 30 (IPv4) or 126 (IPv6)")]
    TooSmall(String),
}

/// The network's own address, the one of the API, the broadcast address, and one for a Service.
const LEAST_ADDRESSES: u128 = 4;

impl FromStr for ServiceNetwork {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let range: Cidr = text.parse().map_err(|error| match error {
            CidrError::Malformed => NetworkError::Form(text.to_owned()),
            CidrError::HostBits(range) => NetworkError::HostBits { given: text.to_owned(), range },
        })?;
        let first = range.nth(1).filter(|_| range.size() >= LEAST_ADDRESSES);
        first.map(|first| Self { range, first }).ok_or_else(|| NetworkError::TooSmall(text.to_owned()))
    }
}

impl fmt::Display for ServiceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.range.fmt(f)
    }
}

impl ServiceNetwork {
    /// All its addresses.
    pub(crate) const fn range(self) -> Cidr {
        self.range
    }

    /// The first address after the network's own, which belongs to the Service `kubernetes`.
    pub(crate) const fn first(self) -> IpAddr {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_their_first_address_found() {
        for (text, first) in
            [("10.96.0.0/16", "10.96.0.1"), ("10.0.0.252/30", "10.0.0.253"), ("fd00:1::/108", "fd00:1::1")]
        {
            let network: ServiceNetwork = text.parse().unwrap();
            assert_eq!(
                (network.to_string(), network.first().to_string()),
                (text.to_owned(), first.to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let refused = |text: &str| text.parse::<ServiceNetwork>().unwrap_err();
        for text in ["", "10.96.0.0", "10.96.0.0/", "10.96.0.0/33", "a/8", "::/129", "10.96.0.0/-1"] {
            assert_eq!(refused(text), NetworkError::Form(text.to_owned()));
        }
        assert!(refused("10.96.0.1/16").to_string().ends_with("write 10.96.0.0/16"));
        assert!(refused("10.0.0.1/0").to_string().ends_with("write 0.0.0.0/0"));
        assert_eq!(refused("10.0.0.2/31"), NetworkError::TooSmall("10.0.0.2/31".to_owned()));
    }
}
