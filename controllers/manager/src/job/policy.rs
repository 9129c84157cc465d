//! What a Job's policies say of failed pods, and of succeeded indexes: pure.
//!
//! In: a policy, and a pod or indexes. Out: what follows, with upstream's messages.
//!
//! Source: `pkg/controller/job/{pod_failure_policy,success_policy}.go` of Kubernetes.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule, SuccessPolicy,
};
use keelson_controller_runtime::pod::{ContainerStatus, Pod, PodStatus};

use super::indexes::Indexes;

/// What a failed pod means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It counts towards the limits.
    Counts,
    /// It does not.
    Ignored,
    /// Its index has failed for good.
    FailsIndex,
    /// The Job has failed for good, for this reason.
    FailsJob(String),
}

/// What the first rule that matches says of a failed pod.
pub(super) fn judge(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Failure {
    let rules = policy.into_iter().flat_map(|policy| &policy.rules).enumerate();
    rules.filter_map(|(place, rule)| apply(place, rule, pod)).next().unwrap_or(Failure::Counts)
}

/// The message of the first rule that a set of succeeded indexes fulfils.
pub(super) fn success(
    policy: Option<&SuccessPolicy>,
    completions: usize,
    succeeded: &Indexes,
) -> Option<String> {
    if succeeded.is_empty() {
        return None;
    }
    let is_met = |indexes: Option<&str>, count: Option<i32>| {
        let count = count.and_then(|count| usize::try_from(count).ok());
        let Some(indexes) = indexes else { return count.is_some_and(|count| succeeded.len() >= count) };
        let wanted = Indexes::parse(indexes, completions);
        let common = wanted.common(succeeded);
        !wanted.is_empty() && (common == wanted.len() || count.is_some_and(|count| common >= count))
    };
    let mut rules = policy?.rules.iter();
    let place = rules.position(|rule| is_met(rule.succeeded_indexes.as_deref(), rule.succeeded_count))?;
    Some(format!("Matched rules at index {place}"))
}

fn apply(place: usize, rule: &PodFailurePolicyRule, pod: &Pod) -> Option<Failure> {
    let status = pod.status.as_ref()?;
    let (namespace, name) = (
        pod.metadata.namespace.as_deref().unwrap_or_default(),
        pod.metadata.name.as_deref().unwrap_or_default(),
    );
    let what = match (&rule.on_exit_codes, &rule.on_pod_conditions) {
        (Some(codes), _) => {
            let (container, code) = failed_container(status, codes)?;
            format!("Container {container} for pod {namespace}/{name} failed with exit code {code}")
        }
        (None, Some(patterns)) => {
            let conditions = status.conditions.iter().flatten();
            let condition = conditions.into_iter().find(|condition| {
                patterns.iter().any(|pattern| {
                    let wanted = pattern.status.as_deref().unwrap_or("True");
                    pattern.type_ == condition.type_ && wanted == condition.status
                })
            })?;
            format!("Pod {namespace}/{name} has condition {}", condition.type_)
        }
        (None, None) => return None,
    };
    match rule.action.as_str() {
        "Ignore" => Some(Failure::Ignored),
        "FailIndex" => Some(Failure::FailsIndex),
        "FailJob" => Some(Failure::FailsJob(format!("{what} matching FailJob rule at index {place}"))),
        "Count" => Some(Failure::Counts),
        // Of a later version: as if the rule were not there.
        _ => None,
    }
}

/// The first container that ended with a code that is meant, and the code.
fn failed_container<'a>(
    status: &'a PodStatus,
    wanted: &PodFailurePolicyOnExitCodesRequirement,
) -> Option<(&'a str, i32)> {
    let is_meant = |container: &ContainerStatus| {
        wanted.container_name.as_ref().is_none_or(|name| *name == container.name)
    };
    let matches = |code: i32| match wanted.operator.as_str() {
        "In" => code != 0 && wanted.values.contains(&code),
        "NotIn" => code != 0 && !wanted.values.contains(&code),
        _ => false,
    };
    let containers = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let ended = containers.filter(|container| is_meant(container)).filter_map(|container| {
        let code = container.state.as_ref()?.terminated.as_ref()?.exit_code;
        Some((container.name.as_str(), code))
    });
    ended.into_iter().find(|(_, code)| matches(*code))
}

#[cfg(test)]
mod tests;
