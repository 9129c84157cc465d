//! Job: pods that run to an end, a number of times.
//!
//! Deliberately absent: which pods count as failed, which is the job controller's.
//!
//! Source: `pkg/apis/batch/{v1/defaults,validation}`, `pkg/registry/batch/job`.

mod indexes;
mod policies;
mod status;
pub(super) mod validate;

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    pod,
    workload::{
        CONTAINERS, IMAGES, SELECTOR, advance, begin, default_template, differs, drop_disabled,
        is_new_generation, name_warnings,
    },
};
use crate::{
    columns::{AGE, NAME, human_duration},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{Strategy, drop_unless_used},
};

/// The label with the Job's uid on its pods, by which it finds them.
const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";

/// The label with the Job's name on its pods.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// The same two as they were called before they had prefixes.
const LEGACY_CONTROLLER_UID: &str = "controller-uid";
const LEGACY_JOB_NAME: &str = "job-name";

/// What an alpha feature would know: how the pods are to be scheduled together.
const SCHEDULING: &[&str] = &["spec", "scheduling"];

/// How often pods may fail when each index has a limit of its own.
const UNLIMITED: i64 = i32::MAX as i64;

/// What upstream warns of whose Jobs leave their pods behind.
const SILENT_DELETION: &str = "child pods are preserved by default when jobs are deleted; set \
                               propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress \
                               this warning";

/// The columns of Jobs.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Status", "string", |object, _| state(object).into()),
    Column::new("Completions", "string", |object, _| completions(object).into()),
    Column::new("Duration", "string", |object, now| duration(object, now).into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

fn state(object: &Object) -> &'static str {
    let holds = |kind: &str| {
        let conditions = object.list(&["status", "conditions"]).iter();
        conditions.clone().any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if object.is_being_deleted() => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(object: &Object) -> String {
    let succeeded = object.integer(&["status", "succeeded"]).unwrap_or(0);
    if let Some(wanted) = object.integer(&["spec", "completions"]) {
        return format!("{succeeded}/{wanted}");
    }
    match object.integer(&["spec", "parallelism"]) {
        Some(parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        _ => format!("{succeeded}/1"),
    }
}

fn duration(object: &Object, now: OffsetDateTime) -> String {
    let time = |field: &str| OffsetDateTime::parse(object.text(&["status", field]), &Rfc3339).ok();
    match (time("startTime"), time("completionTime")) {
        (None, _) => String::new(),
        (Some(start), end) => human_duration(end.unwrap_or(now) - start),
    }
}

/// Above both of these, failed indexes may be too many to be noted.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_AT_ONCE: i64 = 10_000;

/// The rules of Jobs.
pub struct Rules;

impl Strategy for Rules {
    /// The uid must be there already.
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
        drop_unless_used(object, None, SCHEDULING);
        if object.get(&["spec", "manualSelector"]) != Some(&Value::Bool(true)) {
            generate_selector(object);
        }
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_unless_used(object, Some(old), SCHEDULING);
        drop_disabled(object, Some(old));
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn default(&self, object: &mut Object) {
        if object.get(&["spec", "parallelism"]).is_none() {
            object.set_default(&["spec", "completions"], 1);
            object.set(&["spec", "parallelism"], 1);
        }
        let per_index = object.get(&["spec", "backoffLimitPerIndex"]).is_some();
        object.set_default(&["spec", "backoffLimit"], if per_index { UNLIMITED } else { 6 });
        object.set_default(&["spec", "completionMode"], "NonIndexed");
        object.set_default(&["spec", "suspend"], false);
        let has_policy = object.get(&["spec", "podFailurePolicy"]).is_some();
        let replacement = if has_policy { "Failed" } else { "TerminatingOrFailed" };
        object.set_default(&["spec", "podReplacementPolicy"], replacement);
        default_labels(object);
        default_condition_status(object, &["spec"]);
        default_template(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        validate::job(object)
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        validate::update(object, old)
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        status::validate(object, old)
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = name_warnings(object, old);
        if is_new_generation(object, old) {
            warnings.extend(spec_warnings(&Place::at(object, &["spec"])));
        }
        warnings
    }

    fn orphans_dependents(&self) -> bool {
        true
    }

    fn silent_deletion_warning(&self) -> Option<&'static str> {
        Some(SILENT_DELETION)
    }

    fn field_value(&self, object: &Object, _field: &str) -> String {
        object.integer(&["status", "succeeded"]).unwrap_or(0).to_string()
    }
}

/// Warnings about the spec of a Job: there may be more failed indexes than can be noted, or about its pods.
pub(super) fn spec_warnings(spec: &Place<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let count = |field: &str| spec.child(field).integer().unwrap_or(0);
    let indexed = spec.child("completionMode").text() == "Indexed";
    if indexed && count("completions") > MANY_COMPLETIONS && count("parallelism") > MANY_AT_ONCE {
        let what = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than \
                    10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes \
                    fail";
        warnings.push(format!("{}: {what}", spec.path()));
    }
    warnings.extend(pod::warnings::of_template(&spec.child("template")));
    warnings
}

/// A Job without labels has those of its pods.
fn default_labels(object: &mut Object) {
    let own = object.map(&["metadata", "labels"]).is_none_or(|labels| labels.is_empty());
    let pods = object.get(&["spec", "template", "metadata", "labels"]).cloned();
    if let (true, Some(labels)) = (own, pods) {
        object.set(&["metadata", "labels"], labels);
    }
}

/// A condition of a pod failure policy that does not say of which status is of `True`.
pub(super) fn default_condition_status(object: &mut Object, spec: &[&str]) {
    let path = [spec, &["podFailurePolicy", "rules"]].concat();
    if object.get(&path).is_none() {
        return;
    }
    let rules = object.slot(&path).and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        let patterns = rule.get_mut("onPodConditions").and_then(Value::as_array_mut);
        for pattern in patterns.into_iter().flatten() {
            if pattern["status"].as_str().unwrap_or_default().is_empty() {
                pattern["status"] = "True".into();
            }
        }
    }
}

/// Labels the pods with the Job's name and uid and selects them by the uid. What the client has set stays, and
/// is judged by validation.
fn generate_selector(object: &mut Object) {
    let (name, uid) = (object.name().to_owned(), object.uid().to_owned());
    let labels =
        [(JOB_NAME, &name), (LEGACY_JOB_NAME, &name), (CONTROLLER_UID, &uid), (LEGACY_CONTROLLER_UID, &uid)];
    for (key, value) in labels {
        object.set_default(&["spec", "template", "metadata", "labels", key], value.as_str());
    }
    object.set_default(&["spec", "selector", "matchLabels", CONTROLLER_UID], uid);
}

#[cfg(test)]
mod tests;
