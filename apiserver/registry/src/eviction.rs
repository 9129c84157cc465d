//! Evictions: whether a pod may be deleted although somebody wants so many of its kind to stay.
//!
//! In: a pod, and the PodDisruptionBudgets of its namespace. Out: whether it is deleted at once, or which budget has
//! to count it first; a budget that has counted one more; or a refusal in upstream's words.
//!
//! Deliberately absent: reading and writing the objects, and what to do when they have changed meanwhile.
//!
//! Source: `pkg/registry/core/pod/storage/eviction.go` of Kubernetes.

use http::StatusCode;
use keelson_api_schema::selector::LabelSelector;
use serde_json::{Value, json};

use crate::{
    object::Object,
    status::{ApiError, Cause},
};

/// How many pods a budget remembers as evicted before its controller has confirmed them.
const MAX_UNCONFIRMED: usize = 2000;

/// When to try again while a budget has not been looked at by its controller, in seconds.
const RETRY_SECONDS: u32 = 10;

/// What is to be done about an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Delete the pod, whatever has become of it since it was looked at.
    Delete,
    /// Delete the pod as it was looked at: as another one, it might count for a budget.
    DeleteUnchanged,
    /// Let the budget of this name count the pod ([`count`]), then delete it.
    Count(String),
}

/// Decides about an eviction. `budgets` are those of the pod's namespace.
///
/// # Errors
/// 500 for a pod with more than one budget.
pub fn plan(pod: &Object, budgets: &[Object]) -> Result<Plan, ApiError> {
    let phase = pod.text(&["status", "phase"]);
    if matches!(phase, "Failed" | "Succeeded") || pod.is_being_deleted() {
        return Ok(Plan::Delete);
    }
    if phase == "Pending" {
        return Ok(Plan::DeleteUnchanged);
    }
    let mut covering = budgets.iter().filter(|budget| covers(budget, pod));
    let Some(budget) = covering.next() else { return Ok(Plan::Delete) };
    if covering.next().is_some() {
        let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "", why));
    }
    if !is_ready(pod) && spares_unhealthy(budget) {
        return Ok(Plan::DeleteUnchanged);
    }
    Ok(Plan::Count(budget.name().to_owned()))
}

/// The budget once it has counted the eviction of `pod` at `now`, an RFC 3339 time.
///
/// # Errors
/// 429 when it allows none, or its controller has yet to look at it; 403 when its status cannot be true.
pub fn count(budget: &Object, pod: &str, now: &str) -> Result<Object, ApiError> {
    let status = |field: &str| budget.integer(&["status", field]).unwrap_or(0);
    if status("observedGeneration") < budget.generation() {
        return Err(not_looked_at(budget.name()));
    }
    let allowed = status("disruptionsAllowed");
    if allowed < 0 {
        return Err(forbidden(budget, "pdb disruptions allowed is negative"));
    }
    if budget.map(&["status", "disruptedPods"]).is_some_and(|pods| pods.len() > MAX_UNCONFIRMED) {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(forbidden(budget, why));
    }
    if allowed == 0 {
        return Err(too_many(why_none(budget), 0));
    }
    let mut counted = budget.clone();
    counted.set(&["status", "disruptionsAllowed"], allowed - 1);
    counted.set(&["status", "disruptedPods", pod], now);
    if allowed == 1 {
        allow_no_more(&mut counted, now);
    }
    Ok(counted)
}

/// The pod with the condition that says that it is evicted.
#[must_use]
pub fn marked(pod: &Object, now: &str) -> Object {
    let mut marked = pod.clone();
    set_condition(
        &mut marked,
        json!({
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastTransitionTime": now, "lastProbeTime": null,
            "observedGeneration": pod.generation(),
        }),
    );
    marked
}

/// 429: the budget's controller has yet to see what it is now.
fn not_looked_at(budget: &str) -> ApiError {
    let why = format!("The disruption budget {budget} is still being processed by the server.");
    too_many(why, RETRY_SECONDS)
}

fn too_many(why: String, retry_after_seconds: u32) -> ApiError {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
    error.details.causes.push(Cause { reason: "DisruptionBudget", message: why, field: String::new() });
    error.details.retry_after_seconds = retry_after_seconds;
    error
}

fn forbidden(budget: &Object, why: &str) -> ApiError {
    let name = budget.name();
    let message = format!("poddisruptionbudget.policy {name:?} is forbidden: {why}");
    ApiError::forbidden(message).about("policy", "poddisruptionbudget", name)
}

/// A budget without a selector covers nothing, one with an empty selector all of its namespace.
fn covers(budget: &Object, pod: &Object) -> bool {
    let selector = budget.get(&["spec", "selector"]).map(LabelSelector::from_object);
    matches!(selector, Some(Ok(selector)) if selector.matches_labels(pod.labels()))
}

fn is_ready(pod: &Object) -> bool {
    let conditions = pod.list(&["status", "conditions"]).iter();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Whether a pod that is not ready does not count: it is no loss to the budget.
fn spares_unhealthy(budget: &Object) -> bool {
    let status = |field: &str| budget.integer(&["status", field]).unwrap_or(0);
    let (healthy, wanted) = (status("currentHealthy"), status("desiredHealthy"));
    budget.text(&["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow" || (healthy >= wanted && wanted > 0)
}

/// Why a budget allows no eviction now.
fn why_none(budget: &Object) -> String {
    let name = budget.name();
    let status = |field: &str| budget.integer(&["status", field]).unwrap_or(0);
    let (healthy, wanted) = (status("currentHealthy"), status("desiredHealthy"));
    let told = |condition: &&Value| {
        condition["type"] == "DisruptionAllowed"
            && condition["status"] == "False"
            && condition["message"].as_str().is_some_and(|message| !message.is_empty())
    };
    let condition = budget.list(&["status", "conditions"]).iter().find(told);
    let text = |field: &str| condition.and_then(|condition| condition[field].as_str()).unwrap_or_default();
    let start = format!("The disruption budget {name}");
    if text("reason") == "SyncFailed" {
        // The counts are not to be trusted then.
        format!("{start} does not allow evicting pods currently because it failed sync: {}", text("message"))
    } else if healthy <= wanted {
        format!("{start} needs {wanted} healthy pods and has {healthy} currently")
    } else if condition.is_some() {
        format!("{start} does not allow evicting pods currently ({}): {}", text("reason"), text("message"))
    } else {
        format!("{start} does not allow evicting pods currently")
    }
}

/// Says in the budget's conditions that it allows no more.
fn allow_no_more(budget: &mut Object, now: &str) {
    let known = budget.list(&["status", "conditions"]).iter();
    let mut known = known.filter(|condition| condition["type"] == "DisruptionAllowed");
    let since = known.find(|condition| condition["status"] == "False");
    let since =
        since.and_then(|condition| condition["lastTransitionTime"].as_str()).unwrap_or(now).to_owned();
    let generation = budget.integer(&["status", "observedGeneration"]).unwrap_or(0);
    set_condition(
        budget,
        json!({
            "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
            "lastTransitionTime": since, "observedGeneration": generation,
        }),
    );
}

/// Puts a condition in the place of the one of its type.
fn set_condition(object: &mut Object, condition: Value) {
    let mut conditions = object.list(&["status", "conditions"]).to_vec();
    match conditions.iter_mut().find(|known| known["type"] == condition["type"]) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    object.set(&["status", "conditions"], conditions);
}

#[cfg(test)]
mod tests;
