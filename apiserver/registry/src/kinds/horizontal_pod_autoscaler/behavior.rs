//! How fast replicas come and go when somebody has said something about it.
//!
//! In: what was said. Out: the rest, as upstream chooses it. Who says nothing at all gets nothing: the controller knows
//! what it does then.
//!
//! Source: `pkg/apis/autoscaling/v2/defaults.go`.

use serde_json::{Value, json};

use crate::object::Object;

/// Fills in both directions.
pub(super) fn default(object: &mut Object) {
    if object.get(&["spec", "behavior"]).is_none() {
        return;
    }
    let all = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    object.set_default(&["spec", "behavior", "scaleUp", "stabilizationWindowSeconds"], 0);
    direction(object, "scaleUp", json!([four, all]));
    direction(object, "scaleDown", json!([all]));
}

fn direction(object: &mut Object, direction: &str, policies: Value) {
    let field = |name| ["spec", "behavior", direction, name];
    object.set_default(&field("selectPolicy"), "Max");
    object.set_default(&field("policies"), policies);
}
