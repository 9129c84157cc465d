//! ServiceCIDR: a range from which Services get their addresses.
//!
//! Source: `pkg/apis/networking/validation`, `pkg/registry/networking/servicecidr`.

use crate::{
    cidr::{Cidr, CidrError},
    columns::{AGE, NAME},
    field::FieldError,
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
            0 => errors.push(cidrs.required("at least one CIDR required")),
            1 | 2 => {}
            actual => errors.push(FieldError::too_many(cidrs.path(), actual, 2)),
        }
        let ranges: Vec<Cidr> = cidrs.items().filter_map(|item| range(&item, &mut errors)).collect();
        if let [one, other] = ranges[..]
            && one.is_ipv6() == other.is_ipv6()
        {
            errors.push(cidrs.invalid("may specify no more than one IP for each IP family"));
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = ["spec", "cidrs"];
        Place::at(object, &path).unchanged(&Place::at(old, &path), &mut errors);
        errors
    }
}

fn range(item: &Place<'_>, errors: &mut Vec<FieldError>) -> Option<Cidr> {
    match item.text().parse::<Cidr>() {
        Ok(cidr) if cidr.to_string() == item.text() => return Some(cidr),
        Ok(canonical) | Err(CidrError::HostBits(canonical)) => {
            errors.push(item.invalid(format!("must be in canonical form (\"{canonical}\")")));
        }
        Err(CidrError::Malformed) => {
            errors.push(item.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            ["spec.cidrs[0]: Invalid value: \"10.96.0.1/16\": must be in canonical form (\"10.96.0.0/16\")"]
        );
        assert_eq!(texts(&["10.0.0.0/8", "10.96.0.0/16"]).len(), 1);
        assert_eq!(texts(&["10.0.0.0/8", "fd00::/64", "x"]).len(), 2);
    }

    #[test]
    fn ranges_stay() {
        let (old, new) =
            (json!({"spec": {"cidrs": ["10.0.0.0/8"]}}), json!({"spec": {"cidrs": ["10.96.0.0/16"]}}));
        assert_eq!(Rules.validate_update(&Object(new), &Object(old)).len(), 1);
    }
}
