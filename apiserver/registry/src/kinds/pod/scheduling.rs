//! What is wrong with a pod's wishes about where it runs.

use std::collections::BTreeSet;

use keelson_api_schema::format::{
    check_dns1123_label, check_dns1123_subdomain, check_label_value, check_qualified_name,
};

use crate::{field::FieldError, kinds::metadata, place::Place};

/// What taints do.
pub(in crate::kinds) const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "PreferNoSchedule"];

/// `spec.tolerations`.
pub(in crate::kinds) fn tolerations(tolerations: &Place<'_>, errors: &mut Vec<FieldError>) {
    for toleration in tolerations.items() {
        let (key, operator) = (toleration.child("key"), toleration.child("operator"));
        let (value, effect) = (toleration.child("value"), toleration.child("effect"));
        if !key.text().is_empty() {
            metadata::label_key(key.text(), &key, errors);
        } else if operator.text() != "Exists" {
            errors.push(operator.invalid(
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ));
        }
        if toleration.child("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
            errors.push(effect.invalid("effect must be 'NoExecute' when `tolerationSeconds` is set"));
        }
        match operator.text() {
            "" | "Equal" => {
                let wrong = check_label_value(value.text());
                if !wrong.is_empty() {
                    errors.push(FieldError::invalid(operator.path(), value.text(), wrong.join(";")));
                }
            }
            "Exists" if value.text().is_empty() => {}
            "Exists" => errors.push(FieldError::invalid(
                operator.path(),
                value.text(),
                "value must be empty when `operator` is 'Exists'",
            )),
            _ => errors.push(operator.not_supported(&["Equal", "Exists"])),
        }
        if !effect.text().is_empty() {
            effect.one_of(EFFECTS, errors);
        }
    }
}

/// `spec.schedulingGates`. With gates left a pod cannot have a node.
pub(super) fn gates(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let gates = spec.child("schedulingGates");
    let mut seen = BTreeSet::new();
    for gate in gates.items() {
        let name = gate.child("name").text();
        let wrong = check_qualified_name(name).into_iter();
        errors.extend(wrong.map(|detail| FieldError::invalid(gate.path(), name, detail)));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(gate.path(), name));
        }
    }
    let node = spec.child("nodeName");
    if !gates.is_empty() && !node.text().is_empty() {
        errors.push(node.forbidden("cannot be set until all schedulingGates have been cleared"));
    }
}

/// `spec.affinity`.
pub(super) fn affinity(affinity: &Place<'_>, errors: &mut Vec<FieldError>) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let nodes = affinity.child("nodeAffinity");
    let required = nodes.child(REQUIRED);
    if required.is_set() {
        node_selector(&required, errors);
    }
    for term in nodes.child(PREFERRED).items() {
        weight(&term.child("weight"), errors);
        node_term(&term.child("preference"), false, errors);
    }
    for pods in [affinity.child("podAffinity"), affinity.child("podAntiAffinity")] {
        for term in pods.child(REQUIRED).items() {
            pod_term(&term, errors);
        }
        for term in pods.child(PREFERRED).items() {
            weight(&term.child("weight"), errors);
            pod_term(&term.child("podAffinityTerm"), errors);
        }
    }
}

fn weight(weight: &Place<'_>, errors: &mut Vec<FieldError>) {
    let value = weight.integer().unwrap_or(0);
    if !(1..=100).contains(&value) {
        errors.push(FieldError::invalid(weight.path(), value, "must be in the range 1-100"));
    }
}

/// Terms of which a node must fulfil one.
pub(in crate::kinds) fn node_selector(selector: &Place<'_>, errors: &mut Vec<FieldError>) {
    let terms = selector.child("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
    }
    for term in terms.items() {
        node_term(&term, true, errors);
    }
}

/// Preferences may name label values that no label can have.
fn node_term(term: &Place<'_>, check_values: bool, errors: &mut Vec<FieldError>) {
    for requirement in term.child("matchExpressions").items() {
        let (operator, values) = (requirement.child("operator"), requirement.child("values"));
        match operator.text() {
            "In" | "NotIn" if values.is_empty() => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => errors
                .push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")),
            "Gt" | "Lt" if values.len() != 1 => {
                errors
                    .push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            _ => errors.push(operator.invalid("not a valid selector operator")),
        }
        let key = requirement.child("key");
        metadata::label_key(key.text(), &key, errors);
        for value in values.items().filter(|_| check_values) {
            errors.extend(value.each_invalid(check_label_value(value.text())));
        }
    }
    for requirement in term.child("matchFields").items() {
        node_field(&requirement, errors);
    }
}

fn node_field(requirement: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (operator, values) = (requirement.child("operator"), requirement.child("values"));
    match operator.text() {
        "In" | "NotIn" if values.len() == 1 => {}
        "In" | "NotIn" => {
            errors.push(values.required(
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ))
        }
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    let key = requirement.child("key");
    if key.text() != "metadata.name" {
        errors.push(key.invalid("not a valid field selector key"));
        return;
    }
    for value in values.items() {
        errors.extend(value.each_invalid(check_dns1123_subdomain(value.text())));
    }
}

fn pod_term(term: &Place<'_>, errors: &mut Vec<FieldError>) {
    metadata::label_selector(&term.child("labelSelector"), errors);
    metadata::label_selector(&term.child("namespaceSelector"), errors);
    for namespace in term.child("namespaces").items() {
        let path = term.child("namespace").path().to_owned();
        let wrong = check_dns1123_label(namespace.text()).into_iter();
        errors.extend(wrong.map(|detail| FieldError::invalid(path.as_str(), namespace.text(), detail)));
    }
    label_keys(term, errors);
    let topology = term.child("topologyKey");
    if topology.text().is_empty() {
        errors.push(topology.required("can not be empty"));
    }
    metadata::label_key(topology.text(), &topology, errors);
}

/// `matchLabelKeys` and `mismatchLabelKeys`.
fn label_keys(term: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for list in ["matchLabelKeys", "mismatchLabelKeys"] {
        for key in term.child(list).items() {
            metadata::label_key(key.text(), &key, errors);
            if !term.child("labelSelector").is_set() {
                errors.push(key.forbidden("must not be specified when labelSelector is not set"));
            }
            if !seen.insert(key.text()) && list == "mismatchLabelKeys" {
                errors.push(key.invalid("exists in both matchLabelKeys and mismatchLabelKeys"));
            }
        }
    }
}

/// `spec.topologySpreadConstraints`.
pub(super) fn spread(constraints: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for constraint in constraints.items() {
        let (key, action) = (constraint.child("topologyKey"), constraint.child("whenUnsatisfiable"));
        let (skew, domains) = (constraint.child("maxSkew"), constraint.child("minDomains"));
        if skew.integer().unwrap_or(0) <= 0 {
            errors.push(FieldError::invalid(
                skew.path(),
                skew.integer().unwrap_or(0),
                "must be greater than zero",
            ));
        }
        if key.text().is_empty() {
            errors.push(key.required("can not be empty"));
        } else {
            metadata::label_key(key.text(), &key, errors);
        }
        action.one_of(&["DoNotSchedule", "ScheduleAnyway"], errors);
        if !seen.insert((key.text(), action.text())) {
            let path = constraint.child("{topologyKey, whenUnsatisfiable}").path().to_owned();
            errors.push(FieldError::duplicate(path, format!("{{{}, {}}}", key.text(), action.text())));
        }
        if domains.integer().is_some_and(|domains| domains <= 0) {
            errors.push(domains.invalid("must be greater than zero"));
        }
        if domains.is_set() && action.text() != "DoNotSchedule" {
            errors.push(domains.invalid(format!(
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
                action.text()
            )));
        }
        spread_policies(&constraint, errors);
        metadata::label_selector(&constraint.child("labelSelector"), errors);
    }
}

fn spread_policies(constraint: &Place<'_>, errors: &mut Vec<FieldError>) {
    for policy in [constraint.child("nodeAffinityPolicy"), constraint.child("nodeTaintsPolicy")] {
        if policy.is_set() {
            policy.one_of(&["Honor", "Ignore"], errors);
        }
    }
    let (keys, selector) = (constraint.child("matchLabelKeys"), constraint.child("labelSelector"));
    if !keys.is_empty() && !selector.is_set() {
        errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
    }
    for key in keys.items() {
        metadata::label_key(key.text(), &key, errors);
    }
}
