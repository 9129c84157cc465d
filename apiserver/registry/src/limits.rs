//! What a LimitRange does to pods and claims: amounts for containers that say none, and bounds for those that do.
//!
//! In: a LimitRange, and a pod or a claim. Out: the pod with amounts, or what is wrong in upstream's words.
//!
//! Source: `plugin/pkg/admission/limitranger`.

use keelson_api_schema::quantity::Quantity;
use serde_json::{Value, json};

use crate::{
    object::Object,
    pod_resources::{Amounts, Side, amounts, total},
};

/// The annotation that tells what was set.
const ANNOTATION: [&str; 3] = ["metadata", "annotations", "kubernetes.io/limit-ranger"];

/// Up to here ratios are compared in thousandths.
const FINE_RATIO_MAX: i64 = i64::MAX / 1000;

/// Gives the containers of a pod what they do not ask for and the range has for them.
pub fn set_defaults(range: &Object, pod: &mut Object) {
    let mut told = Vec::new();
    let items = range.list(&["spec", "limits"]).iter().filter(|item| item["type"] == "Container");
    // Of several items the last one counts, name by name.
    let merged = |field: &str| -> serde_json::Map<String, Value> {
        items
            .clone()
            .filter_map(|item| item[field].as_object())
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    let (requests, limits) = (merged("defaultRequest"), merged("default"));
    for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
        if pod.list(&["spec", list]).is_empty() {
            continue;
        }
        let containers = pod.slot(&["spec", list]).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter(|container| container.is_object()) {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            for (field, word, defaults) in [("requests", "request", &requests), ("limits", "limit", &limits)]
            {
                let set = fill(container, field, defaults);
                if !set.is_empty() {
                    told.push(format!("{} {word} for {what} {name}", set.join(", ")));
                }
            }
        }
    }
    if !told.is_empty() {
        pod.set(&ANNOTATION, format!("LimitRanger plugin set: {}", told.join("; ")));
    }
}

fn fill<'d>(
    container: &mut Value,
    field: &str,
    defaults: &'d serde_json::Map<String, Value>,
) -> Vec<&'d str> {
    let mut set = Vec::new();
    for (name, amount) in defaults {
        if !container["resources"][field][name].is_null() {
            continue;
        }
        for place in [&["resources"][..], &["resources", field]] {
            let slot = place.iter().fold(&mut *container, |value, name| &mut value[*name]);
            if !slot.is_object() {
                *slot = json!({});
            }
        }
        container["resources"][field][name] = amount.clone();
        set.push(name.as_str());
    }
    set.sort_unstable();
    set
}

/// What is wrong with a pod.
pub fn wrong_with_pod(range: &Object, pod: &Object) -> Vec<String> {
    let mut wrong = Vec::new();
    for item in range.list(&["spec", "limits"]) {
        match item["type"].as_str() {
            Some("Container") => {
                for container in
                    ["containers", "initContainers"].iter().flat_map(|list| pod.list(&["spec", list]))
                {
                    let resources = &container["resources"];
                    let (requests, limits) = (amounts(&resources["requests"]), amounts(&resources["limits"]));
                    check(item, &requests, &limits, &mut wrong);
                }
            }
            Some("Pod") => {
                let spec = pod.get(&["spec"]).unwrap_or(&Value::Null);
                check(item, &total(spec, Side::Requests), &total(spec, Side::Limits), &mut wrong);
            }
            _ => {}
        }
    }
    wrong
}

/// What is wrong with a claim.
pub fn wrong_with_claim(range: &Object, claim: &Object) -> Vec<String> {
    let requests = amounts(claim.get(&["spec", "resources", "requests"]).unwrap_or(&Value::Null));
    let mut wrong = Vec::new();
    let items = range.list(&["spec", "limits"]).iter();
    for item in items.filter(|item| item["type"] == "PersistentVolumeClaim") {
        for (name, bound) in amounts(&item["min"]) {
            let bound = Bound { kind: "PersistentVolumeClaim", name: &name, bound };
            bound.least(requests.get(&name), None, &mut wrong);
        }
        for (name, bound) in amounts(&item["max"]) {
            let bound = Bound { kind: "PersistentVolumeClaim", name: &name, bound };
            bound.most_requested(requests.get(&name), &mut wrong);
        }
    }
    wrong
}

fn check(item: &Value, requests: &Amounts, limits: &Amounts, wrong: &mut Vec<String>) {
    let kind = item["type"].as_str().unwrap_or_default();
    let bounds = |field: &str| amounts(&item[field]);
    for (name, bound) in bounds("min") {
        Bound { kind, name: &name, bound }.least(requests.get(&name), limits.get(&name), wrong);
    }
    for (name, bound) in bounds("max") {
        Bound { kind, name: &name, bound }.most(requests.get(&name), limits.get(&name), wrong);
    }
    for (name, bound) in bounds("maxLimitRequestRatio") {
        Bound { kind, name: &name, bound }.ratio(requests.get(&name), limits.get(&name), wrong);
    }
}

/// A bound of one resource for things of a kind.
struct Bound<'a> {
    kind: &'a str,
    name: &'a str,
    bound: Quantity,
}

impl Bound<'_> {
    fn least(&self, request: Option<&Quantity>, limit: Option<&Quantity>, wrong: &mut Vec<String>) {
        let Self { kind, name, bound } = self;
        let start = format!("minimum {name} usage per {kind} is {bound}");
        match (request, limit) {
            (None, _) => wrong.push(format!("{start}.  No request is specified")),
            (Some(request), _) if request < bound => wrong.push(format!("{start}, but request is {request}")),
            (Some(_), Some(limit)) if limit < bound => wrong.push(format!("{start}, but limit is {limit}")),
            (Some(_), _) => {}
        }
    }

    fn most(&self, request: Option<&Quantity>, limit: Option<&Quantity>, wrong: &mut Vec<String>) {
        let Self { kind, name, bound } = self;
        let start = format!("maximum {name} usage per {kind} is {bound}");
        match (limit, request) {
            (None, _) => wrong.push(format!("{start}.  No limit is specified")),
            (Some(limit), _) if limit > bound => wrong.push(format!("{start}, but limit is {limit}")),
            (Some(_), Some(request)) if request > bound => {
                wrong.push(format!("{start}, but request is {request}"));
            }
            (Some(_), _) => {}
        }
    }

    fn most_requested(&self, request: Option<&Quantity>, wrong: &mut Vec<String>) {
        let Self { kind, name, bound } = self;
        let start = format!("maximum {name} usage per {kind} is {bound}");
        match request {
            None => wrong.push(format!("{start}.  No request is specified")),
            Some(request) if request > bound => wrong.push(format!("{start}, but request is {request}")),
            Some(_) => {}
        }
    }

    fn ratio(&self, request: Option<&Quantity>, limit: Option<&Quantity>, wrong: &mut Vec<String>) {
        let Self { kind, name, bound } = self;
        let start = format!("{name} max limit to request ratio per {kind} is {bound}, but ");
        let Some(request) = request.filter(|request| !request.is_zero()) else {
            wrong.push(format!("{start}no request is specified or request is 0"));
            return;
        };
        let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
            wrong.push(format!("{start}no limit is specified or limit is 0"));
            return;
        };
        let ratio = limit.approximate() / request.approximate();
        let most = if bound.value() <= FINE_RATIO_MAX { bound.approximate() } else { f64::INFINITY };
        if ratio > most {
            wrong.push(format!("{start}provided ratio is {ratio:.6}"));
        }
    }
}

/// Several complaints in one text, as upstream joins them.
pub fn joined(wrong: &[String]) -> String {
    match wrong {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(item: &Value) -> Object {
        Object(json!({"spec": {"limits": [item]}}))
    }

    fn pod(resources: &Value) -> Object {
        Object(json!({"spec": {"containers": [{"name": "a", "resources": resources}]}}))
    }

    #[test]
    fn containers_get_what_they_do_not_ask_for() {
        let item = json!({
            "type": "Container", "default": {"cpu": "500m", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"},
        });
        let mut object = pod(&json!({"limits": {"cpu": "1"}}));
        set_defaults(&range(&item), &mut object);
        assert_eq!(
            object.0["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}})
        );
        assert_eq!(
            object.text(&ANNOTATION),
            "LimitRanger plugin set: cpu request for container a; memory limit for container a"
        );
        let mut full = pod(&json!({"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1"}}));
        set_defaults(&range(&item), &mut full);
        assert_eq!(full.get(&ANNOTATION), None);
    }

    #[test]
    fn bounds_are_told_in_upstreams_words() {
        let cases = [
            (
                json!({"type": "Container", "min": {"cpu": "50m"}}),
                json!({"requests": {"cpu": "10m"}}),
                "minimum cpu usage per Container is 50m, but request is 10m",
            ),
            (
                json!({"type": "Container", "min": {"cpu": "50m"}}),
                json!({}),
                "minimum cpu usage per Container is 50m.  No request is specified",
            ),
            (
                json!({"type": "Container", "max": {"cpu": "1"}}),
                json!({"limits": {"cpu": "2"}}),
                "maximum cpu usage per Container is 1, but limit is 2",
            ),
            (
                json!({"type": "Pod", "max": {"cpu": "1"}}),
                json!({}),
                "maximum cpu usage per Pod is 1.  No limit is specified",
            ),
            (
                json!({"type": "Pod", "max": {"cpu": "1"}}),
                json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
                "maximum cpu usage per Pod is 1, but request is 2",
            ),
            (
                json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"limits": {"cpu": "3"}, "requests": {"cpu": "1"}}),
                "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
            ),
        ];
        for (item, resources, text) in cases {
            assert_eq!(wrong_with_pod(&range(&item), &pod(&resources)), [text]);
        }
        let ok = json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}});
        assert_eq!(
            wrong_with_pod(&range(&json!({"type": "Container", "max": {"cpu": "1"}})), &pod(&ok)),
            [""; 0]
        );
    }

    #[test]
    fn claims_have_a_size() {
        let bounds = range(
            &json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}}),
        );
        let wrong = |size: &str| {
            wrong_with_claim(
                &bounds,
                &Object(json!({"spec": {"resources": {"requests": {"storage": size}}}})),
            )
        };
        assert_eq!(wrong("2Gi"), [""; 0]);
        assert_eq!(
            wrong("1Mi"),
            ["minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"]
        );
        assert_eq!(
            joined(&wrong("9Gi")),
            "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 9Gi"
        );
        assert_eq!(joined(&["a".to_owned(), "b".to_owned()]), "[a, b]");
    }
}
