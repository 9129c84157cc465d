//! Addresses and ranges as they have been understood for long, also those that are refused today.
//!
//! Source: `ParseIPSloppy` and `ParseCIDRSloppy` in `k8s.io/utils/net`: what objects had once can still be read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cidr::Cidr;

/// An address, also one whose numbers have leading zeros: they are decimal here, and octal elsewhere.
pub(super) fn read(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| without_zeros(text).parse().ok())
}

/// A range as it is written, with all the bits of its address.
pub(super) fn read_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, digits) = text.split_once('/')?;
    let ip = read(address)?;
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let length = digits.parse().ok().filter(|length| plain && *length <= bits(ip))?;
    Some((ip, length))
}

/// The range that an address with a length lies in, one of IPv4 also where it is written as one of IPv6.
pub(in crate::kinds) fn range(text: &str) -> Option<Cidr> {
    let (ip, length) = read_cidr(text)?;
    shown(masked(ip, length), length).parse().ok()
}

/// How many bits its addresses have.
pub(super) fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv6() { 128 } else { 32 }
}

/// The first address of the range that an address lies in.
pub(super) fn masked(ip: IpAddr, length: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(ip) & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) & mask))
        }
    }
}

/// A range as it should be written: one of IPv4 that is mapped into IPv6 as itself.
pub(super) fn shown(first: IpAddr, length: u8) -> String {
    match first.to_canonical() {
        plain if plain != first => format!("{plain}/{}", length.saturating_sub(96)),
        plain => format!("{plain}/{length}"),
    }
}

/// The address with the zeros taken away that its numbers begin with.
fn without_zeros(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for number in text.split_inclusive(['.', ':']) {
        let digits = number.trim_end_matches(['.', ':']);
        let significant = digits.trim_start_matches('0');
        let kept =
            if significant.is_empty() { &digits[digits.len().saturating_sub(1)..] } else { significant };
        plain.push_str(kept);
        plain.push_str(&number[digits.len()..]);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_in_front_are_passed_over() {
        let ip = |text: &str| read(text).map(|ip| ip.to_string());
        assert_eq!(ip("010.002.000.004").as_deref(), Some("10.2.0.4"));
        assert_eq!(ip("::ffff:01.2.3.4").as_deref(), Some("::ffff:1.2.3.4"));
        assert_eq!(ip("2001:00db8::").as_deref(), Some("2001:db8::"));
        for wrong in ["", "1..2.3", "1.2.3.+4", "0x1.2.3.4", "1.2.3.4.", "fe80::1%eth0", "00256.1.1.1"] {
            assert_eq!(ip(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_are_what_they_cover() {
        let covered = |text: &str| range(text).map(|range| range.to_string());
        assert_eq!(covered("192.168.001.005/24").as_deref(), Some("192.168.1.0/24"));
        assert_eq!(covered("::ffff:192.168.1.5/112").as_deref(), Some("192.168.0.0/16"));
        assert_eq!(covered("10.0.0.0/08").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(covered("10.0.0.0/33"), None);
    }
}
