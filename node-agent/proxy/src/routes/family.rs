//! Address families and networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A family of addresses; each has a table of its own in the packet filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Ip4,
    Ip6,
}

/// Both.
pub(crate) const FAMILIES: [Family; 2] = [Family::Ip4, Family::Ip6];

impl Family {
    /// Of an address.
    pub(crate) const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::Ip4,
            IpAddr::V6(_) => Self::Ip6,
        }
    }

    /// nftables' name of the family, which is also that of its packets' fields: `ip saddr`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ip4 => "ip",
            Self::Ip6 => "ip6",
        }
    }

    /// nftables' name of its addresses' type.
    pub(crate) const fn address_type(self) -> &'static str {
        match self {
            Self::Ip4 => "ipv4_addr",
            Self::Ip6 => "ipv6_addr",
        }
    }

    /// What never leaves the machine.
    pub(crate) const fn loopback(self) -> &'static str {
        match self {
            Self::Ip4 => "127.0.0.0/8",
            Self::Ip6 => "::1",
        }
    }
}

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form ADDRESS/PREFIX, for instance 10.244.0.0/16")]
pub struct NetworkError(String);

impl Network {
    pub(crate) const fn family(self) -> Family {
        Family::of(self.address)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let address: IpAddr = address.parse().ok()?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.parse().ok().filter(|prefix| *prefix <= bits)?;
            Some(Self { address, prefix })
        });
        parsed.ok_or_else(|| NetworkError(text.to_owned()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_written_alike() {
        for text in ["10.244.0.0/16", "fd00::/48", "0.0.0.0/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "a/8", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError(text.to_owned())));
        }
    }
}
