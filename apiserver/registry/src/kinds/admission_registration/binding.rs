//! ValidatingAdmissionPolicyBinding, MutatingAdmissionPolicyBinding: where a policy is in force, and with what.
//!
//! Source: `pkg/apis/admissionregistration/{v1/defaults,validation}`, `pkg/registry/admissionregistration`.

use std::collections::BTreeSet;

use keelson_api_schema::format::{check_dns1123_subdomain, check_path_segment_name};

use super::{check_matches, default_matches, first_generation};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::{metadata, workload::differs},
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// What a violation leads to.
const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];

/// The columns of both kinds.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("PolicyName", "string", |object, _| object.text(&["spec", "policyName"]).into()),
    Column::new("ParamRef", "string", |object, _| param(object).into()),
    AGE,
];

fn param(object: &Object) -> String {
    let field = |name: &str| object.text(&["spec", "paramRef", name]);
    match (object.get(&["spec", "paramRef"]).is_some(), field("namespace"), field("name")) {
        (false, _, _) => "<unset>".to_owned(),
        (true, "", "") => "*".to_owned(),
        (true, namespace, "") => format!("{namespace}/*"),
        (true, "", name) => name.to_owned(),
        (true, namespace, name) => format!("{namespace}/{name}"),
    }
}

/// The rules of both kinds.
pub struct Rules {
    /// Whether the policies judge, and so say what a violation leads to.
    pub validating: bool,
}

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        first_generation(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn default(&self, object: &mut Object) {
        default_matches(object, "matchResources");
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        let policy = spec.child("policyName");
        match policy.text() {
            "" => errors.push(policy.required("")),
            name => errors.extend(policy.each_invalid(check_dns1123_subdomain(name))),
        }
        let reference = spec.child("paramRef");
        if reference.is_set() {
            check_param(&reference, &mut errors);
        }
        let matches = spec.child("matchResources");
        if matches.is_set() {
            check_matches(&matches, &mut errors);
        }
        if self.validating {
            check_actions(&spec.child("validationActions"), &mut errors);
        }
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

fn check_param(reference: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (name, selector) = (reference.child("name"), reference.child("selector"));
    if !name.text().is_empty() {
        errors.extend(name.each_invalid(check_path_segment_name(name.text())));
        if selector.is_set() {
            errors.push(name.forbidden("name and selector are mutually exclusive"));
        }
    } else if selector.is_set() {
        metadata::label_selector(&selector, errors);
    } else {
        errors.push(reference.required("one of name or selector must be specified"));
    }
    let action = reference.child("parameterNotFoundAction");
    if action.text().is_empty() {
        errors.push(action.required(""));
    } else {
        action.one_of(&["Allow", "Deny"], errors);
    }
}

fn check_actions(actions: &Place<'_>, errors: &mut Vec<FieldError>) {
    let words: BTreeSet<&str> = actions.items().map(|action| action.text()).collect();
    for (at, action) in actions.items().enumerate() {
        action.one_of(&ACTIONS, errors);
        if actions.items().take(at).any(|other| other.text() == action.text()) {
            errors.push(action.duplicate());
        }
    }
    if words.contains("Deny") && words.contains("Warn") {
        errors.push(actions.invalid(
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response \
             and headers serves no purpose)",
        ));
    }
    if words.is_empty() {
        errors.push(actions.required("at least one validation action is required"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::OffsetDateTime;

    use super::*;

    const RULES: Rules = Rules { validating: true };

    fn binding(fields: &Value) -> Object {
        let mut object = Object(
            json!({"metadata": {"name": "few"}, "spec": {"policyName": "few", "validationActions": ["Deny"]}}),
        );
        for (name, value) in fields.as_object().unwrap() {
            object.set(&["spec", name], value.clone());
        }
        RULES.default(&mut object);
        RULES.prepare_create(&mut object);
        object
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let texts = |fields: Value| -> Vec<String> {
            RULES.validate(&binding(&fields)).iter().map(ToString::to_string).collect()
        };
        let good = json!({"matchResources": {}, "paramRef": {"name": "p", "namespace": "n", "parameterNotFoundAction": "Deny"}});
        assert_eq!(texts(good.clone()), [""; 0]);
        assert_eq!((COLUMNS[2].cell)(&binding(&good), OffsetDateTime::UNIX_EPOCH), "n/p");
        assert_eq!((COLUMNS[2].cell)(&binding(&json!({})), OffsetDateTime::UNIX_EPOCH), "<unset>");
        let cases = [
            (json!({"policyName": ""}), "spec.policyName: Required value"),
            (
                json!({"validationActions": []}),
                "spec.validationActions: Required value: at least one validation action is required",
            ),
            (
                json!({"validationActions": ["Deny", "Deny"]}),
                "spec.validationActions[1]: Duplicate value: \"Deny\"",
            ),
            (json!({"paramRef": {"name": "p"}}), "spec.paramRef.parameterNotFoundAction: Required value"),
            (
                json!({"paramRef": {"parameterNotFoundAction": "Deny"}}),
                "spec.paramRef: Required value: one of name or selector must be specified",
            ),
        ];
        for (fields, text) in cases {
            assert_eq!(texts(fields), [text]);
        }
        assert_eq!(texts(json!({"validationActions": ["Deny", "Warn"]})).len(), 1);
    }

    #[test]
    fn only_verdicts_have_actions() {
        let mut object = binding(&json!({}));
        object.remove(&["spec", "validationActions"]);
        assert_eq!(Rules { validating: false }.validate(&object), []);
        assert_eq!(RULES.validate(&object).len(), 1);
    }
}
