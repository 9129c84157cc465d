//! PriorityLevelConfiguration: how much of the server requests of a level of priority may have.
//!
//! Deliberately absent: acting on it, see [`super::flow_schema`].
//!
//! Source: `pkg/apis/flowcontrol/{v1/defaults,validation}`, `pkg/registry/flowcontrol/prioritylevelconfiguration`.

use serde_json::Value;

use super::{
    flow_control,
    workload::{advance, begin, differs},
};
use crate::{
    columns::{AGE, NAME, NONE},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy},
};

/// How many queues there can be.
const QUEUES_MAX: i64 = 10_000_000;

/// How many bits of a hash it may take to deal a hand.
const ENTROPY_MAX: f64 = 60.0;

/// What requests get that queue, where the level does not say it.
const QUEUING: [(&str, i64); 3] = [("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)];

/// The share of a level that does not say it.
const USUAL_SHARES: i64 = 30;

/// The columns of PriorityLevelConfigurations.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Type", "string", |object, _| object.text(&["spec", "type"]).into()),
    Column::new("NominalConcurrencyShares", "string", |object, _| {
        cell(object, &["spec", "limited", "nominalConcurrencyShares"])
    }),
    Column::new("Queues", "string", |object, _| queuing_cell(object, "queues")),
    Column::new("HandSize", "string", |object, _| queuing_cell(object, "handSize")),
    Column::new("QueueLengthLimit", "string", |object, _| queuing_cell(object, "queueLengthLimit")),
    AGE,
];

fn cell(object: &Object, path: &[&str]) -> Value {
    object.get(path).cloned().unwrap_or_else(|| NONE.into())
}

fn queuing_cell(object: &Object, field: &str) -> Value {
    cell(object, &["spec", "limited", "limitResponse", "queuing", field])
}

/// The rules of PriorityLevelConfigurations.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn default(&self, object: &mut Object) {
        for (level, shares) in [("limited", USUAL_SHARES), ("exempt", 0)] {
            if object.get(&["spec", level]).is_some() {
                object.set_default(&["spec", level, "nominalConcurrencyShares"], shares);
                object.set_default(&["spec", level, "lendablePercent"], 0);
            }
        }
        for (field, value) in QUEUING {
            let path = ["spec", "limited", "limitResponse", "queuing", field];
            if object.get(&path[..4]).is_some() && object.integer(&path).unwrap_or(0) == 0 {
                object.set(&path, value);
            }
        }
    }

    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::Stays
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        let kind = spec.child("type");
        if (object.name() == flow_control::EXEMPT) != (kind.text() == "Exempt") {
            errors.push(kind.invalid("type must be 'Exempt' if and only if name is 'exempt'"));
        }
        let (limited, exempt) = (spec.child("limited"), spec.child("exempt"));
        match kind.text() {
            "Exempt" => {
                if limited.is_set() {
                    errors.push(limited.forbidden("must be nil if the type is not Limited"));
                }
                check_shares(&exempt, &mut errors);
            }
            "Limited" => {
                if exempt.is_set() {
                    errors.push(exempt.forbidden("must be nil if the type is Limited"));
                }
                check_limited(&limited, &mut errors);
            }
            _ => errors.push(kind.not_supported(&["Exempt", "Limited"])),
        }
        flow_control::check_fixed(object, &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        flow_control::check_conditions(&Place::at(object, &["status", "conditions"]), &mut errors);
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

fn check_shares(level: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (shares, lent) = (level.child("nominalConcurrencyShares"), level.child("lendablePercent"));
    if shares.integer().is_some_and(|shares| shares < 0) {
        errors.push(shares.invalid("must be a non-negative integer"));
    }
    if lent.integer().is_some_and(|percent| !(0..=100).contains(&percent)) {
        errors.push(lent.invalid("must be between 0 and 100, inclusive"));
    }
}

fn check_limited(limited: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !limited.is_set() {
        errors.push(limited.required("must not be empty when type is Limited"));
        return;
    }
    check_shares(limited, errors);
    let borrowed = limited.child("borrowingLimitPercent");
    if borrowed.integer().is_some_and(|percent| percent < 0) {
        errors.push(borrowed.invalid("if specified, must be a non-negative integer"));
    }
    let response = limited.child("limitResponse");
    let (kind, queuing) = (response.child("type"), response.child("queuing"));
    match (kind.text(), queuing.is_set()) {
        ("Queue", true) => check_queuing(&queuing, errors),
        ("Queue", false) => {
            errors.push(queuing.required("must not be empty if limited.limitResponse.type is Limited"));
        }
        ("Reject", true) => {
            errors.push(queuing.forbidden("must be nil if limited.limitResponse.type is not Limited"));
        }
        ("Reject", false) => {}
        _ => errors.push(kind.not_supported(&["Queue", "Reject"])),
    }
}

fn check_queuing(queuing: &Place<'_>, errors: &mut Vec<FieldError>) {
    let places = ["queueLengthLimit", "queues", "handSize"].map(|field| queuing.child(field));
    let [_, queues, hand] = places.each_ref().map(|place| place.integer().unwrap_or(0));
    for place in places.iter().filter(|place| place.integer().is_none_or(|number| number <= 0)) {
        errors.push(place.invalid("must be positive"));
    }
    let [_, queues_place, hand_place] = places;
    if queues > QUEUES_MAX {
        errors.push(queues_place.invalid(format!("must not be greater than {QUEUES_MAX}")));
    } else if hand > queues {
        errors.push(hand_place.invalid(format!("should not be greater than queues ({queues})")));
    } else if entropy(queues, hand) > ENTROPY_MAX {
        errors.push(hand_place.invalid(format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than 60"
        )));
    }
}

/// How many bits it takes to deal `hand` of `deck` cards. Ends once the answer cannot be too small any more.
fn entropy(deck: i64, hand: i64) -> f64 {
    let mut bits = 0.0;
    for card in 0..hand {
        // At most ten million: exact as a float.
        bits += ((deck - card) as f64).log2();
        if bits > ENTROPY_MAX {
            break;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn level(spec: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "mine"}, "spec": spec}));
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    fn queue(queuing: &Value) -> Value {
        json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}})
    }

    #[test]
    fn queues_and_shares_have_upstreams_defaults() {
        let object = level(&queue(&json!({})));
        assert_eq!(Rules.validate(&object), []);
        let row: Vec<Value> =
            COLUMNS[1..6].iter().map(|column| (column.cell)(&object, OffsetDateTime::UNIX_EPOCH)).collect();
        assert_eq!(row, [json!("Limited"), json!(30), json!(64), json!(8), json!(50)]);
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let cases = [
            (
                json!({"type": "Exempt"}),
                "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
            ),
            (
                json!({"type": "Limited"}),
                "spec.limited: Required value: must not be empty when type is Limited",
            ),
            (
                json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue"}}}),
                "spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited",
            ),
            (
                queue(&json!({"queues": 4, "handSize": 5})),
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than queues (4)",
            ),
            (
                queue(&json!({"queues": 512, "handSize": 8})),
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 512 and handSize 8 should not be greater than 60",
            ),
            (
                json!({"type": "Limited", "limited": {"lendablePercent": 101, "limitResponse": {"type": "Reject"}}}),
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&level(&spec))), [text]);
        }
    }
}
