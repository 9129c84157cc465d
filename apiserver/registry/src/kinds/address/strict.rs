//! What is wrong with addresses and ranges, and what of it an object may keep that had it before.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/ip.go`, with upstream's `StrictIPCIDRValidation` on.

use std::{collections::HashSet, net::IpAddr};

use serde_json::Value;

use super::read::{masked, read, read_cidr, shown};
use crate::{
    field::{FieldError, Problem},
    object::Object,
};

const NO_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const ZEROS: &str = "must not have leading 0s";
const MAPPED: &str = "must not be an IPv4-mapped IPv6 address";
const NO_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const ZEROS_IN_CIDR: &str = "must not have leading 0s in IP or prefix length";
const MAPPED_CIDR: &str = "must not have an IPv4-mapped IPv6 address";
const HOST_BITS: &str = "must not have bits set beyond the prefix length";

/// What an object may keep that had it before.
const FORGIVEN: [&str; 7] = [NO_IP, ZEROS, MAPPED, NO_CIDR, ZEROS_IN_CIDR, MAPPED_CIDR, HOST_BITS];

/// Where an object has addresses.
const PARTS: [&[&str]; 3] = [&["spec"], &["status"], &["metadata", "annotations"]];

/// What is wrong with an address in a field that may have it in other forms than the canonical one.
pub(super) fn ip_problem(text: &str) -> Option<&'static str> {
    match (read(text), text.parse::<IpAddr>()) {
        (None, _) => Some(NO_IP),
        (Some(_), Err(_)) => Some(ZEROS),
        (Some(ip), Ok(_)) => (ip.to_canonical() != ip).then_some(MAPPED),
    }
}

/// What is wrong with an address in a field that wants it in its canonical form.
pub(in crate::kinds) fn canonical_ip_problem(text: &str) -> Option<String> {
    let other_form = || {
        let wanted = text.parse::<IpAddr>().ok()?.to_string();
        (wanted != text).then(|| format!("must be in canonical form ({wanted:?})"))
    };
    ip_problem(text).map(str::to_owned).or_else(other_form)
}

/// What is wrong with a range in a field that may have it in other forms than the canonical one.
pub(in crate::kinds) fn cidr_problem(text: &str) -> Option<&'static str> {
    let Some((ip, length)) = read_cidr(text) else { return Some(NO_CIDR) };
    let plain = text.split_once('/').is_some_and(|(address, digits)| {
        address.parse::<IpAddr>().is_ok() && (digits == "0" || !digits.starts_with('0'))
    });
    let rules = [
        (!plain, ZEROS_IN_CIDR),
        (ip.to_canonical() != ip, MAPPED_CIDR),
        (masked(ip, length) != ip, HOST_BITS),
    ];
    rules.into_iter().find_map(|(broken, rule)| broken.then_some(rule))
}

/// What is wrong with a range in a field that wants it in its canonical form.
pub(in crate::kinds) fn canonical_cidr_problem(text: &str) -> Option<String> {
    let other_form = || {
        let (ip, length) = read_cidr(text)?;
        let wanted = shown(ip, length);
        (wanted != text).then(|| format!("must be in canonical form ({wanted:?})"))
    };
    cidr_problem(text).map(str::to_owned).or_else(other_form)
}

/// Takes away errors about addresses and ranges that the object had already: rules have become stricter, and a change that
/// is about something else must not be refused for what was good once. Values may move between lists, so that it does not
/// matter where the old object has it.
pub fn forgive_what_was_there(errors: &mut Vec<FieldError>, old: &Object) {
    if !errors.iter().any(|error| forgivable(error).is_some()) {
        return;
    }
    let mut had = HashSet::new();
    PARTS.iter().filter_map(|part| old.get(part)).for_each(|part| gather(part, &mut had));
    errors.retain(|error| forgivable(error).is_none_or(|text| !had.contains(text)));
}

/// The text that an error is about, if an object may keep it.
fn forgivable(error: &FieldError) -> Option<&str> {
    match &error.problem {
        Problem::Invalid(Value::String(text)) if FORGIVEN.contains(&error.detail.as_str()) => Some(text),
        _ => None,
    }
}

fn gather<'o>(value: &'o Value, texts: &mut HashSet<&'o str>) {
    match value {
        // An annotation has ranges with commas between them, and blanks around ranges are no part of them.
        Value::String(found) => texts.extend(found.split(',').map(str::trim)),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| gather(field, texts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_that_others_may_read_differently_are_refused() {
        for good in ["10.0.0.1", "fd00::1", "FE80:0:0:0:0:0:0:0abc"] {
            assert_eq!(ip_problem(good), None, "{good}");
        }
        assert_eq!(ip_problem("1.1.1.01"), Some(ZEROS));
        assert_eq!(ip_problem("::ffff:1.1.1.1"), Some(MAPPED));
        for bad in ["", "10.0.0", "10.0.0.256", "fd00::1%eth0", "1.2.3.0/24"] {
            assert_eq!(ip_problem(bad), Some(NO_IP), "{bad}");
        }
        assert_eq!(canonical_ip_problem("fd00::1"), None);
        assert_eq!(
            canonical_ip_problem("FD00::1").as_deref(),
            Some("must be in canonical form (\"fd00::1\")")
        );
        assert_eq!(canonical_ip_problem("01.1.1.1").as_deref(), Some(ZEROS));
    }

    #[test]
    fn ranges_that_others_may_read_differently_are_refused() {
        for good in ["10.0.0.0/8", "0.0.0.0/0", "fd00::/64", "FD00:0::/64", "1.2.3.4/32"] {
            assert_eq!(cidr_problem(good), None, "{good}");
        }
        for zeros in ["192.168.001.0/24", "10.0.0.0/08", "10.0.0.0/00"] {
            assert_eq!(cidr_problem(zeros), Some(ZEROS_IN_CIDR), "{zeros}");
        }
        assert_eq!(cidr_problem("::ffff:1.2.3.0/120"), Some(MAPPED_CIDR));
        assert_eq!(cidr_problem("192.168.1.5/24"), Some(HOST_BITS));
        for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "x/8", "10.0.0.0/", " 10.0.0.0/8"] {
            assert_eq!(cidr_problem(bad), Some(NO_CIDR), "{bad}");
        }
        assert_eq!(canonical_cidr_problem("fd00::/64"), None);
        assert_eq!(
            canonical_cidr_problem("FD00::/64").as_deref(),
            Some("must be in canonical form (\"fd00::/64\")")
        );
    }

    #[test]
    fn what_was_there_may_stay() {
        let error = |text: &str| FieldError::invalid("spec.ips[0]", text, ZEROS);
        let old = Object(json!({
            "metadata": {"name": "04.4.4.4", "annotations": {"ranges": "01.1.1.1, 02.2.2.2"}},
            "spec": {"ips": [" 03.3.3.3"]}
        }));
        let left = |error: FieldError| {
            let mut errors = vec![error];
            forgive_what_was_there(&mut errors, &old);
            errors.len()
        };
        for kept in ["01.1.1.1", "02.2.2.2", "03.3.3.3"] {
            assert_eq!(left(error(kept)), 0, "{kept}");
        }
        for new in ["04.4.4.4", "05.5.5.5"] {
            assert_eq!(left(error(new)), 1, "{new}");
        }
        assert_eq!(left(FieldError::invalid("spec.ips[0]", "03.3.3.3", "may not change once set")), 1);
    }
}
