//! How well a pod is served when its node runs out: its quality-of-service class.
//!
//! Source: `pkg/apis/core/v1/helper/qos`.

use std::collections::BTreeMap;

use keelson_api_schema::quantity::Quantity;
use serde_json::Value;

/// The resources that count.
const COUNTED: [&str; 2] = ["cpu", "memory"];

type Amounts<'v> = BTreeMap<&'v str, Quantity>;

/// The class of a pod with this spec.
pub(crate) fn class(spec: &Value) -> &'static str {
    let whole = &spec["resources"];
    let has = |list: &str| whole[list].as_object().is_some_and(|amounts| !amounts.is_empty());
    if has("requests") || has("limits") {
        return decide([whole].into_iter());
    }
    let lists = ["containers", "initContainers"].into_iter();
    let containers = lists.flat_map(|list| spec[list].as_array().into_iter().flatten());
    decide(containers.map(|container| &container["resources"]))
}

fn decide<'v>(resources: impl Iterator<Item = &'v Value>) -> &'static str {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    let mut all_limited = true;
    for resources in resources {
        add(&resources["requests"], &mut requests);
        all_limited &= add(&resources["limits"], &mut limits) == COUNTED.len();
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    if all_limited && requests == limits { "Guaranteed" } else { "Burstable" }
}

/// Adds the amounts that count, and says how many there were.
fn add<'v>(list: &'v Value, sums: &mut Amounts<'v>) -> usize {
    let mut found = 0;
    for name in COUNTED {
        let amount = list[name].as_str().and_then(|text| Quantity::parse(text).ok());
        let Some(amount) = amount.filter(|amount| amount.signum() > 0) else { continue };
        found += 1;
        let sum = sums.entry(name).or_insert_with(|| Quantity::from_int(0, amount.format()));
        *sum = *sum + amount;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes() {
        let pod = |containers: Value| class(&json!({ "containers": containers }));
        let full = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(pod(json!([{}])), "BestEffort");
        assert_eq!(pod(json!([{"resources": {"requests": {"cpu": "0"}}}])), "BestEffort");
        assert_eq!(pod(json!([{"resources": {"requests": {"cpu": "1"}}}])), "Burstable");
        assert_eq!(pod(json!([{"resources": {"requests": full, "limits": full}}])), "Guaranteed");
        assert_eq!(pod(json!([{"resources": {"requests": full, "limits": full}}, {}])), "Burstable");
        let low = json!({"cpu": "500m", "memory": "1Gi"});
        assert_eq!(pod(json!([{"resources": {"requests": low, "limits": full}}])), "Burstable");
        assert_eq!(
            class(&json!({"containers": [{}], "resources": {"requests": full, "limits": full}})),
            "Guaranteed"
        );
    }
}
