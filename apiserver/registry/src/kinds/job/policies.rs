//! What is wrong with the policies of a Job: when a failed pod counts, and when enough has succeeded.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_qualified_name;

use super::indexes;
use crate::{field::FieldError, place::Place};

/// The most rules in a policy, and conditions and exit codes in a rule.
const MAX_RULES: usize = 20;
const MAX_CONDITIONS: usize = 20;
const MAX_EXIT_CODES: usize = 255;

/// The longest list of indexes, in bytes.
const MAX_INDEXES_BYTES: usize = 64 * 1024;

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];

/// Rules for `podFailurePolicy`.
pub(super) fn failure(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let rules = spec.child("podFailurePolicy").child("rules");
    check_length(&rules, MAX_RULES, errors);
    let pods = spec.child("template").child("spec");
    let lists = ["containers", "initContainers"].map(|list| pods.child(list));
    let names: BTreeSet<&str> =
        lists.iter().flat_map(|list| list.items().map(|it| it.child("name").text())).collect();
    for rule in rules.items() {
        failure_action(&rule.child("action"), spec, errors);
        let (codes, conditions) = (rule.child("onExitCodes"), rule.child("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, &names, errors);
        }
        pod_conditions(&conditions, errors);
        match (codes.is_set(), !conditions.is_empty()) {
            (true, true) => {
                errors.push(rule.unfit("specifying both OnExitCodes and OnPodConditions is not supported"));
            }
            (false, false) => {
                errors.push(rule.unfit("specifying one of OnExitCodes and OnPodConditions is required"));
            }
            (true, false) | (false, true) => {}
        }
    }
}

fn failure_action(action: &Place<'_>, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    match action.text() {
        "" => errors.push(action.required(valid_values(&ACTIONS))),
        "FailIndex" if !spec.child("backoffLimitPerIndex").is_set() => {
            errors.push(action.invalid("requires the backoffLimitPerIndex to be set"));
        }
        _ => action.one_of(&ACTIONS, errors),
    }
}

/// As Go prints a list of texts in quotes: in brackets, with spaces between.
fn valid_values(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("valid values: [{}]", quoted.join(" "))
}

fn pod_conditions(conditions: &Place<'_>, errors: &mut Vec<FieldError>) {
    const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
    check_length(conditions, MAX_CONDITIONS, errors);
    for pattern in conditions.items() {
        let (kind, status) = (pattern.child("type"), pattern.child("status"));
        errors.extend(kind.each_invalid(check_qualified_name(kind.text())));
        match status.text() {
            "" => errors.push(status.required(valid_values(&STATUSES))),
            _ => status.one_of(&STATUSES, errors),
        }
    }
}

fn exit_codes(codes: &Place<'_>, names: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    const OPERATORS: [&str; 2] = ["In", "NotIn"];
    let (operator, container) = (codes.child("operator"), codes.child("containerName"));
    match operator.text() {
        "" => errors.push(operator.required(valid_values(&OPERATORS))),
        _ => operator.one_of(&OPERATORS, errors),
    }
    if container.is_set() && !names.contains(container.text()) {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(container.invalid(detail));
    }
    let values = codes.child("values");
    if values.is_empty() {
        let none = serde_json::Value::Array(Vec::new());
        errors.push(FieldError::invalid(values.path(), none, "at least one value is required"));
    }
    check_length(&values, MAX_EXIT_CODES, errors);
    let mut seen = BTreeSet::new();
    for value in values.items() {
        if operator.text() == "In" && value.integer() == Some(0) {
            errors.push(value.invalid("must not be 0 for the In operator"));
        }
        if !seen.insert(value.integer()) {
            errors.push(value.duplicate());
        }
    }
    if !values.items().map(|value| value.integer()).is_sorted() {
        errors.push(values.invalid("must be ordered"));
    }
}

/// Rules for `successPolicy`.
pub(super) fn success(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.child("successPolicy");
    if !policy.is_set() {
        return;
    }
    if spec.child("completionMode").text() != "Indexed" {
        errors.push(policy.invalid("requires indexed completion mode"));
        return;
    }
    let rules = policy.child("rules");
    if rules.is_empty() {
        errors
            .push(rules.required("at least one rules must be specified when the successPolicy is specified"));
    }
    check_length(&rules, MAX_RULES, errors);
    let completions = spec.child("completions").integer().unwrap_or(0);
    rules.items().for_each(|rule| success_rule(&rule, completions, errors));
}

fn success_rule(rule: &Place<'_>, completions: i64, errors: &mut Vec<FieldError>) {
    let (count, listed) = (rule.child("succeededCount"), rule.child("succeededIndexes"));
    if !count.is_set() && !listed.is_set() {
        errors.push(rule.required("at least one of succeededCount or succeededIndexes must be specified"));
    }
    if listed.text().len() > MAX_INDEXES_BYTES {
        errors.push(FieldError::too_long(listed.path(), MAX_INDEXES_BYTES));
    }
    let total = indexes::count(listed.text(), completions).unwrap_or_else(|why| {
        errors.push(listed.invalid(format!("error parsing succeededIndexes: {why}")));
        0
    });
    count.non_negative(errors);
    let wanted = count.integer().unwrap_or(0);
    if wanted > completions {
        errors.push(count.invalid(format!(
            "must be less than or equal to {completions} (the number of specified completions)"
        )));
    }
    if listed.is_set() && wanted > total {
        errors.push(count.invalid(format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        )));
    }
}

fn check_length(list: &Place<'_>, most: usize, errors: &mut Vec<FieldError>) {
    if list.len() > most {
        errors.push(FieldError::too_many(list.path(), list.len(), most));
    }
}
