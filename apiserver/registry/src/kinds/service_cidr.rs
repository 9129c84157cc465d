//! ServiceCIDR: a range from which Services get their addresses.
//!
//! Source: `pkg/apis/networking/validation`, `pkg/registry/networking/servicecidr`.

use serde_json::json;

use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::address::{canonical_cidr_problem, range},
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of ServiceCIDRs.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("CIDRs", "string", |object, _| {
        let cidrs = object.list(&["spec", "cidrs"]).iter().filter_map(serde_json::Value::as_str);
        cidrs.collect::<Vec<&str>>().join(",").into()
    }),
    AGE,
];

/// What is wrong with two ranges of one family.
const ONE_OF_EACH: &str =
    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";

/// The rules of ServiceCIDRs.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], serde_json::Value::Object(serde_json::Map::new()));
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        match old.get(&["status"]) {
            Some(status) => object.set(&["status"], status.clone()),
            None => drop(object.remove(&["status"])),
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let cidrs = Place::at(object, &["spec", "cidrs"]);
        match cidrs.len() {
            0 => return vec![cidrs.required("at least one CIDR required")],
            1 | 2 => {}
            _ => {
                // Upstream shows what holds the list.
                let shown = json!({"CIDRs": cidrs.value()});
                return vec![FieldError::invalid(cidrs.path(), shown, "may only hold up to 2 values")];
            }
        }
        for item in cidrs.items() {
            errors.extend(canonical_cidr_problem(item.text()).map(|rule| item.invalid(rule)));
        }
        let families: Vec<bool> =
            cidrs.items().filter_map(|item| Some(range(item.text())?.is_ipv6())).collect();
        if matches!(families[..], [one, other] if one == other) {
            errors.push(cidrs.invalid(ONE_OF_EACH));
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = ["spec", "cidrs"];
        let (now, before) = (Place::at(object, &path), Place::at(old, &path));
        // A cluster of one family may become one of both.
        if now.len() != before.len() && (before.len(), now.len()) != (1, 2) {
            errors.push(now.invalid("field is immutable"));
            return errors;
        }
        for (item, before) in now.items().zip(before.items()) {
            item.unchanged(&before, &mut errors);
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(cidrs: &[&str]) -> Vec<String> {
        let object = Object(json!({"spec": {"cidrs": cidrs}}));
        Rules.validate(&object).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_range_of_each_family() {
        assert_eq!(texts(&["10.96.0.0/16"]), [""; 0]);
        assert_eq!(texts(&["10.96.0.0/16", "fd00:10::/108"]), [""; 0]);
        assert_eq!(texts(&[]), ["spec.cidrs: Required value: at least one CIDR required"]);
        assert_eq!(
            texts(&["10.96.0.1/16"]),
            [
                "spec.cidrs[0]: Invalid value: \"10.96.0.1/16\": must not have bits set beyond the prefix length"
            ]
        );
        assert_eq!(
            texts(&["FD00::/64"]),
            ["spec.cidrs[0]: Invalid value: \"FD00::/64\": must be in canonical form (\"fd00::/64\")"]
        );
        assert_eq!(
            texts(&["10.0.0.0/8", "fd00::/64", "x"]),
            [
                "spec.cidrs: Invalid value: {\"CIDRs\":[\"10.0.0.0/8\",\"fd00::/64\",\"x\"]}: may only hold up to 2 values"
            ]
        );
        assert_eq!(texts(&["10.0.0.0/8", "10.96.0.0/16"]).len(), 1);
    }

    #[test]
    fn ranges_stay_and_the_other_family_may_come() {
        let cidrs = |cidrs: &[&str]| Object(json!({"spec": {"cidrs": cidrs}}));
        let told = |new: &[&str], old: &[&str]| {
            crate::field::texts(&Rules.validate_update(&cidrs(new), &cidrs(old)))
        };
        assert_eq!(
            told(&["10.96.0.0/16"], &["10.0.0.0/8"]),
            ["spec.cidrs[0]: Invalid value: \"10.96.0.0/16\": field is immutable"]
        );
        assert_eq!(told(&["10.0.0.0/8", "fd00::/64"], &["10.0.0.0/8"]), [""; 0]);
        assert_eq!(
            told(&["10.0.0.0/8"], &["10.0.0.0/8", "fd00::/64"]),
            ["spec.cidrs: Invalid value: [\"10.0.0.0/8\"]: field is immutable"]
        );
    }
}
