//! DaemonSet: a pod on every node that fits.
//!
//! Deliberately absent: which nodes those are, which is the daemon set controller's.
//!
//! Source: `pkg/apis/apps/{v1,validation}`, `pkg/registry/apps/daemonset`.

use keelson_api_schema::selector::LabelSelector;
use serde_json::{Map, Value};

use super::{
    metadata,
    pod::template,
    workload::{
        CONTAINERS, IMAGES, SELECTOR, advance, begin, bound_is_zero, default_template, differs,
        drop_disabled, template_warnings, validate_at_most_all, validate_bound, validate_collisions,
    },
};
use crate::{
    columns::{self, AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The annotation that counts the changes of the template, from the time before generations and revisions.
const TEMPLATE_GENERATION: [&str; 3] =
    ["metadata", "annotations", "deprecated.daemonset.template.generation"];

/// The counters of a status that Go writes also where they are zero.
const COUNTERS: [&str; 4] =
    ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"];

/// The columns of DaemonSets.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Desired", "integer", |object, _| count(object, "desiredNumberScheduled")),
    Column::new("Current", "integer", |object, _| count(object, "currentNumberScheduled")),
    Column::new("Ready", "integer", |object, _| count(object, "numberReady")),
    Column::new("Up-to-date", "integer", |object, _| count(object, "updatedNumberScheduled")),
    Column::new("Available", "integer", |object, _| count(object, "numberAvailable")),
    Column::new("Node Selector", "string", |object, _| {
        columns::labels(object.map(&["spec", "template", "spec", "nodeSelector"])).into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

fn count(object: &Object, field: &str) -> Value {
    object.integer(&["status", field]).unwrap_or(0).into()
}

/// The rules of DaemonSets.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
        for counter in COUNTERS {
            object.set(&["status", counter], 0);
        }
        if template_generation(object) < 1 {
            object.set(&TEMPLATE_GENERATION, "1");
        }
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_disabled(object, Some(old));
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
        let change = i64::from(differs(object, old, &["spec", "template"]));
        let changes = template_generation(old).saturating_add(change);
        object.set(&TEMPLATE_GENERATION, changes.to_string());
    }

    fn default(&self, object: &mut Object) {
        let strategy = ["spec", "updateStrategy"];
        if object.text(&["spec", "updateStrategy", "type"]).is_empty() {
            object.set(&[&strategy[..], &["type"]].concat(), "RollingUpdate");
        }
        if object.text(&["spec", "updateStrategy", "type"]) == "RollingUpdate" {
            object.set_default(&["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"], 1);
            object.set_default(&["spec", "updateStrategy", "rollingUpdate", "maxSurge"], 0);
        }
        object.set_default(&["spec", "revisionHistoryLimit"], 10);
        default_template(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        validate_selector(&spec, &mut errors);
        let pods = spec.child("template");
        template::validate(&pods, &mut errors);
        pods.child("spec").child("restartPolicy").one_of(&["Always"], &mut errors);
        let deadline = pods.child("spec").child("activeDeadlineSeconds");
        if deadline.is_set() {
            errors.push(deadline.forbidden("activeDeadlineSeconds in DaemonSet is not Supported"));
        }
        spec.child("minReadySeconds").non_negative(&mut errors);
        validate_strategy(&spec.child("updateStrategy"), &mut errors);
        spec.child("revisionHistoryLimit").non_negative(&mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = ["spec", "selector"];
        Place::at(object, &path).unchanged(&Place::at(old, &path), &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let status = Place::at(object, &["status"]);
        let others = ["observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable"];
        for counter in COUNTERS.iter().chain(&others) {
            status.child(counter).non_negative(&mut errors);
        }
        validate_collisions(&status, old, &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        template_warnings(object, old)
    }
}

/// What is no number counts as none.
fn template_generation(object: &Object) -> i64 {
    object.text(&TEMPLATE_GENERATION).parse().unwrap_or(0)
}

/// A selector that is not there selects nothing, so it does not match the template either.
fn validate_selector(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let selector = spec.child("selector");
    metadata::label_selector(&selector, errors);
    let parsed = match selector.value() {
        None => Ok(LabelSelector::nothing()),
        Some(value) => LabelSelector::from_object(value),
    };
    let labels = spec.child("template").child("metadata").child("labels");
    if let Ok(parsed) = parsed
        && !parsed.matches_labels(labels.value().unwrap_or(&Value::Null))
    {
        let shown = labels.value().cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(labels.path(), shown, detail));
    }
    let is_empty = selector.child("matchLabels").is_empty() && selector.child("matchExpressions").is_empty();
    if selector.is_set() && is_empty {
        errors.push(selector.invalid("empty selector is invalid for daemonset"));
    }
}

fn validate_strategy(strategy: &Place<'_>, errors: &mut Vec<FieldError>) {
    let rolling = strategy.child("rollingUpdate");
    match strategy.child("type").text() {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_set() => errors.push(rolling.required("")),
        "RollingUpdate" => validate_rolling(&rolling, errors),
        _ => errors.push(strategy.not_supported(&["OnDelete", "RollingUpdate"])),
    }
}

fn validate_rolling(rolling: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (unavailable, surge) = (rolling.child("maxUnavailable"), rolling.child("maxSurge"));
    for bound in [&unavailable, &surge] {
        validate_bound(bound, errors);
    }
    for bound in [&unavailable, &surge] {
        validate_at_most_all(bound, errors);
    }
    match (is_none(&unavailable), is_none(&surge)) {
        (false, false) => errors.push(surge.invalid("may not be set when maxUnavailable is non-zero")),
        (true, true) => errors.push(unavailable.required("cannot be 0 when maxSurge is 0")),
        (true, false) | (false, true) => {}
    }
}

/// A text that is no percentage counts as none, and has been complained about.
fn is_none(bound: &Place<'_>) -> bool {
    let readable = bound.integer().is_some() || bound.text().ends_with('%');
    bound_is_zero(bound) || !readable
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn daemon_set(spec: &Value) -> Object {
        let pods = json!({
            "metadata": {"labels": {"app": "log"}},
            "spec": {"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "log", "image": "log:1"}]},
        });
        let mut object = Object(json!({
            "metadata": {"name": "log", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "log"}}, "template": pods},
        }));
        for (field, value) in spec.as_object().into_iter().flatten() {
            object.set(&["spec", field], value.clone());
        }
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn defaults_are_upstreams() {
        let object = daemon_set(&json!({}));
        let rolling = json!({"maxUnavailable": 1, "maxSurge": 0});
        assert_eq!(
            object.0["spec"]["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": rolling})
        );
        assert_eq!(object.integer(&["spec", "revisionHistoryLimit"]), Some(10));
        assert_eq!(texts(&Rules.validate(&object)), [""; 0]);
        let on_delete = daemon_set(&json!({"updateStrategy": {"type": "OnDelete"}}));
        assert_eq!(on_delete.0["spec"]["updateStrategy"], json!({"type": "OnDelete"}));
        assert_eq!(texts(&Rules.validate(&on_delete)), [""; 0]);
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let rolling = |unavailable: Value, surge: Value| {
            let rolling = json!({"maxUnavailable": unavailable, "maxSurge": surge});
            json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}})
        };
        let cases = [
            (
                json!({"selector": null}),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"log\"}: `selector` does not match template `labels`",
            ),
            (
                json!({"selector": {}}),
                "spec.selector: Invalid value: {}: empty selector is invalid for daemonset",
            ),
            (
                rolling(json!(1), json!("10%")),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"10%\": may not be set when maxUnavailable is non-zero",
            ),
            (
                rolling(json!("0%"), json!(0)),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
            ),
            (
                rolling(json!(0), json!("200%")),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"200%\": must not be greater than 100%",
            ),
            (
                json!({"minReadySeconds": -1}),
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&daemon_set(&spec))), [text]);
        }
    }

    #[test]
    fn the_selector_stays_and_changes_of_the_template_are_counted_twice() {
        let old = daemon_set(&json!({}));
        assert_eq!(old.text(&TEMPLATE_GENERATION), "1");
        let mut new = old.clone();
        new.set(&["spec", "minReadySeconds"], 5);
        Rules.prepare_update(&mut new, &old);
        assert_eq!((new.generation(), new.text(&TEMPLATE_GENERATION)), (2, "1"));
        let mut newer = new.clone();
        newer.remove(&["metadata", "annotations"]);
        newer.set(&["spec", "template", "spec", "nodeSelector", "disk"], "any");
        newer.set(&["status", "numberReady"], 7);
        Rules.prepare_update(&mut newer, &new);
        assert_eq!((newer.generation(), newer.text(&TEMPLATE_GENERATION)), (3, "2"));
        assert_eq!(newer.integer(&["status", "numberReady"]), Some(0));
        newer.set(&["spec", "selector", "matchLabels", "app"], "other");
        assert_eq!(
            texts(&Rules.validate_update(&newer, &old)),
            ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"other\"}}: field is immutable"]
        );
    }

    #[test]
    fn rows_and_status_are_upstreams() {
        let mut object = daemon_set(&json!({}));
        object.set(&["status", "desiredNumberScheduled"], 3);
        object.set(&["status", "numberAvailable"], -1);
        let now = OffsetDateTime::UNIX_EPOCH;
        let row: Vec<Value> = COLUMNS[1..7].iter().map(|column| (column.cell)(&object, now)).collect();
        assert_eq!(row, [json!(3), json!(0), json!(0), json!(0), json!(-1), json!("disk=ssd")]);
        assert_eq!(
            texts(&Rules.validate_status_update(&object, &object)),
            ["status.numberAvailable: Invalid value: -1: must be greater than or equal to 0"]
        );
    }
}
