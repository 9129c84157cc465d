//! Counters that devices of a pool share: what there is, and what a device takes of it.
//!
//! Source: `validateCounterSet`, `validateDeviceCounterConsumption` in `pkg/apis/resource/validation`.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_dns1123_label;

use crate::{field::FieldError, place::Place};

/// How many sets a slice has, from how many a device takes, and how many counters there are in one.
const SETS_MAX: usize = 8;
const CONSUMED_SETS_MAX: usize = 2;
const COUNTERS_MAX: usize = 32;

/// What a slice has.
pub(super) fn check_shared(sets: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_sets(sets, "name", SETS_MAX, errors);
}

/// What a device takes.
pub(super) fn check_consumed(sets: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_sets(sets, "counterSet", CONSUMED_SETS_MAX, errors);
}

fn check_sets(sets: &Place<'_>, name: &str, most: usize, errors: &mut Vec<FieldError>) {
    if sets.len() > most {
        errors.push(FieldError::too_many(sets.path(), sets.len(), most));
        return;
    }
    for set in sets.items() {
        let name = set.child(name);
        match name.text() {
            "" => errors.push(name.required("")),
            text => errors.extend(name.each_invalid(check_dns1123_label(text))),
        }
        check_counters(&set.child("counters"), errors);
    }
    let mut seen = BTreeSet::new();
    for set in sets.items() {
        let name = set.child(name).text();
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(set.path(), name));
        }
    }
}

fn check_counters(counters: &Place<'_>, errors: &mut Vec<FieldError>) {
    match counters.len() {
        0 => errors.push(counters.required("")),
        many if many > COUNTERS_MAX => {
            errors.push(FieldError::too_many(counters.path(), many, COUNTERS_MAX));
        }
        _ => {
            for (name, counter) in counters.entries() {
                let wrong = check_dns1123_label(name).into_iter();
                errors.extend(wrong.map(|detail| FieldError::invalid(counter.path(), name, detail)));
            }
        }
    }
}
