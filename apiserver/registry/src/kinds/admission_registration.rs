//! The kinds of `admissionregistration.k8s.io`: webhooks and policies that judge or change what is written.
//!
//! They are stored, and checked as far as that goes without evaluating anything. They have no effect: this server asks
//! no webhooks, and evaluates no expressions.
//!
//! Deliberately absent: whether an expression is one, see above.
//!
//! Source: `pkg/apis/admissionregistration/{v1/defaults,validation}`.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_qualified_name;
use serde_json::{Value, json};

use super::metadata;
use crate::{field::FieldError, object::Object, place::Place};

pub mod binding;
pub mod policy;
pub mod webhook;

/// What a write does.
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

/// What becomes of a write that could not be judged.
const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];

/// Whether the same object in another version counts.
const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];

/// How many conditions there can be for a match.
const CONDITIONS_MAX: usize = 64;

/// A new object's first generation.
fn first_generation(object: &mut Object) {
    object.set(&["metadata", "generation"], 1);
}

/// Sets a field of a value that is an object, unless it is set.
fn fill(value: &mut Value, field: &str, default: Value) {
    if value.is_object() && value[field].is_null() {
        value[field] = default;
    }
}

/// Defaults of a list of rules.
fn default_scopes(rules: Option<&mut Value>) {
    for rule in rules.and_then(Value::as_array_mut).into_iter().flatten() {
        fill(rule, "scope", "*".into());
    }
}

/// Defaults of what a policy or a binding is about.
fn default_matches(object: &mut Object, field: &str) {
    if object.get(&["spec", field]).is_none() {
        return;
    }
    let Some(matches) = object.slot(&["spec", field]) else { return };
    fill(matches, "matchPolicy", "Equivalent".into());
    fill(matches, "namespaceSelector", json!({}));
    fill(matches, "objectSelector", json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        default_scopes(matches.get_mut(rules));
    }
}

/// Which writes of which resources.
fn check_rule(rule: &Place<'_>, errors: &mut Vec<FieldError>) {
    let operations = rule.child("operations");
    check_words(&operations, "operations", errors);
    for operation in operations.items() {
        operation.one_of(&OPERATIONS, errors);
    }
    let (groups, versions) = (rule.child("apiGroups"), rule.child("apiVersions"));
    check_words(&groups, "API groups", errors);
    check_words(&versions, "API versions", errors);
    for version in versions.items().filter(|version| version.text().is_empty()) {
        errors.push(version.required(""));
    }
    check_resources(&rule.child("resources"), errors);
    let scope = rule.child("scope");
    if scope.is_set() {
        scope.one_of(&["*", "Cluster", "Namespaced"], errors);
    }
}

/// Some words, or all of them and nothing else.
fn check_words(list: &Place<'_>, what: &str, errors: &mut Vec<FieldError>) {
    if list.is_empty() {
        errors.push(list.required(""));
    } else if list.len() > 1 && list.items().any(|word| word.text() == "*") {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {what}")));
    }
}

fn check_resources(resources: &Place<'_>, errors: &mut Vec<FieldError>) {
    if resources.is_empty() {
        errors.push(resources.required(""));
    }
    let words: Vec<&str> = resources.items().map(|resource| resource.text()).collect();
    for resource in resources.items() {
        let text = resource.text();
        let parts = text.split_once('/');
        if text.is_empty() {
            errors.push(resource.required(""));
        } else if text == "*/*" && words.len() > 1 {
            errors.push(resources.invalid("if '*/*' is present, must not specify other resources"));
        } else if let Some((whole, part)) = parts {
            let all_parts = format!("{whole}/*");
            let all_wholes = format!("*/{part}");
            let covering = [all_parts, all_wholes].into_iter();
            for covered in covering.filter(|other| other != text && words.contains(&other.as_str())) {
                errors.push(resource.invalid(format!("if '{covered}' is present, must not specify {text}")));
            }
        }
    }
    let only_parts = words.iter().all(|word| !word.contains('/'));
    if words.len() > 1 && only_parts && words.contains(&"*") {
        errors.push(
            resources.invalid("if '*' is present, must not specify other resources without subresources"),
        );
    }
}

/// What a policy or a binding is about.
fn check_matches(matches: &Place<'_>, errors: &mut Vec<FieldError>) {
    let policy = matches.child("matchPolicy");
    if policy.is_set() {
        policy.one_of(&MATCH_POLICIES, errors);
    } else {
        errors.push(policy.required(""));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        let selector = matches.child(selector);
        if selector.is_set() {
            metadata::label_selector(&selector, errors);
        } else {
            errors.push(selector.required(""));
        }
    }
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in matches.child(rules).items() {
            check_rule(&rule, errors);
            let mut seen = BTreeSet::new();
            for name in rule.child("resourceNames").items() {
                if !seen.insert(name.text()) {
                    errors.push(name.duplicate());
                }
            }
        }
    }
}

/// Conditions of a name each, by which a match is narrowed down.
fn check_conditions(conditions: &Place<'_>, errors: &mut Vec<FieldError>) {
    if conditions.len() > CONDITIONS_MAX {
        errors.push(FieldError::too_many(conditions.path(), conditions.len(), CONDITIONS_MAX));
    }
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        let name = condition.child("name");
        check_expression(&condition.child("expression"), errors);
        if name.text().is_empty() {
            errors.push(name.required(""));
            continue;
        }
        errors.extend(name.each_invalid(check_qualified_name(name.text())));
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
    }
}

/// An expression is there.
fn check_expression(expression: &Place<'_>, errors: &mut Vec<FieldError>) {
    if expression.text().trim().is_empty() {
        errors.push(expression.required(""));
    }
}

fn check_failure_policy(policy: &Place<'_>, errors: &mut Vec<FieldError>) {
    if policy.is_set() {
        policy.one_of(&FAILURE_POLICIES, errors);
    }
}
