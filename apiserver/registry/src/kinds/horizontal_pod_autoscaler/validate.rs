//! What is wrong with a HorizontalPodAutoscaler, in its v2 form.

use keelson_api_schema::{format::check_path_segment_name, quantity::Quantity};

use crate::{field::FieldError, place::Place};

/// The types of metrics, and the field that each has.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

/// The longest that a recommendation is remembered, in seconds.
const MAX_WINDOW: i64 = 3600;

/// The longest period of a policy, in seconds.
const MAX_PERIOD: i64 = 1800;

/// The field of a metric of a type.
pub(super) fn source(kind: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(known, _)| *known == kind).map(|(_, field)| *field)
}

/// What is wrong with a spec.
pub(super) fn spec(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (least, most) = (spec.child("minReplicas"), spec.child("maxReplicas"));
    let (least_count, most_count) = (least.integer(), most.integer().unwrap_or(0));
    if least_count.is_some_and(|count| count < 1) {
        errors.push(least.invalid("must be greater than or equal to 1"));
    }
    if most_count < 1 {
        errors.push(FieldError::invalid(most.path(), most_count, "must be greater than or equal to 1"));
    }
    if least_count.is_some_and(|least| most_count < least) {
        let detail = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid(most.path(), most_count, detail));
    }
    reference(&spec.child("scaleTargetRef"), errors);
    for one in spec.child("metrics").items() {
        metric(&one, errors);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = spec.child("behavior").child(direction);
        if rules.is_set() {
            behavior(&rules, errors);
        }
    }
}

fn reference(reference: &Place<'_>, errors: &mut Vec<FieldError>) {
    for field in ["kind", "name"] {
        segment(&reference.child(field), "", errors);
    }
}

/// A name that is there and fits into a path.
fn segment(name: &Place<'_>, missing: &str, errors: &mut Vec<FieldError>) {
    if name.text().is_empty() {
        errors.push(name.required(missing));
    } else {
        errors.extend(name.each_invalid(check_path_segment_name(name.text())));
    }
}

fn metric(metric: &Place<'_>, errors: &mut Vec<FieldError>) {
    let kind = metric.child("type");
    if kind.text().is_empty() {
        errors.push(kind.required("must specify a metric source type"));
    }
    let wanted = source(kind.text());
    if wanted.is_none() {
        errors.push(kind.not_supported(&SOURCES.map(|(kind, _)| kind)));
    }
    let present = ["object", "external", "pods", "resource", "containerResource"];
    let present: Vec<&str> = present.into_iter().filter(|field| metric.child(field).is_set()).collect();
    if let Some(first) = present.first() {
        one_source(first, &metric.child(first), errors);
    }
    let Some(wanted) = wanted else { return };
    if !present.contains(&wanted) {
        let detail = "must populate information for the given metric source";
        errors.push(metric.child(wanted).required(detail));
    }
    if present.len() != 1 {
        let others = present.into_iter().filter(|field| *field != wanted);
        errors.extend(
            others.map(|field| metric.child(field).forbidden("must populate the given metric source only")),
        );
    }
}

fn one_source(kind: &str, source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let goal = source.child("target");
    let has = |field: &str| goal.child(field).is_set();
    match kind {
        "object" => {
            reference(&source.child("describedObject"), errors);
            identifier(source, errors);
            target(&goal, errors);
            if !has("value") && !has("averageValue") {
                let detail = "must set either a target value or averageValue";
                errors.push(goal.child("averageValue").required(detail));
            }
        }
        "external" => external(source, &goal, errors),
        "pods" => {
            identifier(source, errors);
            target(&goal, errors);
            let average = goal.child("averageValue");
            if !is_positive(&average) {
                errors.push(average.required("must specify a positive target averageValue"));
            }
        }
        _ => resource(source, kind == "containerResource", &goal, errors),
    }
}

fn external(source: &Place<'_>, goal: &Place<'_>, errors: &mut Vec<FieldError>) {
    identifier(source, errors);
    target(goal, errors);
    let (value, average) = (goal.child("value"), goal.child("averageValue"));
    match (value.is_set(), average.is_set()) {
        (false, false) => {
            let detail = "must set either a target value for metric or a per-pod target";
            errors.push(average.required(detail));
        }
        (true, true) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            errors.push(value.forbidden(detail));
        }
        (true, false) | (false, true) => {}
    }
}

fn resource(source: &Place<'_>, of_container: bool, goal: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (name, container) = (source.child("name"), source.child("container"));
    if name.text().is_empty() {
        errors.push(name.required("must specify a resource name"));
    }
    if of_container && container.text().is_empty() {
        errors.push(container.required("must specify a container"));
    }
    target(goal, errors);
    let (utilization, average) = (goal.child("averageUtilization"), goal.child("averageValue"));
    match (utilization.is_set(), average.is_set()) {
        (false, false) => {
            errors.push(utilization.required("must set either a target raw value or a target utilization"));
        }
        (true, true) => {
            errors.push(average.forbidden("may not set both a target raw value and a target utilization"));
        }
        (true, false) | (false, true) => {}
    }
}

fn identifier(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    segment(&source.child("metric").child("name"), "must specify a metric name", errors);
}

fn target(target: &Place<'_>, errors: &mut Vec<FieldError>) {
    let kind = target.child("type");
    if kind.text().is_empty() {
        errors.push(kind.required("must specify a metric target type"));
    }
    if !matches!(kind.text(), "AverageValue" | "Utilization" | "Value") {
        errors.push(kind.invalid("must be either Utilization, Value, or AverageValue"));
    }
    for field in ["value", "averageValue"] {
        let amount = target.child(field);
        if amount.is_set() && !is_positive(&amount) {
            errors.push(amount.invalid("must be positive"));
        }
    }
    target.child("averageUtilization").positive(errors);
}

fn is_positive(amount: &Place<'_>) -> bool {
    Quantity::parse(amount.text()).is_ok_and(|amount| amount.signum() > 0)
}

fn behavior(rules: &Place<'_>, errors: &mut Vec<FieldError>) {
    let window = rules.child("stabilizationWindowSeconds");
    at_least(&window, 0, "must be greater than or equal to zero", errors);
    at_most(&window, MAX_WINDOW, errors);
    let choice = rules.child("selectPolicy");
    if choice.is_set() {
        choice.one_of(&["Disabled", "Max", "Min"], errors);
    }
    let policies = rules.child("policies");
    if policies.is_empty() {
        errors.push(policies.required("must specify at least one Policy"));
    }
    for policy in policies.items() {
        policy.child("type").one_of(&["Percent", "Pods"], errors);
        let period = policy.child("periodSeconds");
        for number in [&policy.child("value"), &period] {
            at_least(number, 1, "must be greater than zero", errors);
        }
        at_most(&period, MAX_PERIOD, errors);
    }
    let tolerance = rules.child("tolerance");
    if Quantity::parse(tolerance.text()).is_ok_and(|amount| amount.signum() < 0) {
        errors.push(tolerance.invalid("must be greater than or equal to 0"));
    }
}

fn at_least(number: &Place<'_>, least: i64, detail: &str, errors: &mut Vec<FieldError>) {
    if number.integer().is_some_and(|number| number < least) {
        errors.push(number.invalid(detail));
    }
}

fn at_most(number: &Place<'_>, most: i64, errors: &mut Vec<FieldError>) {
    if number.integer().is_some_and(|number| number > most) {
        errors.push(number.invalid(format!("must be less than or equal to {most}")));
    }
}
