//! What a budget's status is to say: pure.
//!
//! In: a budget, its pods, how many its controllers want, and the time. Out: the status; when to look again; the pods
//! that were evicted and are still there. A status that has not been computed allows no disruption.
//!
//! Source: `pkg/controller/disruption/disruption.go` of Kubernetes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;

use crate::pod_state::is_ready;
use crate::proportion::{Round, scaled};

/// How long an eviction that was counted may take to show in the cache. One that takes longer has come to nothing.
const EVICTION_PATIENCE: Duration = Duration::from_secs(120);

/// How much longer an eviction of that time is waited for; `None` if no more. A clock that runs ahead of this one makes
/// nobody wait longer.
pub(super) fn patience_left(since: Timestamp, now: Timestamp) -> Option<Duration> {
    let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    EVICTION_PATIENCE.checked_sub(waited).filter(|rest| !rest.is_zero())
}

/// How many pods there are to be, and how many of them healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) expected: i64,
    pub(super) healthy: i64,
}

/// What to do about a budget.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) status: PodDisruptionBudgetStatus,
    /// When a counted eviction comes to nothing if it does not show.
    pub(super) again: Option<Duration>,
    /// The pods whose eviction has come to nothing.
    pub(super) not_deleted: Vec<Arc<Pod>>,
}

/// What a budget demands. `wanted` says what its pods' controllers want together; it is asked only where that counts.
///
/// # Errors
/// Those of `wanted`.
pub(super) fn demand<E>(
    budget: &PodDisruptionBudget,
    pods: usize,
    wanted: impl FnOnce() -> Result<i64, E>,
) -> Result<Demand, E> {
    let spec = budget.spec.as_ref();
    let max_unavailable = spec.and_then(|spec| spec.max_unavailable.as_ref());
    let min_available = spec.and_then(|spec| spec.min_available.as_ref());
    Ok(match (max_unavailable, min_available) {
        (Some(max), _) => {
            let expected = wanted()?;
            Demand { expected, healthy: (expected - scaled(max, expected, Round::Up)).max(0) }
        }
        (None, Some(IntOrString::Int(min))) => {
            Demand { expected: i64::try_from(pods).unwrap_or(i64::MAX), healthy: (*min).into() }
        }
        (None, Some(min)) => {
            let expected = wanted()?;
            Demand { expected, healthy: scaled(min, expected, Round::Up) }
        }
        // The API gives neither a default, and takes both: such a budget demands nothing.
        (None, None) => Demand { expected: 0, healthy: 0 },
    })
}

/// What the status of a budget with these pods is to be.
pub(super) fn plan(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], demand: Demand, now: Timestamp) -> Plan {
    let evictions = Evictions::of(budget, pods, now);
    let healthy = pods.iter().filter(|pod| !is_leaving(pod) && !evictions.pending.contains_key(name(pod)));
    let healthy = i64::try_from(healthy.filter(|pod| is_ready(pod)).count()).unwrap_or(i64::MAX);
    let allowed = if demand.expected > 0 { (healthy - demand.healthy).max(0) } else { 0 };
    let verdict = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let pending = evictions.pending;
    let status = PodDisruptionBudgetStatus {
        conditions: Some(conditions(budget, verdict, String::new(), now)),
        current_healthy: Some(number(healthy)),
        desired_healthy: Some(number(demand.healthy)),
        disrupted_pods: (!pending.is_empty()).then_some(pending),
        disruptions_allowed: Some(number(allowed)),
        expected_pods: Some(number(demand.expected)),
        observed_generation: budget.metadata.generation,
    };
    Plan { status, again: evictions.again, not_deleted: evictions.failed }
}

/// The status of a budget about which something is not known: it allows nothing.
pub(super) fn failed(budget: &PodDisruptionBudget, why: String, now: Timestamp) -> PodDisruptionBudgetStatus {
    PodDisruptionBudgetStatus {
        conditions: Some(conditions(budget, ("False", "SyncFailed"), why, now)),
        disruptions_allowed: Some(0),
        observed_generation: budget.metadata.generation,
        ..budget.status.clone().unwrap_or_default()
    }
}

/// The evictions that the API server has counted, as far as their pods are still there.
#[derive(Default)]
struct Evictions {
    pending: BTreeMap<String, Time>,
    again: Option<Duration>,
    failed: Vec<Arc<Pod>>,
}

impl Evictions {
    fn of(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], now: Timestamp) -> Self {
        let counted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
        let mut evictions = Self::default();
        let Some(counted) = counted else { return evictions };
        for pod in pods.iter().filter(|pod| !is_leaving(pod)) {
            let Some(at) = counted.get(name(pod)) else { continue };
            match patience_left(at.0, now) {
                Some(rest) => {
                    evictions.pending.insert(name(pod).to_owned(), at.clone());
                    evictions.again = evictions.again.into_iter().chain([rest]).min();
                }
                None => evictions.failed.push(Arc::clone(pod)),
            }
        }
        evictions
    }
}

/// The budget's conditions with this verdict; since when stays where the answer is the same.
fn conditions(
    budget: &PodDisruptionBudget,
    (status, reason): (&str, &str),
    message: String,
    now: Timestamp,
) -> Vec<Condition> {
    let known = budget.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let (mut allowed, mut others): (Vec<Condition>, Vec<Condition>) =
        known.into_iter().partition(|condition| condition.type_ == "DisruptionAllowed");
    let since = allowed.pop().filter(|old| old.status == status).map(|old| old.last_transition_time);
    others.push(Condition {
        type_: "DisruptionAllowed".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: since.unwrap_or(Time(now)),
        observed_generation: budget.metadata.generation,
    });
    others
}

fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// As the API writes it.
fn number(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
