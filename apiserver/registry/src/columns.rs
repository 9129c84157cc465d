//! The columns that many kinds share, and how times and selectors are shown in cells.
//!
//! Source: `pkg/printers/internalversion` and `k8s.io/apimachinery/pkg/util/duration` of Kubernetes.

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::resources::Column;

/// What a cell says that has nothing to say.
pub const NONE: &str = "<none>";

/// What a cell says when the answer is not known.
pub const UNKNOWN: &str = "<unknown>";

/// The object's name.
pub const NAME: Column = Column::new("Name", "string", |object, _| object.name().into());

/// How long ago the object was created.
pub const AGE: Column = Column::new("Age", "string", |object, now| {
    since(object.text(&["metadata", "creationTimestamp"]), now).into()
});

/// When the object was created: the second column of kinds that have no columns of their own.
pub const CREATED_AT: Column = Column::new("Created At", "date", |object, _| {
    object.get(&["metadata", "creationTimestamp"]).cloned().unwrap_or_default()
});

/// The columns of kinds that have none of their own.
pub const DEFAULT: &[Column] = &[NAME, CREATED_AT];

/// The columns of a scale, whatever it is the scale of.
pub const SCALE: &[Column] = &[
    NAME,
    Column::new("Desired", "integer", |scale, _| scale.integer(&["spec", "replicas"]).unwrap_or(0).into()),
    Column::new("Available", "integer", |scale, _| {
        scale.integer(&["status", "replicas"]).unwrap_or(0).into()
    }),
    AGE,
];

/// How long before `now` an RFC 3339 time was, shortly: `5m12s`, `3d`. `<unknown>` for no time.
pub fn since(time: &str, now: OffsetDateTime) -> String {
    match OffsetDateTime::parse(time, &Rfc3339) {
        Ok(then) => human_duration(now - then),
        Err(_) => UNKNOWN.to_owned(),
    }
}

/// A span as upstream shortens it: two units at most, the second only while it matters.
pub fn human_duration(span: Duration) -> String {
    let seconds = span.whole_seconds();
    // A clock may be a little behind the one that wrote the time.
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if years < 8 => two(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    let rest = if small == 0 { String::new() } else { format!("{small}{small_unit}") };
    format!("{large}{large_unit}{rest}")
}

/// A map of labels as `a=b,c=d`; `<none>` where it is empty.
pub fn labels(labels: Option<&Map<String, Value>>) -> String {
    let mut pairs: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort();
    or_none(pairs.join(","))
}

/// A `LabelSelector` as `a=b,c in (d,e)`; `<none>` for an empty one, as for an absent one.
pub fn selector(selector: Option<&Value>) -> String {
    let read = |selector| keelson_api_schema::selector::LabelSelector::from_object(selector);
    or_none(selector.and_then(|selector| read(selector).ok()).map(|it| it.to_string()).unwrap_or_default())
}

/// `<none>` for an empty text.
pub fn or_none(text: impl Into<String>) -> String {
    let text = text.into();
    if text.is_empty() { NONE.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shortened_as_upstream_does() {
        let cases = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (11 * 60 + 5, "11m"),
            (179 * 60, "179m"),
            (180 * 60, "3h"),
            (3 * 3600 + 5 * 60, "3h5m"),
            (8 * 3600 + 60, "8h"),
            (47 * 3600, "47h"),
            (49 * 3600, "2d1h"),
            (8 * 86_400 + 3600, "8d"),
            (729 * 86_400, "729d"),
            (731 * 86_400, "2y1d"),
            (9 * 365 * 86_400, "9y"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human_duration(Duration::seconds(seconds)), text, "{seconds} s");
        }
    }

    #[test]
    fn labels_are_listed_in_order() {
        let map = serde_json::json!({"b": "2", "a": "1"});
        assert_eq!(labels(map.as_object()), "a=1,b=2");
        assert_eq!(labels(None), "<none>");
    }
}
