//! What `kubectl get hpa` shows.
//!
//! Source: `printHorizontalPodAutoscaler` and `formatHPAMetrics` of `pkg/printers/internalversion`.

use serde_json::Value;

use super::in_v2;
use crate::{
    columns::{AGE, NAME, NONE, UNKNOWN},
    object::Object,
    resources::Column,
};

/// How many metrics a cell shows.
const MOST_SHOWN: usize = 2;

/// The columns of HorizontalPodAutoscalers.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Reference", "string", |object, _| {
        let text = |field: &str| object.text(&["spec", "scaleTargetRef", field]);
        format!("{}/{}", text("kind"), text("name")).into()
    }),
    Column::new("Targets", "string", |object, _| match in_v2(object) {
        Ok(object) => targets(&object).into(),
        Err(_) => UNKNOWN.into(),
    }),
    Column::new("MinPods", "string", |object, _| match object.integer(&["spec", "minReplicas"]) {
        Some(least) => least.to_string().into(),
        None => "<unset>".into(),
    }),
    Column::new("MaxPods", "string", |object, _| {
        object.integer(&["spec", "maxReplicas"]).unwrap_or(0).into()
    }),
    Column::new("Replicas", "string", |object, _| {
        object.integer(&["status", "currentReplicas"]).unwrap_or(0).into()
    }),
    AGE,
];

/// `cpu: 50%/80%, 7/10 + 1 more...`
fn targets(object: &Object) -> String {
    let metrics = object.list(&["spec", "metrics"]);
    if metrics.is_empty() {
        return NONE.to_owned();
    }
    let now = object.list(&["status", "currentMetrics"]);
    let each = metrics.iter().enumerate().map(|(at, metric)| target(metric, now.get(at)));
    let shown = each.take(MOST_SHOWN).collect::<Vec<_>>().join(", ");
    match metrics.len().saturating_sub(MOST_SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// What is, and what ought to be.
fn target(metric: &Value, now: Option<&Value>) -> String {
    let kind = metric["type"].as_str().unwrap_or_default();
    let Some(source) = super::validate::source(kind) else { return "<unknown type>".to_owned() };
    let target = &metric[source]["target"];
    let current = |field: &str| {
        let value = now.map_or(&Value::Null, |now| &now[source]["current"][field]);
        value.as_str().map_or_else(|| UNKNOWN.to_owned(), str::to_owned)
    };
    let average = target["averageValue"].as_str();
    match (source, average) {
        ("pods", _) => format!("{}/{}", current("averageValue"), average.unwrap_or("0")),
        ("resource" | "containerResource", Some(average)) => {
            format!("{}: {}/{average}", name(metric, source), current("averageValue"))
        }
        ("resource" | "containerResource", None) => {
            let percent = |value: &Value, unknown: &str| {
                value.as_i64().map_or_else(|| unknown.to_owned(), |percent| format!("{percent}%"))
            };
            let is = now.map_or(&Value::Null, |now| &now[source]["current"]["averageUtilization"]);
            let ought = percent(&target["averageUtilization"], "<auto>");
            format!("{}: {}/{ought}", name(metric, source), percent(is, UNKNOWN))
        }
        (_, Some(average)) => format!("{}/{average} (avg)", current("averageValue")),
        (_, None) => format!("{}/{}", current("value"), target["value"].as_str().unwrap_or("0")),
    }
}

fn name<'m>(metric: &'m Value, source: &str) -> &'m str {
    metric[source]["name"].as_str().unwrap_or_default()
}
