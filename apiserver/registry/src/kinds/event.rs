//! Event, in the core group and in `events.k8s.io`: one thing, two sets of names.
//!
//! Deliberately absent: making one of the other ([`crate::conversion::event`]), and forgetting them after a while, which
//! the store does.
//!
//! Source: `pkg/apis/core/validation/events.go`, `printEvent`.

use keelson_api_schema::format::{check_dns1123_subdomain, check_qualified_name};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    columns::{UNKNOWN, since},
    field::FieldError,
    kinds::metadata::semantically_equal,
    object::Object,
    resources::Column,
    strategy::Strategy,
};

/// How long an event is kept; upstream's.
const SECONDS_TO_LIVE: u32 = 3600;

/// Longest reporting instance, action and reason, in bytes.
const MAX_WORD: usize = 128;
/// Longest message, in bytes.
const MAX_MESSAGE: usize = 1024;

/// The columns of Events of either group.
pub const COLUMNS: &[Column] = &[
    Column::new("Last Seen", "string", |object, now| last_seen(object, now).into()),
    Column::new("Type", "string", |object, _| object.text(&["type"]).into()),
    Column::new("Reason", "string", |object, _| object.text(&["reason"]).into()),
    Column::new("Object", "string", |object, _| target(object).into()),
    Column::wide("Subobject", "string", |object, _| text_in(object, INVOLVED, "fieldPath").into()),
    Column::wide("Source", "string", |object, _| source(object).into()),
    Column::new("Message", "string", |object, _| text(object, MESSAGE).trim().into()),
    Column::wide("First Seen", "string", |object, now| first_seen(object, now).into()),
    Column::wide("Count", "string", |object, _| count(object).into()),
    Column::wide("Name", "string", |object, _| object.name().into()),
];

/// A field's name in the core group, and in `events.k8s.io`.
type Names = [&'static str; 2];

const INVOLVED: Names = ["involvedObject", "regarding"];
const MESSAGE: Names = ["message", "note"];
const CONTROLLER: Names = ["reportingComponent", "reportingController"];
const SOURCE: Names = ["source", "deprecatedSource"];
const FIRST: Names = ["firstTimestamp", "deprecatedFirstTimestamp"];
const LAST: Names = ["lastTimestamp", "deprecatedLastTimestamp"];
const COUNT: Names = ["count", "deprecatedCount"];

/// The rules of Events: those that may still be written as they were in the beginning, and those that may not.
pub struct Rules {
    /// Whether it is the newer group, which is strict.
    pub strict: bool,
}

impl Strategy for Rules {
    fn creates_on_update(&self) -> bool {
        true
    }

    fn time_to_live(&self) -> Option<u32> {
        Some(SECONDS_TO_LIVE)
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let (own, involved) = (object.namespace(), text_in(object, INVOLVED, "namespace"));
        let dated = object.get(&["eventTime"]).is_some();
        let matches = match (involved.is_empty(), dated) {
            (true, true) => matches!(own, "default" | "kube-system"),
            (true, false) => matches!(own, "" | "default"),
            (false, true) => true,
            (false, false) => own == involved,
        };
        if !matches {
            let detail = "does not match event.namespace";
            errors.push(FieldError::invalid("involvedObject.namespace", involved, detail));
        }
        if dated {
            self.new_style(object, &mut errors);
        }
        let wrong = check_dns1123_subdomain(own).into_iter();
        errors.extend(wrong.map(|detail| FieldError::invalid("namespace", own, detail)));
        errors
    }

    fn validate_create(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !self.strict {
            return errors;
        }
        series(object, &mut errors);
        if object.get(&["eventTime"]).is_none() {
            errors.push(FieldError::required("eventTime", ""));
        }
        let kind = object.text(&["type"]);
        if !matches!(kind, "Normal" | "Warning") {
            errors.push(FieldError::invalid("type", "", format!("has invalid value: {kind}")));
        }
        let set = |names| field(object, names).is_some_and(|value| *value != 0);
        let sourced = ["component", "host"].iter().any(|part| !text_in(object, SOURCE, part).is_empty());
        for (is_set, [name, _]) in
            [(set(FIRST), FIRST), (set(LAST), LAST), (set(COUNT), COUNT), (sourced, SOURCE)]
        {
            if is_set {
                errors.push(FieldError::invalid(name, "", "needs to be unset"));
            }
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !self.strict {
            return errors;
        }
        if object.get(&["series"]) != old.get(&["series"]) {
            series(object, &mut errors);
        }
        let same = |name| [name, name];
        let fixed = [
            INVOLVED,
            same("reason"),
            MESSAGE,
            SOURCE,
            FIRST,
            LAST,
            COUNT,
            same("type"),
            same("eventTime"),
            same("action"),
            same("related"),
            ["reportingController", CONTROLLER[1]],
            same("reportingInstance"),
        ];
        for names in fixed {
            let now = field(object, names);
            if !semantically_equal(now, field(old, names)) {
                errors.push(FieldError::invalid(
                    names[0],
                    now.cloned().unwrap_or_default(),
                    "field is immutable",
                ));
            }
        }
        errors
    }

    fn field_value(&self, object: &Object, field: &str) -> String {
        if field == "source" {
            let component = text_in(object, SOURCE, "component");
            let value = if component.is_empty() { text(object, CONTROLLER) } else { component };
            return value.to_owned();
        }
        object.text(&field.split('.').collect::<Vec<_>>()).to_owned()
    }
}

impl Rules {
    /// What an Event must say that says when it happened.
    fn new_style(&self, object: &Object, errors: &mut Vec<FieldError>) {
        let controller = text(object, CONTROLLER);
        let path = CONTROLLER[usize::from(self.strict)];
        if controller.is_empty() {
            errors.push(FieldError::required(path, ""));
        }
        let wrong = check_qualified_name(controller).into_iter();
        errors.extend(wrong.map(|detail| FieldError::invalid(path, controller, detail)));
        for word in ["reportingInstance", "action", "reason"] {
            let length = object.text(&[word]).len();
            if length == 0 {
                errors.push(FieldError::required(word, ""));
            }
            at_most(word, length, MAX_WORD, errors);
        }
        at_most("message", text(object, MESSAGE).len(), MAX_MESSAGE, errors);
    }
}

fn at_most(path: &str, length: usize, most: usize, errors: &mut Vec<FieldError>) {
    if length > most {
        errors.push(FieldError::invalid(path, "", format!("can have at most {most} characters")));
    }
}

fn series(object: &Object, errors: &mut Vec<FieldError>) {
    if object.get(&["series"]).is_none() {
        return;
    }
    if object.integer(&["series", "count"]).unwrap_or(0) < 2 {
        errors.push(FieldError::invalid("series.count", "", "should be at least 2"));
    }
    if object.get(&["series", "lastObservedTime"]).is_none() {
        errors.push(FieldError::required("series.lastObservedTime", ""));
    }
}

fn field(object: &Object, names: Names) -> Option<&Value> {
    names.iter().find_map(|name| object.get(&[name]))
}

fn text(object: &Object, names: Names) -> &str {
    field(object, names).and_then(Value::as_str).unwrap_or_default()
}

fn text_in<'o>(object: &'o Object, names: Names, part: &str) -> &'o str {
    field(object, names).and_then(|value| value[part].as_str()).unwrap_or_default()
}

fn first_seen(object: &Object, now: OffsetDateTime) -> String {
    match since(text(object, FIRST), now) {
        unknown if unknown == UNKNOWN => since(object.text(&["eventTime"]), now),
        seen => seen,
    }
}

fn last_seen(object: &Object, now: OffsetDateTime) -> String {
    if object.get(&["series"]).is_some() {
        return since(object.text(&["series", "lastObservedTime"]), now);
    }
    match since(text(object, LAST), now) {
        unknown if unknown == UNKNOWN => first_seen(object, now),
        seen => seen,
    }
}

/// Events of the newer kind do not count to one.
fn count(object: &Object) -> i64 {
    let old = field(object, COUNT).and_then(Value::as_i64).filter(|count| *count != 0);
    object.integer(&["series", "count"]).or(old).unwrap_or(1)
}

fn target(object: &Object) -> String {
    let (kind, name) = (text_in(object, INVOLVED, "kind").to_lowercase(), text_in(object, INVOLVED, "name"));
    if name.is_empty() { kind } else { format!("{kind}/{name}") }
}

fn source(object: &Object) -> String {
    let either = |one: &str, other: &str| if one.is_empty() { other.to_owned() } else { one.to_owned() };
    let component = either(text_in(object, SOURCE, "component"), text(object, CONTROLLER));
    match either(text_in(object, SOURCE, "host"), object.text(&["reportingInstance"])).as_str() {
        "" => component,
        host => format!("{component}, {host}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::texts;

    const OLD: Rules = Rules { strict: false };
    const NEW: Rules = Rules { strict: true };

    fn new_event() -> Object {
        Object(json!({
            "metadata": {"name": "web.1", "namespace": "shop"},
            "eventTime": "1970-01-01T00:00:10.000000Z", "reportingController": "example.com/c",
            "reportingInstance": "c-1", "action": "Look", "reason": "Seen", "type": "Normal",
            "regarding": {"kind": "Pod", "name": "web", "namespace": "shop"}, "note": " saw it\n"
        }))
    }

    #[test]
    fn old_events_are_of_the_namespace_of_their_object() {
        let event = |namespace: &str| {
            Object(json!({"metadata": {"namespace": "shop"}, "involvedObject": {"namespace": namespace}}))
        };
        assert_eq!(OLD.validate(&event("shop")), []);
        assert_eq!(
            texts(&OLD.validate(&event("other"))),
            ["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"]
        );
        assert_eq!(OLD.validate_create(&event("shop")), []);
    }

    #[test]
    fn new_events_say_more() {
        let event = new_event();
        assert_eq!((NEW.validate(&event), NEW.validate_create(&event)), (vec![], vec![]));
        let mut bad = event.clone();
        bad.set(&["action"], "");
        bad.set(&["type"], "Odd");
        bad.set(&["deprecatedCount"], 3);
        bad.set(&["reportingController"], "");
        assert_eq!(
            texts(&NEW.validate(&bad))[..2],
            [
                "reportingController: Required value",
                "reportingController: Invalid value: \"\": name part must be non-empty"
            ]
        );
        assert_eq!(
            texts(&NEW.validate_create(&bad)),
            [
                "type: Invalid value: \"\": has invalid value: Odd",
                "count: Invalid value: \"\": needs to be unset"
            ]
        );
    }

    #[test]
    fn of_a_new_event_only_the_series_grows() {
        let old = new_event();
        let mut new = old.clone();
        new.set(&["series"], json!({"count": 2, "lastObservedTime": "1970-01-01T00:01:00.000000Z"}));
        assert_eq!(NEW.validate_update(&new, &old), []);
        new.set(&["series", "count"], 1);
        new.set(&["note"], "other");
        assert_eq!(
            texts(&NEW.validate_update(&new, &old)),
            [
                "series.count: Invalid value: \"\": should be at least 2",
                "message: Invalid value: \"other\": field is immutable",
            ]
        );
    }

    #[test]
    fn rows_are_upstreams_for_both_names() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(100);
        let row = |object: &Object| -> Vec<String> {
            let cells = COLUMNS.iter().map(|column| (column.cell)(object, now));
            cells.map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
        };
        assert_eq!(
            row(&new_event()),
            ["90s", "Normal", "Seen", "pod/web", "", "example.com/c, c-1", "saw it", "90s", "1", "web.1"]
        );
        let old = Object(json!({
            "metadata": {"name": "n"}, "involvedObject": {"kind": "Node"}, "count": 4, "source": {"component": "kubelet"},
            "firstTimestamp": "1970-01-01T00:00:00Z", "lastTimestamp": "1970-01-01T00:01:30Z", "message": "m"
        }));
        assert_eq!(row(&old), ["10s", "", "", "node", "", "kubelet", "m", "100s", "4", "n"]);
        assert_eq!(OLD.field_value(&old, "source"), "kubelet");
        assert_eq!(NEW.field_value(&new_event(), "regarding.name"), "web");
    }
}
