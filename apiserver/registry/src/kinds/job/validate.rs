//! What is wrong with a Job.

use keelson_api_schema::{
    format::{check_dns1123_label, check_dns1123_subdomain},
    selector::LabelSelector,
};
use serde_json::{Value, json};

use super::{CONTROLLER_UID, JOB_NAME, LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME, policies};
use crate::{
    field::FieldError,
    kinds::{metadata, pod::template, workload::selects_template},
    object::Object,
    place::Place,
};

/// The most pods at a time, and failed indexes, that an indexed Job may have.
const INDEXED_MAX: i64 = 100_000;

/// From how many completions on there are limits for Jobs whose indexes fail one by one, and these limits.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_PARALLEL_MAX: i64 = 10_000;
const MANY_FAILED_MAX: i64 = 10_000;

/// The longest name of a controller, in bytes.
const MANAGED_BY_MAX: usize = 63;

/// Rules for a Job, new or old.
pub(super) fn job(object: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let place = Place::at(object, &["spec"]);
    if !place.child("manualSelector").flag() {
        generated_selector(object, &place, &mut errors);
    }
    spec(&place, &mut errors);
    host_names(object, &place, &mut errors);
    let selector = place.child("selector");
    if selector.is_set() {
        metadata::label_selector(&selector, &mut errors);
    } else {
        errors.push(selector.required(""));
    }
    selects_template(&selector, &place.child("template"), &mut errors);
    errors
}

/// Rules for what a Job is to do, in a Job or in the template of one.
pub(in crate::kinds) fn spec(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    counts(spec, errors);
    managed_by(&spec.child("managedBy"), errors);
    completion_mode(spec, errors);
    policies::failure(spec, errors);
    policies::success(spec, errors);
    replacement_policy(spec, errors);
    template::validate(&spec.child("template"), errors);
    restart_policy(spec, errors);
}

/// Rules for a change.
pub(super) fn update(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (spec, before) = (Place::at(object, &["spec"]), Place::at(old, &["spec"]));
    completions_update(&spec, &before, &mut errors);
    spec.child("selector").unchanged(&before.child("selector"), &mut errors);
    template_update(object, old, &mut errors);
    let fixed = ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"];
    for field in fixed {
        spec.child(field).unchanged(&before.child(field), &mut errors);
    }
    errors
}

/// The labels and the selector that nobody but the Job itself may have chosen.
fn generated_selector(object: &Object, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let selector = spec.child("selector");
    if !selector.is_set() {
        return;
    }
    if object.uid().is_empty() {
        errors.push(FieldError::required("metadata.uid", ""));
    }
    let (uid, name) = (object.uid(), object.name());
    let expected = json!({
        LEGACY_CONTROLLER_UID: uid,
        CONTROLLER_UID: uid,
        LEGACY_JOB_NAME: name,
        JOB_NAME: name,
    });
    let labels = spec.child("template").child("metadata").child("labels");
    for (key, value) in [(LEGACY_CONTROLLER_UID, uid), (LEGACY_JOB_NAME, name)] {
        let label = labels.key(key);
        let detail = format!("must be '{value}'");
        if !label.is_set() {
            errors.push(label.required(detail));
        } else if label.text() != value {
            let shown = labels.value().cloned().unwrap_or_default();
            errors.push(FieldError::invalid(label.path(), shown, detail));
        }
    }
    let parsed = selector.value().map(LabelSelector::from_object);
    if let Some(Ok(parsed)) = parsed
        && !parsed.matches_labels(&expected)
    {
        errors.push(selector.invalid("`selector` not auto-generated"));
    }
}

fn counts(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    for count in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        spec.child(count).non_negative(errors);
    }
    let per_index = spec.child("backoffLimitPerIndex");
    if spec.child("maxFailedIndexes").is_set() && !per_index.is_set() {
        errors.push(per_index.required("when maxFailedIndexes is specified"));
    }
}

/// `domain/path`.
fn managed_by(field: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !field.is_set() {
        return;
    }
    let text = field.text();
    match text.split_once('/') {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
            errors.extend(field.each_invalid(check_dns1123_subdomain(domain)));
        }
        _ => errors.push(field.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")")),
    }
    if text.len() > MANAGED_BY_MAX {
        errors.push(FieldError::too_long(field.path(), MANAGED_BY_MAX));
    }
}

fn completion_mode(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mode = spec.child("completionMode");
    match mode.text() {
        "Indexed" => indexed(spec, errors),
        // Templates of Jobs do not have defaults.
        "NonIndexed" | "" => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                let field = spec.child(field);
                if field.is_set() {
                    errors.push(field.invalid("requires indexed completion mode"));
                }
            }
        }
        _ => errors.push(mode.not_supported(&["Indexed", "NonIndexed"])),
    }
}

fn indexed(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let completions = spec.child("completions");
    if !completions.is_set() {
        errors.push(completions.required("when completion mode is Indexed"));
    }
    let (parallelism, failed) = (spec.child("parallelism"), spec.child("maxFailedIndexes"));
    if above(&parallelism, INDEXED_MAX) {
        errors.push(
            parallelism.invalid(format!(
                "must be less than or equal to {INDEXED_MAX} when completion mode is Indexed"
            )),
        );
    }
    if completions.integer().is_some_and(|all| above(&failed, all)) {
        errors.push(failed.invalid("must be less than or equal to completions"));
    }
    if above(&failed, INDEXED_MAX) {
        errors.push(failed.invalid(format!("must be less than or equal to {INDEXED_MAX}")));
    }
    if above(&completions, MANY_COMPLETIONS) && spec.child("backoffLimitPerIndex").is_set() {
        many_indexes(&parallelism, &failed, errors);
    }
}

/// A Job must not let a status grow that has to name each of very many failed indexes.
fn many_indexes(parallelism: &Place<'_>, failed: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !failed.is_set() {
        errors
            .push(failed.required(format!("must be specified when completions is above {MANY_COMPLETIONS}")));
    }
    for (field, most) in [(parallelism, MANY_PARALLEL_MAX), (failed, MANY_FAILED_MAX)] {
        if above(field, most) {
            errors.push(field.invalid(format!(
                "must be less than or equal to {most} when completions are above {MANY_COMPLETIONS} and used with \
                 backoff limit per index"
            )));
        }
    }
}

fn above(field: &Place<'_>, most: i64) -> bool {
    field.integer().is_some_and(|number| number > most)
}

/// The pod of an index has the index in its host name.
fn host_names(object: &Object, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    if spec.child("completionMode").text() != "Indexed" {
        return;
    }
    let count = spec.child("completions").integer().filter(|count| *count > 0);
    if let Some(last) = count.map(|count| count - 1) {
        let host = format!("{}-{last}", object.name());
        if !check_dns1123_label(&host).is_empty() {
            errors.push(FieldError::invalid(
                "metadata.name",
                object.name(),
                format!("will not able to create pod with invalid DNS label: {host}"),
            ));
        }
    }
}

fn replacement_policy(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.child("podReplacementPolicy");
    let supported: &[&str] = if spec.child("podFailurePolicy").is_set() {
        &["Failed"]
    } else {
        &["Failed", "TerminatingOrFailed"]
    };
    if policy.is_set() {
        policy.one_of(supported, errors);
    }
}

fn restart_policy(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.child("template").child("spec").child("restartPolicy");
    match policy.text() {
        "" | "Always" => errors.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" => {
            for field in ["podFailurePolicy", "backoffLimitPerIndex"] {
                if spec.child(field).is_set() {
                    let rule = format!("only \"Never\" is supported when {field} is specified");
                    errors.push(policy.invalid(rule));
                }
            }
        }
        "Never" => {}
        _ => errors.push(policy.not_supported(&["Never", "OnFailure"])),
    }
}

/// The number of completions stays, except that an indexed Job grows and shrinks together with its parallelism.
fn completions_update(spec: &Place<'_>, before: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (completions, old) = (spec.child("completions"), before.child("completions"));
    let elastic = before.child("completionMode").text() == "Indexed" && old.is_set() && completions.is_set();
    if !elastic {
        completions.unchanged(&old, errors);
    } else if completions.value() != old.value() && completions.value() != spec.child("parallelism").value() {
        errors.push(completions.invalid("can only be modified in tandem with spec.parallelism"));
    }
}

/// The template stays, except that where pods go may change while the Job is suspended and has never started.
fn template_update(object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let mut before = old.clone();
    let suspended = old.get(&["spec", "suspend"]) == Some(&Value::Bool(true));
    if suspended && old.get(&["status", "startTime"]).is_none() {
        const MUTABLE: [&[&str]; 6] = [
            &["metadata", "annotations"],
            &["metadata", "labels"],
            &["spec", "nodeSelector"],
            &["spec", "tolerations"],
            &["spec", "schedulingGates"],
            &["spec", "affinity", "nodeAffinity"],
        ];
        for field in MUTABLE {
            let path = [&["spec", "template"][..], field].concat();
            match object.get(&path) {
                Some(value) => before.set(&path, value.clone()),
                None => drop(before.remove(&path)),
            }
        }
    }
    let path = ["spec", "template"];
    Place::at(object, &path).unchanged(&Place::at(&before, &path), errors);
}
