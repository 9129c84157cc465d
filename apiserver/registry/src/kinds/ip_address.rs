//! IPAddress: that an address is in use, and for what. Its name is the address.
//!
//! Source: `pkg/apis/networking/validation`, `pkg/registry/networking/ipaddress`.

use keelson_api_schema::format::{check_dns1123_subdomain, check_path_segment_name};

use crate::{
    columns::{AGE, NAME, NONE},
    field::FieldError,
    kinds::address::canonical_ip_problem,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of IPAddresses.
pub const COLUMNS: &[Column] =
    &[NAME, Column::new("ParentRef", "string", |object, _| parent(object).into()), AGE];

/// `services/shop/web`, `gateways.example.com/edge`.
fn parent(object: &Object) -> String {
    let field = |name: &str| object.text(&["spec", "parentRef", name]);
    if object.get(&["spec", "parentRef"]).is_none() {
        return NONE.to_owned();
    }
    let group = if field("group").is_empty() { String::new() } else { format!(".{}", field("group")) };
    let resource = format!("{}{group}", field("resource")).to_lowercase();
    let parts = [resource.as_str(), field("namespace"), field("name")];
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<&str>>().join("/")
}

/// The rules of IPAddresses.
pub struct Rules;

impl Strategy for Rules {
    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let reference = Place::at(object, &["spec", "parentRef"]);
        if !reference.is_set() {
            return vec![reference.required("")];
        }
        let group = reference.child("group");
        if !group.text().is_empty() {
            errors.extend(group.each_invalid(check_dns1123_subdomain(group.text())));
        }
        for (field, needed) in [("resource", true), ("name", true), ("namespace", false)] {
            let field = reference.child(field);
            if !field.text().is_empty() {
                errors.extend(field.each_invalid(check_path_segment_name(field.text())));
            } else if needed {
                errors.push(field.required(""));
            }
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = ["spec", "parentRef"];
        Place::at(object, &path).unchanged(&Place::at(old, &path), &mut errors);
        errors
    }

    fn check_name(&self, name: &str) -> Vec<String> {
        canonical_ip_problem(name).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_addresses_in_canonical_form() {
        for name in ["10.96.0.1", "fd00::1"] {
            assert_eq!(Rules.check_name(name), [""; 0]);
        }
        for name in ["web", "010.0.0.1", "fd00:0::1", "FD00::1", "10.0.0.1/24"] {
            assert_eq!(Rules.check_name(name).len(), 1, "{name}");
        }
        assert_eq!(Rules.check_name("010.0.0.1"), ["must not have leading 0s"]);
    }

    #[test]
    fn the_parent_is_needed_and_shown() {
        let reference = json!({"resource": "services", "namespace": "shop", "name": "web"});
        let object = Object(json!({"spec": {"parentRef": reference}}));
        assert_eq!(Rules.validate(&object), []);
        assert_eq!(parent(&object), "services/shop/web");
        let texts = |object: Object| -> Vec<String> {
            Rules.validate(&object).iter().map(ToString::to_string).collect()
        };
        assert_eq!(texts(Object(json!({}))), ["spec.parentRef: Required value"]);
        assert_eq!(
            texts(Object(json!({"spec": {"parentRef": {"name": "web"}}}))),
            ["spec.parentRef.resource: Required value"]
        );
    }
}
