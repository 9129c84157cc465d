//! HorizontalPodAutoscalers of `autoscaling/v1` and of `autoscaling/v2`: one thing in two versions, of which v2 is stored.
//!
//! In: a canonical object of one version. Out: the same in the other. v1 knows a target for the CPU and no more: whatever
//! else v2 says, v1 carries in annotations, in the form that its metrics had in the first beta. Nothing is lost on the way
//! from v2 to v1 and back.
//!
//! Source: `pkg/apis/autoscaling/v1/conversion.go` of Kubernetes.

use keelson_api_schema::{DecodeError, builtin, decode_value};
use serde_json::{Map, Value, json};

use crate::object::Object;

/// The annotations in which v1 carries what it has no field for.
pub const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// As above: what the metrics are now.
pub const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
/// As above: conditions.
pub const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
/// As above: how fast replicas come and go.
pub const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// How busy CPUs are to be when nothing else is said, in percent.
pub const DEFAULT_CPU: i64 = 80;

/// The fields that both versions have.
const SHARED_SPEC: [&str; 3] = ["scaleTargetRef", "minReplicas", "maxReplicas"];
const SHARED_STATUS: [&str; 4] =
    ["observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas"];

/// What a field is called in an annotation, and where it is in v2.
type Renamed = (&'static str, &'static [&'static str]);

/// The parts of a metric, by what it is of.
const METRIC_FIELDS: [(&str, &[Renamed]); 5] = [
    (
        "object",
        &[
            ("target", &["describedObject"]),
            ("metricName", &["metric", "name"]),
            ("selector", &["metric", "selector"]),
            ("targetValue", &["target", "value"]),
            ("averageValue", &["target", "averageValue"]),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", &["metric", "name"]),
            ("selector", &["metric", "selector"]),
            ("targetAverageValue", &["target", "averageValue"]),
        ],
    ),
    (
        "resource",
        &[
            ("name", &["name"]),
            ("targetAverageUtilization", &["target", "averageUtilization"]),
            ("targetAverageValue", &["target", "averageValue"]),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", &["name"]),
            ("container", &["container"]),
            ("targetAverageUtilization", &["target", "averageUtilization"]),
            ("targetAverageValue", &["target", "averageValue"]),
        ],
    ),
    (
        "external",
        &[
            ("metricName", &["metric", "name"]),
            ("metricSelector", &["metric", "selector"]),
            ("targetValue", &["target", "value"]),
            ("targetAverageValue", &["target", "averageValue"]),
        ],
    ),
];

/// The same of a status.
const STATUS_FIELDS: [(&str, &[Renamed]); 5] = [
    (
        "object",
        &[
            ("target", &["describedObject"]),
            ("metricName", &["metric", "name"]),
            ("selector", &["metric", "selector"]),
            ("currentValue", &["current", "value"]),
            ("averageValue", &["current", "averageValue"]),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", &["metric", "name"]),
            ("selector", &["metric", "selector"]),
            ("currentAverageValue", &["current", "averageValue"]),
        ],
    ),
    (
        "resource",
        &[
            ("name", &["name"]),
            ("currentAverageUtilization", &["current", "averageUtilization"]),
            ("currentAverageValue", &["current", "averageValue"]),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", &["name"]),
            ("container", &["container"]),
            ("currentAverageUtilization", &["current", "averageUtilization"]),
            ("currentAverageValue", &["current", "averageValue"]),
        ],
    ),
    (
        "external",
        &[
            ("metricName", &["metric", "name"]),
            ("metricSelector", &["metric", "selector"]),
            ("currentValue", &["current", "value"]),
            ("currentAverageValue", &["current", "averageValue"]),
        ],
    ),
];

/// What Go wrote also where it was zero.
const WRITTEN_ZEROS: [(&str, &str); 7] = [
    ("object", "targetValue"),
    ("pods", "targetAverageValue"),
    ("object", "currentValue"),
    ("pods", "currentAverageValue"),
    ("resource", "currentAverageValue"),
    ("containerResource", "currentAverageValue"),
    ("external", "currentValue"),
];

/// The v2 form of a v1 object.
///
/// # Errors
/// For an annotation that does not say what it ought to.
pub fn to_v2(v1: &Object) -> Result<Object, DecodeError> {
    let mut v2 = Object(json!({"metadata": v1.get(&["metadata"])}));
    copy(v1, &mut v2, "spec", &SHARED_SPEC);
    copy(v1, &mut v2, "status", &SHARED_STATUS);
    let cpu = v1.integer(&["spec", "targetCPUUtilizationPercentage"]);
    let mut metrics: Vec<Value> = cpu.map(cpu_metric).into_iter().collect();
    let others = annotation(v1, METRICS)?.unwrap_or_default();
    metrics.extend(items(&others).map(|metric| renewed(metric, &METRIC_FIELDS)));
    if metrics.is_empty() {
        metrics.push(cpu_metric(DEFAULT_CPU));
    }
    v2.set(&["spec", "metrics"], metrics);
    if let Some(behavior) = annotation(v1, BEHAVIOR)? {
        v2.set(&["spec", "behavior"], with_keys(&behavior, char::to_ascii_lowercase));
    }
    let current = v1.integer(&["status", "currentCPUUtilizationPercentage"]);
    let mut now: Vec<Value> = current.map(current_cpu).into_iter().collect();
    if let Some(told) = annotation(v1, CURRENT_METRICS)? {
        now = items(&told).map(|metric| renewed(metric, &STATUS_FIELDS)).collect();
    }
    if !now.is_empty() {
        v2.set(&["status", "currentMetrics"], now);
    }
    if let Some(conditions) = annotation(v1, CONDITIONS)? {
        v2.set(&["status", "conditions"], conditions);
    }
    for name in [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR] {
        v2.remove(&["metadata", "annotations", name]);
    }
    canonical(v2, "v2")
}

/// The v1 form of a v2 object.
///
/// # Errors
/// The first place where it is no such object; a canonical one has none.
pub fn to_v1(v2: &Object) -> Result<Object, DecodeError> {
    let mut v1 = Object(json!({"metadata": v2.get(&["metadata"])}));
    copy(v2, &mut v1, "spec", &SHARED_SPEC);
    copy(v2, &mut v1, "status", &SHARED_STATUS);
    let metrics = v2.list(&["spec", "metrics"]);
    let of_cpu = |metric: &&Value| metric["type"] == "Resource" && metric["resource"]["name"] == "cpu";
    let target = |metric: &Value| metric["resource"]["target"]["averageUtilization"].as_i64();
    if let Some(percent) = metrics.iter().find(of_cpu).and_then(target) {
        v1.set(&["spec", "targetCPUUtilizationPercentage"], percent);
    }
    let others = metrics.iter().filter(|metric| !of_cpu(metric) || target(metric).is_none());
    let others: Vec<Value> = others.map(|metric| flattened(metric, &METRIC_FIELDS)).collect();
    if !others.is_empty() {
        annotate(&mut v1, METRICS, &others.into());
    }
    if let Some(behavior) = v2.get(&["spec", "behavior"]) {
        annotate(&mut v1, BEHAVIOR, &with_keys(behavior, char::to_ascii_uppercase));
    }
    let now = v2.list(&["status", "currentMetrics"]);
    let current = |metric: &Value| metric["resource"]["current"]["averageUtilization"].as_i64();
    if let Some(percent) = now.iter().filter(of_cpu).filter_map(current).next_back() {
        v1.set(&["status", "currentCPUUtilizationPercentage"], percent);
    }
    if !now.is_empty() {
        let told: Vec<Value> = now.iter().map(|metric| flattened(metric, &STATUS_FIELDS)).collect();
        annotate(&mut v1, CURRENT_METRICS, &told.into());
    }
    if let Some(conditions) = v2.get(&["status", "conditions"]) {
        annotate(&mut v1, CONDITIONS, conditions);
    }
    canonical(v1, "v1")
}

fn copy(from: &Object, to: &mut Object, owner: &str, fields: &[&str]) {
    for field in fields {
        if let Some(value) = from.get(&[owner, field]) {
            to.set(&[owner, field], value.clone());
        }
    }
}

fn canonical(mut object: Object, version: &str) -> Result<Object, DecodeError> {
    const KIND: &str = "HorizontalPodAutoscaler";
    object.set(&["apiVersion"], format!("autoscaling/{version}"));
    object.set(&["kind"], KIND);
    let ty = builtin()
        .lookup_kind("autoscaling", version, KIND)
        .expect("the schema has both versions: a test converts them");
    decode_value(builtin(), ty, object.0).map(|decoded| Object(decoded.value))
}

/// How busy CPUs are to be, in percent.
pub(crate) fn cpu_metric(percent: i64) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn current_cpu(percent: i64) -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}})
}

/// What an annotation says.
fn annotation(v1: &Object, name: &str) -> Result<Option<Value>, DecodeError> {
    let Some(text) = v1.get(&["metadata", "annotations", name]).and_then(Value::as_str) else {
        return Ok(None);
    };
    let parsed = serde_json::from_str(text);
    parsed.map(Some).map_err(|error| DecodeError::Type { message: format!("{name}: {error}") })
}

fn annotate(v1: &mut Object, name: &str, value: &Value) {
    v1.set(&["metadata", "annotations", name], value.to_string());
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The form of the first beta.
fn flattened(metric: &Value, fields: &[(&str, &[Renamed])]) -> Value {
    let mut flat = Map::from_iter([("type".to_owned(), metric["type"].clone())]);
    for (source, names) in fields {
        let Some(part) = metric.get(*source).filter(|part| part.is_object()) else { continue };
        let part = Object(part.clone());
        let present =
            names.iter().filter_map(|(name, path)| Some(((*name).to_owned(), part.get(path)?.clone())));
        let mut named: Map<String, Value> = present.collect();
        for (name, path) in *names {
            if WRITTEN_ZEROS.contains(&(*source, *name)) && part.get(path).is_none() {
                named.insert((*name).to_owned(), "0".into());
            }
        }
        flat.insert((*source).to_owned(), named.into());
    }
    flat.into()
}

/// The form of v2.
fn renewed(flat: &Value, fields: &[(&str, &[Renamed])]) -> Value {
    let mut metric = Object(json!({"type": flat["type"]}));
    for (source, names) in fields {
        let Some(part) = flat.get(*source).filter(|part| part.is_object()) else { continue };
        let mut renewed = Object(json!({}));
        let told = |name: &str| part.get(name).filter(|value| !value.is_null());
        for (name, path) in *names {
            let superfluous =
                *name == "targetValue" && told("averageValue").is_some() && told(name) == Some(&"0".into());
            if let Some(value) = told(name).filter(|_| !superfluous) {
                renewed.set(path, value.clone());
            }
        }
        if renewed.get(&["target"]).is_some() {
            let has = |field: &str| renewed.get(&["target", field]).is_some();
            let kind = match () {
                () if has("averageUtilization") => "Utilization",
                () if has("averageValue") => "AverageValue",
                () => "Value",
            };
            renewed.set(&["target", "type"], kind);
        }
        metric.set(&[source], renewed.0);
    }
    metric.0
}

/// The same with the first letter of each key changed: in annotations, behaviour has the names of Go's fields.
fn with_keys(value: &Value, change: fn(&char) -> char) -> Value {
    match value {
        Value::Object(fields) => {
            let renamed = |key: &str| -> String {
                let mut letters = key.chars();
                letters.next().map(|first| change(&first)).into_iter().chain(letters).collect()
            };
            Value::Object(
                fields.iter().map(|(key, value)| (renamed(key), with_keys(value, change))).collect(),
            )
        }
        Value::Array(items) => items.iter().map(|item| with_keys(item, change)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2() -> Object {
        let metric = |name: &str| json!({"name": name, "selector": {"matchLabels": {"a": "b"}}});
        let reference = json!({"kind": "Service", "name": "web", "apiVersion": "v1"});
        let object = json!({
            "metadata": {"name": "web", "annotations": {"note": "kept"}},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
                "minReplicas": 2, "maxReplicas": 5,
                "metrics": [
                    cpu_metric(70),
                    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                    {"type": "Pods", "pods": {"metric": metric("hits"), "target": {"type": "AverageValue", "averageValue": "10"}}},
                    {"type": "Object", "object": {"describedObject": reference, "metric": metric("load"), "target": {"type": "Value", "value": "7"}}},
                    {"type": "External", "external": {"metric": metric("queue"), "target": {"type": "AverageValue", "averageValue": "30"}}},
                    {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 50}}},
                ],
                "behavior": {"scaleDown": {"selectPolicy": "Max", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
            },
            "status": {
                "currentReplicas": 2, "desiredReplicas": 3,
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 71, "averageValue": "100m"}}}],
                "conditions": [{"type": "AbleToScale", "status": "True"}],
            },
        });
        canonical(Object(object), "v2").unwrap()
    }

    #[test]
    fn v2_comes_back_whole_from_v1() {
        let whole = v2();
        let v1 = to_v1(&whole).unwrap();
        assert_eq!(v1.text(&["apiVersion"]), "autoscaling/v1");
        assert_eq!(v1.integer(&["spec", "targetCPUUtilizationPercentage"]), Some(70));
        assert_eq!(v1.integer(&["status", "currentCPUUtilizationPercentage"]), Some(71));
        let metrics: Value = serde_json::from_str(v1.text(&["metadata", "annotations", METRICS])).unwrap();
        assert_eq!(
            metrics[0],
            json!({"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}})
        );
        let selector = json!({"matchLabels": {"a": "b"}});
        assert_eq!(
            metrics[1],
            json!({"type": "Pods", "pods": {"metricName": "hits", "selector": selector, "targetAverageValue": "10"}})
        );
        let behavior: Value = serde_json::from_str(v1.text(&["metadata", "annotations", BEHAVIOR])).unwrap();
        assert_eq!(
            behavior["ScaleDown"]["Policies"],
            json!([{"Type": "Pods", "Value": 1, "PeriodSeconds": 60}])
        );
        assert_eq!(to_v2(&v1).unwrap(), whole);
    }

    #[test]
    fn v1_that_says_nothing_means_busy_cpus() {
        let v1 = canonical(Object(json!({"spec": {"maxReplicas": 3}})), "v1").unwrap();
        let metrics = to_v2(&v1).unwrap().0["spec"]["metrics"].clone();
        assert_eq!(
            metrics[0]["resource"]["target"],
            json!({"type": "Utilization", "averageUtilization": 80})
        );
    }

    #[test]
    fn an_annotation_that_is_no_json_is_refused() {
        let mut v1 = canonical(Object(json!({"spec": {"maxReplicas": 3}})), "v1").unwrap();
        v1.set(&["metadata", "annotations", METRICS], "[{");
        assert!(to_v2(&v1).unwrap_err().to_string().contains(METRICS));
        v1.set(&["metadata", "annotations", METRICS], "[{\"type\": 5}]");
        assert!(to_v2(&v1).is_err());
    }
}
