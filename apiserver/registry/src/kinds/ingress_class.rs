//! IngressClass: who brings requests in for the Ingresses that name it.
//!
//! Source: `pkg/apis/networking/{v1/defaults,validation}`, `pkg/registry/networking/ingressclass`.

use keelson_api_schema::format::{check_dns1123_label, check_dns1123_subdomain};

use super::{ingress::check_reference, workload::differs};
use crate::{
    columns::{AGE, NAME, NONE},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The longest name of a controller, in bytes.
const CONTROLLER_MAX: usize = 250;

const CONTROLLER: [&str; 2] = ["spec", "controller"];
const PARAMETERS: [&str; 2] = ["spec", "parameters"];

/// The columns of IngressClasses.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Controller", "string", |object, _| object.text(&CONTROLLER).into()),
    Column::new("Parameters", "string", |object, _| parameters(object).into()),
    AGE,
];

/// `Kind.group/name`.
fn parameters(object: &Object) -> String {
    let reference = Place::at(object, &PARAMETERS);
    let text = |field: &str| reference.child(field).text();
    match (reference.is_set(), text("apiGroup")) {
        (false, _) => NONE.to_owned(),
        (true, "") => format!("{}/{}", text("kind"), text("name")),
        (true, group) => format!("{}.{group}/{}", text("kind"), text("name")),
    }
}

/// The rules of IngressClasses.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn default(&self, object: &mut Object) {
        if object.get(&PARAMETERS).is_some() {
            object.set_default(&["spec", "parameters", "scope"], "Cluster");
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let controller = Place::at(object, &CONTROLLER);
        if controller.text().len() > CONTROLLER_MAX {
            errors.push(FieldError::too_long(controller.path(), CONTROLLER_MAX));
        }
        check_domain_path(&controller, &mut errors);
        let parameters = Place::at(object, &PARAMETERS);
        if parameters.is_set() {
            check_reference(&parameters, &mut errors);
            check_scope(&parameters, &mut errors);
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &CONTROLLER).unchanged(&Place::at(old, &CONTROLLER), &mut errors);
        errors
    }
}

/// A path below somebody's domain: `acme.io/foo`.
fn check_domain_path(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    const PUNCTUATION: &str = "/-._~%!$&'()*+,;=:";
    if place.text().is_empty() {
        errors.push(place.required(""));
        return;
    }
    match place.text().split_once('/') {
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            let wrong = check_dns1123_subdomain(host).into_iter();
            errors.extend(wrong.map(|detail| FieldError::invalid(place.path(), host, detail)));
            if !path.chars().all(|c| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c)) {
                let detail = "Invalid path (regex used for validation is \
                              '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
                errors.push(FieldError::invalid(place.path(), path, detail));
            }
        }
        _ => errors.push(place.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")")),
    }
}

fn check_scope(parameters: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (scope, namespace) = (parameters.child("scope"), parameters.child("namespace"));
    match (scope.text(), namespace.is_set()) {
        ("Namespace", false) => errors.push(namespace.required("`parameters.scope` is set to 'Namespace'")),
        ("Namespace", true) => {
            errors.extend(namespace.each_invalid(check_dns1123_label(namespace.text())));
        }
        ("Cluster", true) => errors.push(namespace.forbidden("`parameters.scope` is set to 'Cluster'")),
        ("Cluster", false) => {}
        _ => errors.push(scope.not_supported(&["Cluster", "Namespace"])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn class(spec: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "edge"}, "spec": spec}));
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn parameters_are_the_clusters_or_a_namespaces() {
        let reference = json!({"kind": "Setting", "name": "s", "apiGroup": "k.example.com"});
        let object = class(&json!({"controller": "example.com/edge", "parameters": reference}));
        assert_eq!(Rules.validate(&object), []);
        let cell = (COLUMNS[2].cell)(&object, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(cell, "Setting.k.example.com/s");
        let with = |field: &str, value: &str| {
            let mut object = object.clone();
            object.set(&["spec", "parameters", field], value);
            texts(&Rules.validate(&object))
        };
        assert_eq!(
            with("namespace", "shop"),
            ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"]
        );
        assert_eq!(
            with("scope", "Namespace"),
            ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"]
        );
        assert_eq!(
            with("scope", "World"),
            [
                "spec.parameters.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespace\""
            ]
        );
    }

    #[test]
    fn the_controller_has_a_domain_and_stays() {
        let wrong = |controller: &str| texts(&Rules.validate(&class(&json!({ "controller": controller }))));
        assert_eq!(wrong(""), ["spec.controller: Required value"]);
        assert_eq!(
            wrong("edge"),
            [
                "spec.controller: Invalid value: \"edge\": must be a domain-prefixed path (such as \"acme.io/foo\")"
            ]
        );
        assert_eq!(wrong("example.com/a b").len(), 1);
        let (old, mut new) =
            (class(&json!({"controller": "a.example/b"})), class(&json!({"controller": "a.example/c"})));
        assert_eq!(
            texts(&Rules.validate_update(&new, &old)),
            ["spec.controller: Invalid value: \"a.example/c\": field is immutable"]
        );
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.generation(), 2);
    }
}
