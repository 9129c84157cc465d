//! ValidatingAdmissionPolicy, MutatingAdmissionPolicy: expressions that judge or change what is written.
//!
//! Source: `pkg/apis/admissionregistration/{v1/defaults,validation}`, `pkg/registry/admissionregistration`.

use std::collections::BTreeSet;

use keelson_api_schema::format::{
    check_c_identifier, check_dns1035_label, check_dns1123_subdomain, check_qualified_name,
};
use serde_json::Value;

use super::{
    check_conditions, check_expression, check_failure_policy, check_matches, default_matches,
    first_generation,
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::{
        condition,
        workload::{advance, begin, differs},
    },
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy},
};

/// How many annotations for audit there can be.
const ANNOTATIONS_MAX: usize = 20;

/// Reasons that a policy can give.
const REASONS: [&str; 4] = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];

const PARAM_KIND: Column = Column::new("ParamKind", "string", |object, _| {
    let field = |name: &str| object.text(&["spec", "paramKind", name]);
    match object.get(&["spec", "paramKind"]) {
        None => "<unset>".into(),
        Some(_) => format!("{}/{}", field("apiVersion"), field("kind")).into(),
    }
});

/// The columns of ValidatingAdmissionPolicies.
pub const VALIDATING_COLUMNS: &[Column] = &[
    NAME,
    Column::new("Validations", "integer", |object, _| object.list(&["spec", "validations"]).len().into()),
    PARAM_KIND,
    AGE,
];

/// The columns of MutatingAdmissionPolicies.
pub const MUTATING_COLUMNS: &[Column] = &[
    NAME,
    Column::new("Mutations", "integer", |object, _| object.list(&["spec", "mutations"]).len().into()),
    PARAM_KIND,
    AGE,
];

/// The rules of ValidatingAdmissionPolicies.
pub struct Validating;

impl Strategy for Validating {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn default(&self, object: &mut Object) {
        default(object);
    }

    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::Stays
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        check_shared(&spec, &mut errors);
        let (validations, annotations) = (spec.child("validations"), spec.child("auditAnnotations"));
        if validations.is_empty() && annotations.is_empty() {
            errors
                .push(validations.required("validations or auditAnnotations must contain at least one item"));
        }
        validations.items().for_each(|validation| check_validation(&validation, &mut errors));
        check_annotations(&annotations, &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let status = Place::at(object, &["status"]);
        for warning in status.child("typeChecking").child("expressionWarnings").items() {
            for field in ["fieldRef", "warning"] {
                let place = warning.child(field);
                if place.text().is_empty() {
                    errors.push(place.required(""));
                }
            }
        }
        condition::validate(&status.child("conditions"), &mut errors);
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

/// The rules of MutatingAdmissionPolicies.
pub struct Mutating;

impl Strategy for Mutating {
    fn prepare_create(&self, object: &mut Object) {
        first_generation(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn default(&self, object: &mut Object) {
        default(object);
        if object.get(&["spec"]).is_some() && object.text(&["spec", "reinvocationPolicy"]).is_empty() {
            object.set(&["spec", "reinvocationPolicy"], "Never");
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        check_shared(&spec, &mut errors);
        let mutations = spec.child("mutations");
        if mutations.is_empty() {
            errors.push(mutations.required("mutations must contain at least one item"));
        }
        mutations.items().for_each(|mutation| check_mutation(&mutation, &mut errors));
        spec.child("reinvocationPolicy").one_of(&["IfNeeded", "Never"], &mut errors);
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

fn default(object: &mut Object) {
    if object.get(&["spec"]).is_some() {
        object.set_default(&["spec", "failurePolicy"], "Fail");
        default_matches(object, "matchConstraints");
    }
}

/// What both kinds have.
fn check_shared(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_failure_policy(&spec.child("failurePolicy"), errors);
    let kind = spec.child("paramKind");
    if kind.is_set() {
        check_param_kind(&kind, errors);
    }
    let matches = spec.child("matchConstraints");
    if matches.is_set() {
        check_matches(&matches, errors);
        let rules = matches.child("resourceRules");
        if rules.is_empty() {
            errors.push(rules.required(""));
        }
    } else {
        errors.push(matches.required(""));
    }
    check_conditions(&spec.child("matchConditions"), errors);
    let mut seen = BTreeSet::new();
    for variable in spec.child("variables").items() {
        let name = variable.child("name");
        check_expression(&variable.child("expression"), errors);
        if name.text().is_empty() {
            errors.push(name.required("name is required"));
        } else if !check_c_identifier(name.text()).is_empty() {
            errors.push(name.invalid("name is not a valid CEL identifier"));
        }
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
    }
}

fn check_param_kind(kind: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_param_version(&kind.child("apiVersion"), errors);
    let name = kind.child("kind");
    match name.text() {
        "" => errors.push(name.required("")),
        text => {
            let wrong = check_dns1035_label(&text.to_lowercase());
            if !wrong.is_empty() {
                let why = wrong.join(",");
                errors.push(name.invalid(format!("may have mixed case, but should otherwise match: {why}")));
            }
        }
    }
}

/// A version, or a group and a version.
fn check_param_version(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let text = place.text();
    let (group, version) = match text.split_once('/') {
        _ if text.is_empty() => return errors.push(place.required("")),
        None => ("", text),
        Some(("", "")) => ("", ""),
        Some((_, rest)) if rest.contains('/') => {
            return errors.push(place.invalid(format!("unexpected GroupVersion string: {text}")));
        }
        Some(parts) => parts,
    };
    let mut part = |value: &str, wrong: Vec<String>| {
        if !wrong.is_empty() {
            errors.push(FieldError::invalid(place.path(), value, wrong.join(",")));
        }
    };
    if !group.is_empty() {
        part(group, check_dns1123_subdomain(group));
    }
    if version.is_empty() {
        errors.push(place.invalid("version must be specified"));
    } else {
        part(version, check_dns1035_label(version));
    }
}

fn check_validation(validation: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (expression, message) = (validation.child("expression"), validation.child("message"));
    if expression.text().trim().is_empty() {
        errors.push(expression.required("expression is not specified"));
    }
    if message.text().contains('\n') {
        errors.push(message.invalid("message must not contain line breaks"));
    }
    let spans_lines = expression.text().contains('\n');
    if message.is_set() && message.text().trim().is_empty() {
        errors.push(message.invalid("message must be non-empty if specified"));
    } else if !message.is_set() && spans_lines {
        errors.push(message.required("message must be specified if expression contains line breaks"));
    }
    let reason = validation.child("reason");
    if reason.is_set() {
        reason.one_of(&REASONS, errors);
    }
}

fn check_annotations(annotations: &Place<'_>, errors: &mut Vec<FieldError>) {
    if annotations.len() > ANNOTATIONS_MAX {
        errors
            .push(annotations.invalid(format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations")));
    }
    let mut seen = BTreeSet::new();
    for annotation in annotations.items() {
        let (key, value) = (annotation.child("key"), annotation.child("valueExpression"));
        if key.text().is_empty() {
            errors.push(key.required(""));
        } else {
            errors.extend(key.each_invalid(check_qualified_name(key.text())));
        }
        if value.text().trim().is_empty() {
            errors.push(value.required("valueExpression is not specified"));
        }
        if !seen.insert(key.text()) {
            errors.push(key.duplicate());
        }
    }
}

fn check_mutation(mutation: &Place<'_>, errors: &mut Vec<FieldError>) {
    const TYPES: [(&str, &str); 2] =
        [("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch")];
    let kind = mutation.child("patchType");
    if kind.text().is_empty() {
        errors.push(kind.required(""));
        return;
    }
    kind.one_of(&TYPES.map(|(name, _)| name), errors);
    for (name, field) in TYPES {
        let place = mutation.child(field);
        match (name == kind.text(), place.is_set()) {
            (true, true) => {
                let expression = place.child("expression");
                if expression.text().trim().is_empty() {
                    errors.push(expression.required("expression is not specified"));
                }
            }
            (true, false) => {
                errors.push(place.required(format!("must be specified when patchType is {name}")));
            }
            (false, true) => {
                errors.push(FieldError::invalid(
                    place.path(),
                    place.value().cloned().unwrap_or(Value::Null),
                    format!("must not be specified when patchType is {}", kind.text()),
                ));
            }
            (false, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn policy(rules: &dyn Strategy, fields: &Value) -> Object {
        let matches = json!({"resourceRules": [
            {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]},
        ]});
        let mut object = Object(json!({"metadata": {"name": "few"}, "spec": {"matchConstraints": matches}}));
        for (name, value) in fields.as_object().unwrap() {
            object.set(&["spec", name], value.clone());
        }
        rules.default(&mut object);
        rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn a_policy_says_what_of_which_writes() {
        let good = policy(&Validating, &json!({"validations": [{"expression": "object.spec.replicas < 5"}]}));
        assert_eq!(Validating.validate(&good), []);
        assert_eq!(good.0["spec"]["matchConstraints"]["resourceRules"][0]["scope"], "*");
        assert_eq!(good.text(&["spec", "failurePolicy"]), "Fail");
        let cell = |at: usize| (VALIDATING_COLUMNS[at].cell)(&good, OffsetDateTime::UNIX_EPOCH);
        assert_eq!((cell(1), cell(2)), (json!(1), json!("<unset>")));
        let cases = [
            (
                json!({}),
                "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            ),
            (
                json!({"validations": [{"expression": ""}]}),
                "spec.validations[0].expression: Required value: expression is not specified",
            ),
            (
                json!({"validations": [{"expression": "a", "reason": "Bored"}]}),
                "spec.validations[0].reason: Unsupported value: \"Bored\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\", \"Unauthorized\"",
            ),
            (
                json!({"validations": [{"expression": "a"}], "paramKind": {"apiVersion": "v1"}}),
                "spec.paramKind.kind: Required value",
            ),
            (
                json!({"validations": [{"expression": "a"}], "paramKind": {"apiVersion": "a/b/c", "kind": "Limit"}}),
                "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
            ),
            (
                json!({"validations": [{"expression": "a"}], "paramKind": {"apiVersion": "a/", "kind": "Limit"}}),
                "spec.paramKind.apiVersion: Invalid value: \"a/\": version must be specified",
            ),
            (
                json!({"validations": [{"expression": "a"}], "variables": [{"name": "a-b", "expression": "1"}]}),
                "spec.variables[0].name: Invalid value: \"a-b\": name is not a valid CEL identifier",
            ),
            (
                json!({"validations": [{"expression": "a"}], "matchConstraints": null}),
                "spec.matchConstraints: Required value",
            ),
        ];
        for (fields, text) in cases {
            assert_eq!(texts(&Validating.validate(&policy(&Validating, &fields))), [text]);
        }
    }

    #[test]
    fn a_mutation_is_of_the_type_that_it_says() {
        let apply =
            json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}});
        let good = policy(&Mutating, &json!({ "mutations": [apply] }));
        assert_eq!(Mutating.validate(&good), []);
        assert_eq!(good.text(&["spec", "reinvocationPolicy"]), "Never");
        let wrong = |mutation: Value| {
            texts(&Mutating.validate(&policy(&Mutating, &json!({"mutations": [mutation]}))))
        };
        assert_eq!(
            wrong(json!({"patchType": "JSONPatch"})),
            ["spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch"]
        );
        assert_eq!(wrong(json!({})), ["spec.mutations[0].patchType: Required value"]);
    }
}
