//! Warnings about addresses and ranges that are not written as everybody else writes them.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/ip.go`.

use std::net::IpAddr;

use super::read::{bits, masked, read, read_cidr, shown};
use crate::place::Place;

/// Warns of an address that other software may read differently, or that is not in the form of RFC 5952.
pub fn warn_ip(place: &Place<'_>, warnings: &mut Vec<String>) {
    let (text, path) = (place.text(), place.path());
    let Some(ip) = read(text) else { return };
    let plain = ip.to_canonical();
    if plain != ip || text.parse::<IpAddr>().is_err() {
        warnings.push(format!(
            "{path}: non-standard IP address {text:?} is invalid: use {:?}",
            plain.to_string()
        ));
    } else if ip.is_ipv6() && ip.to_string() != text {
        let wanted = ip.to_string();
        warnings.push(format!(
            "{path}: IPv6 address {text:?} should be in RFC 5952 canonical format ({wanted:?})"
        ));
    }
}

/// Warns of a range that other software may read differently, or that is not in the form of RFC 5952.
pub fn warn_cidr(place: &Place<'_>, warnings: &mut Vec<String>) {
    let (text, path) = (place.text(), place.path());
    let Some((ip, length)) = read_cidr(text) else { return };
    let first = masked(ip, length);
    let wanted = shown(first, length);
    if first != ip {
        let single = format!("{}/{}", ip.to_canonical(), bits(ip));
        warnings.push(format!(
            "{path}: CIDR value {text:?} is ambiguous in this context (should be {wanted:?} or {single:?}?)"
        ));
    }
    let strict = text.split_once('/').is_some_and(|(address, digits)| {
        address.parse::<IpAddr>().is_ok() && (digits == "0" || !digits.starts_with('0'))
    });
    if !strict || ip.to_canonical() != ip {
        warnings.push(format!("{path}: non-standard CIDR value {text:?} is invalid: use {wanted:?}"));
    } else if first == ip && ip.is_ipv6() && wanted != text {
        warnings.push(format!(
            "{path}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format ({wanted:?})"
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::Object;

    fn told(warn: fn(&Place<'_>, &mut Vec<String>), text: &str) -> Vec<String> {
        let object = Object(json!({ "a": text }));
        let mut warnings = Vec::new();
        warn(&Place::at(&object, &["a"]), &mut warnings);
        warnings
    }

    #[test]
    fn addresses() {
        for usual in
            ["1.2.3.4", "::1", "fe80::abc", "2001:db8::1:0:0:1", "", "no address", "1.2.3", "1.2.3.+4"]
        {
            assert_eq!(told(warn_ip, usual), [""; 0], "{usual}");
        }
        assert_eq!(
            told(warn_ip, "05.06.07.08"),
            ["a: non-standard IP address \"05.06.07.08\" is invalid: use \"5.6.7.8\""]
        );
        assert_eq!(
            told(warn_ip, "::ffff:1.2.3.4"),
            ["a: non-standard IP address \"::ffff:1.2.3.4\" is invalid: use \"1.2.3.4\""]
        );
        assert_eq!(
            told(warn_ip, "FE80:0:0:0:0:0:0:0abc"),
            [
                "a: IPv6 address \"FE80:0:0:0:0:0:0:0abc\" should be in RFC 5952 canonical format (\"fe80::abc\")"
            ]
        );
    }

    #[test]
    fn ranges() {
        for usual in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/64", "1.2.3.4/32", "x/8", "10.0.0.0/33"] {
            assert_eq!(told(warn_cidr, usual), [""; 0], "{usual}");
        }
        assert_eq!(
            told(warn_cidr, "192.168.1.5/24"),
            [
                "a: CIDR value \"192.168.1.5/24\" is ambiguous in this context (should be \"192.168.1.0/24\" or \
              \"192.168.1.5/32\"?)"
            ]
        );
        assert_eq!(
            told(warn_cidr, "192.168.001.000/24"),
            ["a: non-standard CIDR value \"192.168.001.000/24\" is invalid: use \"192.168.1.0/24\""]
        );
        assert_eq!(
            told(warn_cidr, "10.0.0.0/08"),
            ["a: non-standard CIDR value \"10.0.0.0/08\" is invalid: use \"10.0.0.0/8\""]
        );
        assert_eq!(
            told(warn_cidr, "::ffff:192.168.0.0/112"),
            ["a: non-standard CIDR value \"::ffff:192.168.0.0/112\" is invalid: use \"192.168.0.0/16\""]
        );
        assert_eq!(
            told(warn_cidr, "2001:DB8::/64"),
            [
                "a: IPv6 CIDR value \"2001:DB8::/64\" should be in RFC 5952 canonical format (\"2001:db8::/64\")"
            ]
        );
        assert_eq!(
            told(warn_cidr, "192.168.001.005/24"),
            [
                "a: CIDR value \"192.168.001.005/24\" is ambiguous in this context (should be \
                 \"192.168.1.0/24\" or \"192.168.1.5/32\"?)",
                "a: non-standard CIDR value \"192.168.001.005/24\" is invalid: use \"192.168.1.0/24\"",
            ]
        );
    }
}
