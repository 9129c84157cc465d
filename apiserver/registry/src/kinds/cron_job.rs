//! CronJob: a Job at times that a schedule says.
//!
//! Deliberately absent: when the next time is, and making Jobs, which are the controller's; the schema's defaults of
//! the template's own counts, which Jobs get when they are made.
//!
//! Source: `pkg/apis/batch/{v1/defaults,validation}`, `pkg/registry/batch/cronjob`.

mod schedule;
mod zone;

use serde_json::Value;

use super::{
    job,
    pod::template,
    workload::{advance, begin, differs, drop_disabled, is_new_generation, name_warnings},
};
use crate::{
    columns::{self, AGE, NAME, NONE, since},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{Strategy, drop_unless_used},
};

/// The longest name: a Job's is that and eleven letters more, and has to be a label.
const NAME_MAX: usize = 52;

/// What an alpha feature would know: how the pods of a Job are to be scheduled together.
const SCHEDULING: &[&str] = &["spec", "jobTemplate", "spec", "scheduling"];

/// The columns of CronJobs.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Schedule", "string", |object, _| object.text(&["spec", "schedule"]).into()),
    Column::new("Timezone", "string", |object, _| {
        object.get(&["spec", "timeZone"]).and_then(Value::as_str).unwrap_or(NONE).into()
    }),
    Column::new("Suspend", "boolean", |object, _| suspended(object).into()),
    Column::new("Active", "integer", |object, _| object.list(&["status", "active"]).len().into()),
    Column::new("Last Schedule", "string", |object, now| {
        match object.text(&["status", "lastScheduleTime"]) {
            "" => NONE.into(),
            time => since(time, now).into(),
        }
    }),
    AGE,
    Column::wide("Containers", "string", |object, _| each_container(object, "name").into()),
    Column::wide("Images", "string", |object, _| each_container(object, "image").into()),
    Column::wide("Selector", "string", |object, _| {
        columns::selector(object.get(&["spec", "jobTemplate", "spec", "selector"])).into()
    }),
];

fn suspended(object: &Object) -> &'static str {
    match object.get(&["spec", "suspend"]) {
        None => "<unset>",
        Some(Value::Bool(true)) => "True",
        Some(_) => "False",
    }
}

fn each_container(object: &Object, field: &str) -> String {
    let path = ["spec", "jobTemplate", "spec", "template", "spec", "containers"];
    let containers = object.list(&path).iter();
    containers.filter_map(|container| container[field].as_str()).collect::<Vec<_>>().join(",")
}

/// The rules of CronJobs.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
        drop_unless_used(object, None, SCHEDULING);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_unless_used(object, Some(old), SCHEDULING);
        drop_disabled(object, Some(old));
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn default(&self, object: &mut Object) {
        if object.text(&["spec", "concurrencyPolicy"]).is_empty() {
            object.set(&["spec", "concurrencyPolicy"], "Allow");
        }
        object.set_default(&["spec", "suspend"], false);
        object.set_default(&["spec", "successfulJobsHistoryLimit"], 3);
        object.set_default(&["spec", "failedJobsHistoryLimit"], 1);
        job::default_condition_status(object, &["spec", "jobTemplate", "spec"]);
        let pods = ["spec", "jobTemplate", "spec", "template"];
        if object.get(&pods).is_some()
            && let Some(pods) = object.slot(&pods)
        {
            template::default(pods);
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        let schedule = spec.child("schedule");
        if schedule.text().is_empty() {
            errors.push(schedule.required(""));
        } else if let Err(wrong) = schedule::check(schedule.text()) {
            errors.push(schedule.invalid(wrong));
        }
        spec.child("startingDeadlineSeconds").non_negative(&mut errors);
        let policy = spec.child("concurrencyPolicy");
        match policy.text() {
            "" => errors.push(policy.required("")),
            _ => policy.one_of(&["Allow", "Forbid", "Replace"], &mut errors),
        }
        validate_template(&spec.child("jobTemplate").child("spec"), &mut errors);
        spec.child("successfulJobsHistoryLimit").non_negative(&mut errors);
        spec.child("failedJobsHistoryLimit").non_negative(&mut errors);
        errors
    }

    fn validate_create(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        zones(object, None, &mut errors);
        if object.name().len() > NAME_MAX {
            let detail = format!("must be no more than {NAME_MAX} characters");
            errors.push(FieldError::invalid("metadata.name", object.name(), detail));
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        zones(object, Some(old), &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = name_warnings(object, old);
        if is_new_generation(object, old) {
            warnings.extend(job::spec_warnings(&Place::at(object, &["spec", "jobTemplate", "spec"])));
        }
        if old.is_some() && object.text(&["spec", "schedule"]).contains("TZ") {
            // Upstream's path for the field.
            let what = "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
                        https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
            warnings.push(what.to_owned());
        }
        warnings
    }
}

/// The zone of the schedule's times: in a field of its own. An older CronJob may have it in the schedule.
fn zones(object: &Object, old: Option<&Object>, errors: &mut Vec<FieldError>) {
    const SCHEDULE: [&str; 2] = ["spec", "schedule"];
    const ZONE: [&str; 2] = ["spec", "timeZone"];
    let (schedule, zone) = (Place::at(object, &SCHEDULE), Place::at(object, &ZONE));
    let tolerated = old.is_some_and(|old| old.text(&SCHEDULE).contains("TZ"));
    if schedule.text().contains("TZ") {
        if !tolerated {
            errors.push(schedule.invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
        } else if zone.is_set() {
            errors.push(schedule.invalid("cannot use both timeZone field and TZ or CRON_TZ in schedule"));
        }
    }
    let changed = old.is_none_or(|old| old.get(&ZONE) != zone.value());
    if changed && zone.is_set() {
        errors.extend(zone.each_invalid(zone::check(zone.text())));
    }
}

fn validate_template(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    job::validate::spec(spec, errors);
    let (selector, manual) = (spec.child("selector"), spec.child("manualSelector"));
    if selector.is_set() {
        errors.push(selector.invalid("`selector` will be auto-generated"));
    }
    if manual.flag() {
        errors.push(manual.not_supported(&["nil", "false"]));
    }
}

#[cfg(test)]
mod tests;
