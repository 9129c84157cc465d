//! What is wrong with IP addresses and address ranges in fields.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/ip.go` and `pkg/apis/core/validation`.

use std::net::IpAddr;

use crate::{field::FieldError, place::Place};

mod canonical;
mod read;
mod strict;

pub use canonical::{warn_cidr, warn_ip};
pub(super) use read::range;
pub use strict::forgive_what_was_there;
pub(super) use strict::{canonical_cidr_problem, canonical_ip_problem, cidr_problem};

/// An address, v4 or v6.
pub fn check_ip(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    errors.extend(strict::ip_problem(place.text()).map(|rule| place.invalid(rule)));
}

/// A range of addresses.
pub fn check_cidr(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    errors.extend(cidr_problem(place.text()).map(|rule| place.invalid(rule)));
}

/// An address that somebody else can be reached by: none of those with a special meaning.
pub fn check_ordinary_ip(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let Some(ip) = read::read(place.text()).map(|ip| ip.to_canonical()) else {
        errors.push(place.invalid("must be a valid IP address"));
        return;
    };
    let unspecified = format!("may not be unspecified ({})", place.text());
    let (link_local, link_local_multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    let rules = [
        (ip.is_unspecified(), unspecified.as_str()),
        (ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (link_local_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ];
    let broken = rules.iter().filter(|(broken, _)| *broken);
    errors.extend(broken.map(|(_, rule)| place.invalid(*rule)));
}

#[cfg(test)]
mod tests;
