//! What is wrong with a change of a Job's status.
//!
//! A status that was there already stays as it is: most rules hold only for what a write changes, so that an old Job
//! can still be written.
//!
//! Source: `getStatusValidationOptions` in `pkg/registry/batch/job`, `validateJobStatus` in `pkg/apis/batch/validation`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::indexes;
use crate::{field::FieldError, kinds::workload::differs, object::Object, place::Place};

/// A status before and after.
struct Change<'o> {
    object: &'o Object,
    old: &'o Object,
    status: Place<'o>,
    conditions: Place<'o>,
}

/// Rules for a change of status.
pub(super) fn validate(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let status = Place::at(object, &["status"]);
    let conditions = status.child("conditions");
    let change = Change { object, old, status, conditions };
    change.check_counts(&mut errors);
    change.check_uncounted(&mut errors);
    change.check_ends(&mut errors);
    change.check_times(&mut errors);
    change.check_finished(&mut errors);
    change.check_indexes(&mut errors);
    change.check_criteria(&mut errors);
    change.check_past(&mut errors);
    errors
}

fn holds(object: &Object, kind: &str) -> bool {
    let mut conditions = object.list(&["status", "conditions"]).iter();
    conditions.any(|condition| condition["type"] == kind && condition["status"] == "True")
}

fn is_finished(object: &Object) -> bool {
    holds(object, "Complete") || holds(object, "Failed")
}

impl Change<'_> {
    /// Whether one of these conditions is another than it was.
    fn turns(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| holds(self.object, kind) != holds(self.old, kind))
    }

    /// Whether one of these fields of the status is another than it was.
    fn changes(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| differs(self.object, self.old, &["status", field]))
    }

    /// Whether the Job ends or is as if it had never, or one of these fields changes.
    fn ends_or_changes(&self, fields: &[&str]) -> bool {
        is_finished(self.object) != is_finished(self.old) || self.changes(fields)
    }

    fn is(&self, kind: &str) -> bool {
        holds(self.object, kind)
    }

    fn count(&self, field: &str) -> i64 {
        self.status.child(field).integer().unwrap_or(0)
    }

    fn check_counts(&self, errors: &mut Vec<FieldError>) {
        for count in ["active", "succeeded", "failed", "ready", "terminating"] {
            self.status.child(count).non_negative(errors);
        }
    }

    fn check_uncounted(&self, errors: &mut Vec<FieldError>) {
        let mut seen = BTreeSet::new();
        for list in ["succeeded", "failed"] {
            for uid in self.status.child("uncountedTerminatedPods").child(list).items() {
                if uid.text().is_empty() {
                    errors.push(uid.invalid("must not be empty"));
                } else if !seen.insert(uid.text().to_owned()) {
                    errors.push(uid.duplicate());
                }
            }
        }
    }

    /// A Job ends one way, and tells so before it does.
    fn check_ends(&self, errors: &mut Vec<FieldError>) {
        let conditions = &self.conditions;
        if self.turns(&["Complete", "Failed"]) && self.is("Complete") && self.is("Failed") {
            errors.push(conditions.unfit("cannot set Complete=True and Failed=true conditions"));
        }
        if self.turns(&["Complete", "FailureTarget"]) && self.is("Complete") && self.is("FailureTarget") {
            errors.push(conditions.unfit("cannot set Complete=True and FailureTarget=true conditions"));
        }
    }

    fn check_times(&self, errors: &mut Vec<FieldError>) {
        let (started, completed) = (self.status.child("startTime"), self.status.child("completionTime"));
        if self.turns(&["Complete"]) || self.changes(&["completionTime"]) {
            match (self.is("Complete"), completed.is_set()) {
                (false, true) => {
                    let detail = "cannot set completionTime when there is no Complete=True condition";
                    errors.push(completed.invalid(detail));
                }
                (true, false) => {
                    errors.push(completed.required("completionTime is required for Complete jobs"));
                }
                (true, true) | (false, false) => {}
            }
        }
        // Canonical times are of one form and in UTC: their texts are in their order.
        let is_early = started.is_set() && completed.is_set() && completed.text() < started.text();
        if self.changes(&["startTime", "completionTime"]) && is_early {
            errors.push(completed.invalid("completionTime cannot be set before startTime"));
        }
        if self.turns(&["Failed", "FailureTarget"]) && self.is("Failed") && !self.is("FailureTarget") {
            let detail = "cannot set Failed=True condition without the FailureTarget=true condition";
            errors.push(self.conditions.unfit(detail));
        }
        let criteria = "SuccessCriteriaMet";
        if self.turns(&["Complete", criteria]) && self.is("Complete") && !self.is(criteria) {
            let detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
            errors.push(self.conditions.unfit(detail));
        }
    }

    /// A Job that has ended has nothing left.
    fn check_finished(&self, errors: &mut Vec<FieldError>) {
        if !is_finished(self.object) {
            return;
        }
        let active = self.status.child("active");
        if self.ends_or_changes(&["active"]) && self.count("active") > 0 {
            errors.push(active.invalid("active>0 is invalid for finished job"));
        }
        let started = self.status.child("startTime");
        if self.ends_or_changes(&["startTime"]) && !started.is_set() {
            errors.push(started.required("startTime is required for finished job"));
        }
        let uncounted = self.status.child("uncountedTerminatedPods");
        let is_empty = uncounted.child("succeeded").is_empty() && uncounted.child("failed").is_empty();
        if self.ends_or_changes(&["uncountedTerminatedPods"]) && !is_empty {
            errors.push(uncounted.invalid("uncountedTerminatedPods needs to be empty for finished job"));
        }
    }

    fn check_indexes(&self, errors: &mut Vec<FieldError>) {
        let (completed, failed) = (self.status.child("completedIndexes"), self.status.child("failedIndexes"));
        let completions = self.object.integer(&["spec", "completions"]);
        let per_index = self.object.get(&["spec", "backoffLimitPerIndex"]).is_some();
        let is_indexed = self.object.text(&["spec", "completionMode"]) == "Indexed";
        let (new_completed, new_failed) =
            (self.changes(&["completedIndexes"]), self.changes(&["failedIndexes"]));
        let parse = |place: &Place<'_>, field: &str, errors: &mut Vec<FieldError>| {
            let wrong = completions.and_then(|all| indexes::count(place.text(), all).err());
            errors.extend(wrong.map(|why| place.invalid(format!("error parsing {field}: {why}"))));
        };
        if new_completed {
            parse(&completed, "completedIndexes", errors);
        }
        if new_failed && per_index {
            parse(&failed, "failedIndexes", errors);
        }
        if new_completed && !completed.text().is_empty() && !is_indexed {
            let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
            errors.push(completed.invalid(detail));
        }
        if new_failed && failed.is_set() && !per_index {
            let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            errors.push(failed.invalid(detail));
        }
        let both = completions.and_then(|all| indexes::overlap(completed.text(), failed.text(), all));
        if let Some(index) = both.filter(|_| new_completed || new_failed) {
            let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
            errors.push(failed.invalid(detail));
        }
    }

    fn check_criteria(&self, errors: &mut Vec<FieldError>) {
        let terminating = self.status.child("terminating");
        let is_left = self.count("terminating") > 0 && is_finished(self.object);
        if self.ends_or_changes(&["terminating"]) && is_left {
            errors.push(terminating.invalid("terminating>0 is invalid for finished job"));
        }
        if self.changes(&["ready", "active"]) && self.count("ready") > self.count("active") {
            errors.push(self.status.child("ready").invalid("cannot set more ready pods than active"));
        }
        for other in ["Failed", "FailureTarget"] {
            if self.is("SuccessCriteriaMet") && self.is(other) {
                let detail = format!("cannot set SuccessCriteriaMet=True and {other}=true conditions");
                errors.push(self.conditions.unfit(detail));
            }
        }
        let has_policy = self.object.get(&["spec", "successPolicy"]).is_some();
        if has_policy && self.is("Complete") && !self.is("SuccessCriteriaMet") {
            let detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            errors.push(self.conditions.unfit(detail));
        }
    }

    /// What has come to be so stays so.
    fn check_past(&self, errors: &mut Vec<FieldError>) {
        for kind in ["Failed", "Complete", "FailureTarget"] {
            if holds(self.old, kind) && !self.is(kind) {
                let detail = format!("cannot disable the terminal {kind}=True condition");
                errors.push(self.conditions.unfit(detail));
            }
        }
        for (field, may_shrink) in [("failed", false), ("succeeded", self.may_be_scaled_down())] {
            let before = self.old.integer(&["status", field]).unwrap_or(0);
            if self.count(field) < before && !may_shrink {
                let detail = format!("cannot decrease the {field} counter");
                errors.push(FieldError::invalid(format!("status.{field}"), self.count(field), detail));
            }
        }
        let completed = self.status.child("completionTime");
        let before = self.old.get(&["status", "completionTime"]);
        if completed.is_set() && before.is_some() && completed.value() != before {
            errors.push(completed.invalid("completionTime cannot be mutated"));
        }
        let (started, before) = (self.status.child("startTime"), self.old.get(&["status", "startTime"]));
        let is_suspended = self.object.get(&["spec", "suspend"]) == Some(&Value::Bool(true));
        if before.is_some() && started.value() != before && !is_suspended {
            errors.push(started.required("startTime cannot be removed for unsuspended job"));
        }
        let criteria = "SuccessCriteriaMet";
        if holds(self.old, criteria) && !self.is(criteria) {
            errors.push(self.conditions.unfit("cannot disable the SuccessCriteriaMet=True condition"));
        }
        if holds(self.old, "Complete") && !holds(self.old, criteria) && self.is(criteria) {
            let detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            errors.push(self.conditions.unfit(detail));
        }
    }

    /// An indexed Job whose completions follow its parallelism can lose indexes that have succeeded.
    fn may_be_scaled_down(&self) -> bool {
        let spec = |field: &str| self.object.get(&["spec", field]);
        self.object.text(&["spec", "completionMode"]) == "Indexed"
            && spec("completions") == spec("parallelism")
    }
}

#[cfg(test)]
mod tests;
