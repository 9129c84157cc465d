//! Which pods a budget protects, and how it counts.

use super::*;

const NOW: &str = "2026-11-26T12:00:00Z";

fn pod(phase: &str, ready: bool) -> Object {
    let status = if ready { "True" } else { "False" };
    Object(json!({
        "metadata": {"name": "web-1", "namespace": "shop", "generation": 1, "labels": {"app": "web"}},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": status}]},
    }))
}

fn budget(allowed: i64) -> Object {
    Object(json!({
        "metadata": {"name": "web", "namespace": "shop", "generation": 3},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": {
            "observedGeneration": 3, "disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 2,
            "expectedPods": 3,
        },
    }))
}

fn cause(error: &ApiError) -> &str {
    assert_eq!(error.message, "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!((error.code.as_u16(), error.reason), (429, "TooManyRequests"));
    assert_eq!(error.details.causes[0].reason, "DisruptionBudget");
    &error.details.causes[0].message
}

#[test]
fn who_does_not_run_is_protected_by_no_budget() {
    let budgets = [budget(0)];
    assert_eq!(plan(&pod("Succeeded", false), &budgets).unwrap(), Plan::Delete);
    assert_eq!(plan(&pod("Failed", false), &budgets).unwrap(), Plan::Delete);
    assert_eq!(plan(&pod("Pending", false), &budgets).unwrap(), Plan::DeleteUnchanged);
    let mut leaving = pod("Running", true);
    leaving.set(&["metadata", "deletionTimestamp"], NOW);
    assert_eq!(plan(&leaving, &budgets).unwrap(), Plan::Delete);
    assert_eq!(plan(&pod("Running", true), &budgets).unwrap(), Plan::Count("web".to_owned()));
}

#[test]
fn a_budget_without_a_selector_covers_nothing_and_one_with_an_empty_one_everything() {
    let mut everything = budget(0);
    everything.set(&["spec", "selector"], json!({}));
    let mut nothing = budget(0);
    nothing.remove(&["spec", "selector"]);
    let mut others = budget(0);
    others.set(&["spec", "selector", "matchLabels", "app"], "api");
    assert_eq!(plan(&pod("Running", true), &[nothing, others]).unwrap(), Plan::Delete);
    assert_eq!(plan(&pod("Running", true), &[everything]).unwrap(), Plan::Count("web".to_owned()));
}

#[test]
fn two_budgets_are_one_too_many() {
    let error = plan(&pod("Running", true), &[budget(1), budget(1)]).unwrap_err();
    assert_eq!((error.code.as_u16(), error.reason), (500, ""));
    assert!(error.message.starts_with("This pod has more than one PodDisruptionBudget"), "{}", error.message);
}

#[test]
fn a_pod_that_is_not_ready_goes_while_the_others_suffice_or_whenever_the_policy_says_so() {
    let sick = pod("Running", false);
    assert_eq!(plan(&sick, &[budget(0)]).unwrap(), Plan::DeleteUnchanged);
    let mut short = budget(0);
    short.set(&["status", "currentHealthy"], 1);
    assert_eq!(plan(&sick, &[short.clone()]).unwrap(), Plan::Count("web".to_owned()));
    short.set(&["spec", "unhealthyPodEvictionPolicy"], "AlwaysAllow");
    assert_eq!(plan(&sick, &[short]).unwrap(), Plan::DeleteUnchanged);
}

#[test]
fn a_counted_pod_is_remembered_and_the_last_one_closes_the_budget() {
    let counted = count(&budget(2), "web-1", NOW).unwrap();
    assert_eq!(counted.0["status"]["disruptionsAllowed"], 1);
    assert_eq!(counted.0["status"]["disruptedPods"], json!({"web-1": NOW}));
    assert_eq!(counted.get(&["status", "conditions"]), None);
    let last = count(&counted, "web-2", NOW).unwrap();
    assert_eq!(last.0["status"]["disruptionsAllowed"], 0);
    assert_eq!(last.map(&["status", "disruptedPods"]).unwrap().len(), 2);
    let condition = &last.0["status"]["conditions"][0];
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("InsufficientPods")));
    let refused = count(&last, "web-3", NOW).unwrap_err();
    assert_eq!(cause(&refused), "The disruption budget web needs 2 healthy pods and has 2 currently");
    assert_eq!(refused.details.retry_after_seconds, 0);
}

#[test]
fn a_budget_that_nobody_has_looked_at_allows_nothing_yet() {
    let mut new = budget(1);
    new.set(&["metadata", "generation"], 4);
    let refused = count(&new, "web-1", NOW).unwrap_err();
    assert_eq!(cause(&refused), "The disruption budget web is still being processed by the server.");
    assert_eq!(refused.details.retry_after_seconds, 10);
}

#[test]
fn why_a_budget_allows_nothing_is_told() {
    let mut failed = budget(0);
    failed.set(
        &["status", "conditions"],
        json!([{"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale"}]),
    );
    let told =
        "The disruption budget web does not allow evicting pods currently because it failed sync: no scale";
    assert_eq!(cause(&count(&failed, "web-1", NOW).unwrap_err()), told);
    let mut enough = budget(0);
    enough.set(&["status", "currentHealthy"], 3);
    let told = "The disruption budget web does not allow evicting pods currently";
    assert_eq!(cause(&count(&enough, "web-1", NOW).unwrap_err()), told);
    let negative = count(&budget(-1), "web-1", NOW).unwrap_err();
    let message = "poddisruptionbudget.policy \"web\" is forbidden: pdb disruptions allowed is negative";
    assert_eq!((negative.code.as_u16(), negative.message.as_str()), (403, message));
}

#[test]
fn an_evicted_pod_says_so() {
    let once = marked(&pod("Running", true), NOW);
    let conditions = once.list(&["status", "conditions"]);
    assert_eq!(conditions.len(), 2);
    assert_eq!(conditions[1]["type"], "DisruptionTarget");
    assert_eq!(conditions[1]["reason"], "EvictionByEvictionAPI");
    assert_eq!(marked(&once, NOW), once);
}
