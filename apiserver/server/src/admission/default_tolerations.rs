//! Pods stay for five minutes on a node that is not ready or not reachable, unless they say otherwise.
//!
//! Source: `plugin/pkg/admission/defaulttolerationseconds` of Kubernetes.

use keelson_api_registry::object::Object;
use serde_json::{Value, json};

use super::{Attributes, Mutate, Operation, Verdict};

/// How long, in seconds.
const PATIENCE_SECONDS: i64 = 300;

/// What a node that is in trouble is tainted with.
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The admission step.
pub(super) struct DefaultTolerationSeconds;

impl Mutate for DefaultTolerationSeconds {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.operation != Operation::Delete && write.is_core("pods")
    }

    fn mutate<'a>(&'a self, _write: &'a Attributes<'a>, pod: &'a mut Object) -> Verdict<'a> {
        add_tolerations(pod);
        Box::pin(std::future::ready(Ok(())))
    }
}

fn add_tolerations(pod: &mut Object) {
    const TOLERATIONS: [&str; 2] = ["spec", "tolerations"];
    let mut tolerations = pod.list(&TOLERATIONS).to_vec();
    let missing = TAINTS.into_iter().filter(|taint| !tolerations.iter().any(|known| tolerates(known, taint)));
    let added: Vec<_> = missing.map(toleration).collect();
    if !added.is_empty() {
        tolerations.extend(added);
        pod.set(&TOLERATIONS, tolerations);
    }
}

fn tolerates(toleration: &Value, taint: &str) -> bool {
    let text = |field: &str| toleration.get(field).and_then(Value::as_str).unwrap_or_default();
    (text("key") == taint || text("key").is_empty()) && matches!(text("effect"), "NoExecute" | "")
}

fn toleration(taint: &str) -> Value {
    json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": PATIENCE_SECONDS})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerations(given: Value) -> Vec<Value> {
        let mut pod = Object::default();
        pod.set(&["spec", "tolerations"], given);
        add_tolerations(&mut pod);
        pod.list(&["spec", "tolerations"]).to_vec()
    }

    #[test]
    fn both_troubles_are_tolerated_for_five_minutes() {
        assert_eq!(tolerations(Value::Null), TAINTS.map(toleration));
    }

    #[test]
    fn what_a_pod_says_itself_counts() {
        let own =
            json!({"key": TAINTS[0], "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5});
        assert_eq!(tolerations(json!([own])), [own, toleration(TAINTS[1])]);
        let everything = json!({"operator": "Exists"});
        assert_eq!(tolerations(json!([everything])), [everything]);
        let other_effect = json!({"key": TAINTS[0], "effect": "NoSchedule"});
        assert_eq!(tolerations(json!([other_effect])).len(), 3);
    }
}
