//! A new node takes no pods until somebody has seen that it is ready: the controller of nodes takes the taint away.
//!
//! Source: `plugin/pkg/admission/nodetaint` of Kubernetes.

use keelson_api_registry::object::Object;
use serde_json::{Value, json};

use super::{Attributes, Mutate, Operation, Verdict};

const TAINTS: [&str; 2] = ["spec", "taints"];

/// What the node is tainted with.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// The admission step.
pub(super) struct TaintNodesByCondition;

impl Mutate for TaintNodesByCondition {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.operation == Operation::Create && write.is_core("nodes")
    }

    fn mutate<'a>(&'a self, _write: &'a Attributes<'a>, node: &'a mut Object) -> Verdict<'a> {
        add_taint(node);
        Box::pin(std::future::ready(Ok(())))
    }
}

fn add_taint(node: &mut Object) {
    let is_it = |taint: &Value| taint["key"] == NOT_READY && taint["effect"] == "NoSchedule";
    let mut taints = node.list(&TAINTS).to_vec();
    if !taints.iter().any(is_it) {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
        node.set(&TAINTS, taints);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_tainted_once() {
        let mut node = Object(json!({"spec": {"taints": [{"key": "own", "effect": "NoSchedule"}]}}));
        add_taint(&mut node);
        add_taint(&mut node);
        let keys: Vec<&Value> = node.list(&TAINTS).iter().map(|taint| &taint["key"]).collect();
        assert_eq!(keys, ["own", NOT_READY]);
    }
}
