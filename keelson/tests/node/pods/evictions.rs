//! Evictions: budgets say how many pods may go, and are true again when others have come.

use serde_json::Value;

use crate::manifests::{LISTENS, web_servers};
use crate::space::Space;
use crate::wait;

const BUDGET: &str = r#"
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  maxUnavailable: 1
  selector: {matchLabels: {app: web}}
"#;

/// Asks for a pod's eviction, as `kubectl drain` does; what was refused, if it was.
fn evict(space: &Space<'_>, pod: &str) -> Result<(), String> {
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", space.name);
    let eviction =
        format!(r#"{{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {{"name": "{pod}"}}}}"#);
    let printed = space.run_with(&["create", "--raw", &path, "-f", "-"], &eviction);
    if printed.succeeded { Ok(()) } else { Err(printed.err) }
}

fn until_allowed(space: &Space<'_>, allowed: u64) {
    wait::until("the budget is counted", || {
        let budget = space
            .lab
            .api
            .get(&format!("/apis/policy/v1/namespaces/{}/poddisruptionbudgets/web", space.name))?;
        let status = &budget["status"];
        let is_so = status["disruptionsAllowed"] == allowed && status["currentHealthy"] == 1 + allowed;
        if is_so { Ok(()) } else { Err(status.to_string()) }
    });
}

pub(super) fn budgets_are_kept(space: &Space<'_>) {
    space.apply(&web_servers(LISTENS));
    space.apply(BUDGET);
    until_allowed(space, 1);
    let names: Vec<String> = space
        .pods("app", "web")
        .unwrap()
        .iter()
        .map(|pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    let [first, second] = names.as_slice() else { panic!("{names:?}") };
    evict(space, first).unwrap();
    let refused = evict(space, second).unwrap_err();
    assert!(
        refused.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{refused}"
    );

    until_allowed(space, 1);
    evict(space, second).unwrap();
}
