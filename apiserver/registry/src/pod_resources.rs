//! What a pod as a whole asks for and is limited to.
//!
//! In: a pod. Out: amounts by resource: those of its containers, together or of the largest that runs before them, and
//! what its runtime costs.
//!
//! Source: `k8s.io/component-helpers/resource`.

use std::collections::BTreeMap;

use keelson_api_schema::quantity::{Format, Quantity};
use serde_json::Value;

/// Amounts by the names of resources.
pub type Amounts = BTreeMap<String, Quantity>;

/// Which amounts of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What it asks for.
    Requests,
    /// What it is limited to.
    Limits,
}

impl Side {
    /// The field of a container's `resources`.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        }
    }
}

/// The amounts of an object of names and texts. What is no amount is left out.
pub fn amounts(list: &Value) -> Amounts {
    let entries = list.as_object().into_iter().flatten();
    let read = |(name, text): (&String, &Value)| Some((name.clone(), Quantity::parse(text.as_str()?).ok()?));
    entries.filter_map(read).collect()
}

/// What the containers of the pod with this spec ask for or are limited to.
pub fn of_containers(spec: &Value, side: Side) -> Amounts {
    let list = |name: &str| spec[name].as_array().map_or(&[][..], Vec::as_slice);
    let of = |container: &Value| amounts(&container["resources"][side.field()]);
    let mut sum = Amounts::new();
    list("containers").iter().for_each(|container| add(&mut sum, &of(container)));
    // What runs before the others needs its own amounts, and those of the helpers that stay.
    let (mut helpers, mut most) = (Amounts::new(), Amounts::new());
    for container in list("initContainers") {
        let own = of(container);
        if container["restartPolicy"] == "Always" {
            add(&mut sum, &own);
            add(&mut helpers, &own);
            raise(&mut most, &helpers);
        } else {
            let mut alone = helpers.clone();
            add(&mut alone, &own);
            raise(&mut most, &alone);
        }
    }
    raise(&mut sum, &most);
    sum
}

/// What the pod with this spec asks for or is limited to.
pub fn total(spec: &Value, side: Side) -> Amounts {
    let mut sum = of_containers(spec, side);
    // What is said of the whole pod counts instead.
    sum.extend(amounts(&spec["resources"][side.field()]));
    for (name, cost) in amounts(&spec["overhead"]) {
        match side {
            Side::Requests => add(&mut sum, &Amounts::from([(name, cost)])),
            Side::Limits => {
                if let Some(limit) = sum.get_mut(&name).filter(|limit| !limit.is_zero()) {
                    *limit = *limit + cost;
                }
            }
        }
    }
    sum
}

/// Adds amounts to others.
pub fn add(sum: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let zero = Quantity::from_int(0, amount.format());
        let entry = sum.entry(name.clone()).or_insert(zero);
        *entry = *entry + *amount;
    }
}

/// One of something.
pub fn one() -> Quantity {
    Quantity::from_int(1, Format::DecimalSi)
}

fn raise(sum: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let entry = sum.entry(name.clone()).or_insert(*amount);
        *entry = (*entry).max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_needs_what_runs_together_or_the_most_that_runs_before() {
        let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}});
        let mut helper = container("1");
        helper["restartPolicy"] = "Always".into();
        let spec = json!({
            "containers": [container("1"), container("500m")],
            "initContainers": [helper, container("2")],
            "overhead": {"cpu": "100m", "memory": "1Mi"},
        });
        let text = |side: Side, name: &str| total(&spec, side).get(name).map(ToString::to_string);
        assert_eq!(
            text(Side::Requests, "cpu").as_deref(),
            Some("3100m"),
            "the second to start beside the helper"
        );
        assert_eq!(text(Side::Requests, "memory").as_deref(), Some("1Mi"));
        assert_eq!(text(Side::Limits, "memory"), None, "a cost is no limit");
        let mut whole = spec.clone();
        whole["resources"] = json!({"requests": {"cpu": "10"}});
        assert_eq!(total(&whole, Side::Requests)["cpu"].to_string(), "10100m");
    }
}
