//! What is wrong with the selectors of a question.
//!
//! Operators that this server does not know are no error: a newer client may ask about them, and whoever may do it to all
//! objects may do it to any choice of them.
//!
//! Source: `validateResourceAttributes` in `k8s.io/kubernetes/pkg/apis/authorization/validation`.

use keelson_api_registry::{field::FieldError, kinds::metadata, object::Object, place::Place};

const ATTRIBUTES: [&str; 2] = ["spec", "resourceAttributes"];

/// What is wrong with a selector.
type Check = fn(&Place<'_>, &mut Vec<FieldError>);

/// What is wrong with both selectors.
pub(super) fn errors(question: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let attributes = Place::at(question, &ATTRIBUTES);
    let selectors: [(&str, Check); 2] = [("fieldSelector", field), ("labelSelector", label)];
    for (name, check) in selectors {
        let selector = attributes.child(name);
        if selector.is_set() {
            one_way(&selector, &mut errors);
            selector.child("requirements").items().for_each(|requirement| check(&requirement, &mut errors));
        }
    }
    errors
}

/// It is a text or a list.
fn one_way(selector: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (raw, requirements) = (selector.child("rawSelector"), selector.child("requirements"));
    match (!raw.text().is_empty(), !requirements.is_empty()) {
        (true, true) => errors.push(raw.invalid("may not specified at the same time as requirements")),
        (false, false) => errors.push(requirements.required(format!(
            "when {} is specified, requirements or rawSelector is required",
            selector.path()
        ))),
        (true, false) | (false, true) => {}
    }
}

fn field(requirement: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (key, values) = (requirement.child("key"), requirement.child("values"));
    if key.text().is_empty() {
        errors.push(key.required("must be specified"));
    }
    match requirement.child("operator").text() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors
                .push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        _ => {}
    }
}

fn label(requirement: &Place<'_>, errors: &mut Vec<FieldError>) {
    let operator = requirement.child("operator");
    let mut found = Vec::new();
    metadata::label_requirement(requirement, &mut found);
    errors.extend(found.into_iter().filter(|error| error.path != operator.path()));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(attributes: &Value) -> Vec<String> {
        let question = Object(json!({"spec": {"resourceAttributes": attributes}}));
        errors(&question).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn selectors_are_a_text_or_a_list_and_make_sense() {
        let requirement = json!({"key": "a", "operator": "In", "values": ["b"]});
        let path = "spec.resourceAttributes";
        for name in ["fieldSelector", "labelSelector"] {
            assert_eq!(told(&json!({name: {"rawSelector": "a=b"}})), [""; 0]);
            assert_eq!(
                told(&json!({name: {"rawSelector": "a=b", "requirements": [requirement]}})),
                [format!(
                    "{path}.{name}.rawSelector: Invalid value: \"a=b\": may not specified at the same time as requirements"
                )]
            );
            assert_eq!(
                told(&json!({name: {}})),
                [format!(
                    "{path}.{name}.requirements: Required value: when {path}.{name} is specified, requirements or rawSelector is required"
                )]
            );
            assert_eq!(
                told(&json!({name: {"requirements": [{"key": "a", "operator": "In"}]}})),
                [format!(
                    "{path}.{name}.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
                )]
            );
            assert_eq!(told(&json!({name: {"requirements": [{"key": "a", "operator": "X"}]}})), [""; 0]);
        }
        assert_eq!(
            told(&json!({"fieldSelector": {"requirements": [{"operator": "Exists", "values": ["a"]}]}})),
            [
                format!("{path}.fieldSelector.requirements[0].key: Required value: must be specified"),
                format!(
                    "{path}.fieldSelector.requirements[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                ),
            ]
        );
    }
}
