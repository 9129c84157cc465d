//! What is wrong with IP addresses and address ranges in fields.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/ip.go` and `pkg/apis/core/validation`.

use std::net::IpAddr;

use crate::{field::FieldError, place::Place};

mod canonical;

pub use canonical::{warn_cidr, warn_ip};

/// An address, v4 or v6.
pub fn check_ip(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    if place.text().parse::<IpAddr>().is_err() {
        errors.push(place.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    }
}

/// A range of addresses.
pub fn check_cidr(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !is_cidr(place.text().trim()) {
        errors.push(place.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
    }
}

/// An address that somebody else can be reached by: none of those with a special meaning.
pub fn check_ordinary_ip(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let Ok(ip) = place.text().parse::<IpAddr>() else {
        errors.push(place.invalid("must be a valid IP address"));
        return;
    };
    let (link_local, link_local_multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    let rules = [
        (ip.is_unspecified(), "may not be unspecified (0.0.0.0 or ::)"),
        (ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (link_local_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ];
    let broken = rules.iter().filter(|(broken, _)| *broken);
    errors.extend(broken.map(|(_, rule)| place.invalid(*rule)));
}

fn is_cidr(text: &str) -> bool {
    let Some((ip, length)) = text.split_once('/') else { return false };
    let most = match ip.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let plain =
        length.bytes().all(|digit| digit.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    plain && length.parse::<u8>().is_ok_and(|length| length <= most)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::Object;

    fn wrong(check: fn(&Place<'_>, &mut Vec<FieldError>), text: &str) -> Option<String> {
        let object = Object(json!({ "ip": text }));
        let mut errors = Vec::new();
        check(&Place::at(&object, &["ip"]), &mut errors);
        errors.pop().map(|error| error.message())
    }

    #[test]
    fn addresses_and_ranges() {
        assert_eq!(wrong(check_ip, "10.0.0.1"), None);
        assert_eq!(wrong(check_ip, "fd00::1"), None);
        for bad in ["", "10.0.0", "10.0.0.256", "01.2.3.4", "fd00::1%eth0"] {
            assert!(wrong(check_ip, bad).is_some(), "{bad}");
        }
        assert_eq!(wrong(check_cidr, "10.0.0.0/8"), None);
        assert_eq!(wrong(check_cidr, "fd00::/64"), None);
        for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "x/8", "10.0.0.0/"] {
            assert!(wrong(check_cidr, bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn special_addresses() {
        assert_eq!(wrong(check_ordinary_ip, "192.0.2.1"), None);
        for bad in ["0.0.0.0", "::", "127.0.0.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1"] {
            assert!(wrong(check_ordinary_ip, bad).is_some(), "{bad}");
        }
    }
}
