//! Ranges of IP addresses: `10.96.0.0/16`, `fd00:10::/108`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    length: u8,
}

/// Why something is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CidrError {
    /// It is not an address, a slash and a number of bits.
    Malformed,
    /// The address has bits that lie outside of the prefix; this is the range that it lies in.
    HostBits(Cidr),
}

impl Cidr {
    /// The first address.
    pub fn network(self) -> IpAddr {
        self.network
    }

    /// Whether it is one of IPv6.
    pub fn is_ipv6(self) -> bool {
        self.network.is_ipv6()
    }

    /// Whether an address lies in it.
    pub fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv6() == self.is_ipv6() && number(ip) & self.mask() == number(self.network)
    }

    /// How many addresses it has; the whole of IPv6 counts as one less than it has.
    pub fn size(self) -> u128 {
        1u128.checked_shl(u32::from(self.bits() - self.length)).unwrap_or(u128::MAX)
    }

    /// The address at this distance from the first, or `None` where that lies outside.
    pub fn nth(self, offset: u128) -> Option<IpAddr> {
        let ip = number(self.network).checked_add(offset).filter(|_| offset < self.size())?;
        Some(address(ip, self.is_ipv6()))
    }

    /// The distance of an address from the first, or `None` where it lies outside.
    pub fn offset(self, ip: IpAddr) -> Option<u128> {
        self.contains(ip).then(|| number(ip) - number(self.network))
    }

    fn bits(self) -> u8 {
        if self.is_ipv6() { 128 } else { 32 }
    }

    /// The bits of the prefix.
    fn mask(self) -> u128 {
        let all = if self.is_ipv6() { u128::MAX } else { u128::from(u32::MAX) };
        all & !(self.size() - 1)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (ip, length) = text.split_once('/').ok_or(CidrError::Malformed)?;
        let ip: IpAddr = ip.parse().map_err(|_| CidrError::Malformed)?;
        let plain = length.bytes().all(|digit| digit.is_ascii_digit());
        let leading_zero = length.len() > 1 && length.starts_with('0');
        let length: u8 = length.parse().map_err(|_| CidrError::Malformed)?;
        let given = Self { network: ip, length };
        if !plain || leading_zero || length > given.bits() {
            return Err(CidrError::Malformed);
        }
        let network = address(number(ip) & given.mask(), ip.is_ipv6());
        let range = Self { network, length };
        if network == ip { Ok(range) } else { Err(CidrError::HostBits(range)) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// The address of a number, of which IPv4 takes the lower 32 bits.
fn address(number: u128, ipv6: bool) -> IpAddr {
    if ipv6 {
        IpAddr::V6(Ipv6Addr::from(number))
    } else {
        let [.., a, b, c, d] = number.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn texts_are_read_and_written() {
        for text in ["10.96.0.0/16", "0.0.0.0/0", "192.0.2.1/32", "fd00:10::/108", "::/0"] {
            assert_eq!(cidr(text).to_string(), text);
        }
        for text in
            ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "x/8", "fd00::/129"]
        {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Malformed), "{text}");
        }
        assert_eq!("10.0.0.1/24".parse::<Cidr>(), Err(CidrError::HostBits(cidr("10.0.0.0/24"))));
    }

    #[test]
    fn addresses_are_counted_from_the_first() {
        let range = cidr("10.96.0.0/16");
        assert_eq!(range.size(), 65_536);
        assert_eq!(range.nth(1), Some("10.96.0.1".parse().unwrap()));
        assert_eq!(range.nth(65_535), Some("10.96.255.255".parse().unwrap()));
        assert_eq!(range.nth(65_536), None);
        assert!(!range.contains("10.97.0.0".parse().unwrap()));
        assert!(!range.contains("::a60:1".parse().unwrap()));
        assert_eq!(cidr("::/0").nth(2), Some("::2".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn offset_and_nth_are_inverse(a in any::<u32>(), length in 0u8..=32, offset in any::<u32>()) {
            let text = format!("{}/{length}", Ipv4Addr::from(a));
            let range = match text.parse::<Cidr>() {
                Ok(range) | Err(CidrError::HostBits(range)) => range,
                Err(CidrError::Malformed) => return Err(TestCaseError::fail("it is well formed")),
            };
            let offset = u128::from(offset) % range.size();
            let ip = range.nth(offset).unwrap();
            prop_assert!(range.contains(ip));
            prop_assert_eq!(range.offset(ip), Some(offset));
        }
    }
}
