//! The whole status. Pure; upstream's `generateAPIPodStatus` and what its status manager adds.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::jiff::Timestamp;

use super::conditions::{PendingSize, conditions};
use super::containers::{Role, Troubles, end, statuses, time};
use super::phase::{Phase, phase};
use crate::pod::qos::Class;
use crate::pod::spec;
use crate::pod::state::{Cause, Failure, State};
use crate::probes::verdicts::Verdicts;
use crate::runtime::observed::Observed;

/// What a status follows from.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) observed: &'a Observed,
    /// The status that was computed before; at first the API's.
    pub(crate) old: &'a PodStatus,
    pub(crate) verdicts: &'a Verdicts,
    pub(crate) troubles: &'a Troubles,
    /// Instances whose `postStart` hook is not over yet: nobody is told that they run.
    pub(crate) hooked: &'a BTreeSet<String>,
    /// Why the pod does not get the size that it asks for.
    pub(crate) pending: Option<&'a PendingSize>,
    pub(crate) state: &'a State,
    /// The runtime's name, which prefixes the ids of its containers.
    pub(crate) runtime: &'a str,
    /// The node's addresses, the primary one first.
    pub(crate) node_addresses: &'a [IpAddr],
    pub(crate) now: Timestamp,
}

impl Input<'_> {
    /// A container's id as the API writes it.
    pub(super) fn container_id(&self, id: &str) -> String {
        format!("{}://{id}", self.runtime)
    }
}

/// The status of a pod, as far as its node owns it.
pub(crate) fn compute(input: &Input<'_>) -> PodStatus {
    if let Some(Cause::Rejected(failure)) = input.state.cause() {
        return rejected(input, failure);
    }
    let pod = input.pod;
    let mut init = statuses(input, Role::Init, spec::init_containers(pod));
    let mut main = statuses(input, Role::Main, spec::containers(pod));
    let is_over = input.state.is_stopped();
    if is_over {
        end(input, &mut init, &mut main);
    }
    let (phase, reason, message) = outcome(input, phase(pod, &init, &main, is_over));
    let ephemeral: Vec<Container> = spec::ephemeral_containers(pod).iter().map(spec::as_container).collect();
    let mut status = PodStatus {
        conditions: Some(conditions(input, phase, &init, &main)),
        container_statuses: Some(main),
        init_container_statuses: (!init.is_empty()).then_some(init),
        ephemeral_container_statuses: (!ephemeral.is_empty())
            .then(|| statuses(input, Role::Ephemeral, &ephemeral)),
        reason,
        message,
        ..frame(input, phase)
    };
    set_addresses(input, &mut status);
    status
}

/// What every status has.
fn frame(input: &Input<'_>, phase: Phase) -> PodStatus {
    PodStatus {
        phase: Some(phase.word().to_owned()),
        qos_class: Some(Class::of(input.pod).word().to_owned()),
        start_time: input.old.start_time.clone().or_else(|| Some(time(input.now))),
        observed_generation: input.pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// Nothing of it was ever made.
fn rejected(input: &Input<'_>, failure: &Failure) -> PodStatus {
    PodStatus {
        reason: Some(failure.reason.clone()),
        message: Some(failure.message.clone()),
        ..frame(input, Phase::Failed)
    }
}

/// The phase that is told, with its reason and message.
fn outcome(input: &Input<'_>, computed: Phase) -> (Phase, Option<String>, Option<String>) {
    let phase = |status: &PodStatus| status.phase.as_deref().and_then(Phase::named);
    // No way leads back from an end, whoever has told it: somebody else may have given the pod up.
    for status in input.pod.status.iter().chain([input.old]) {
        if let Some(end) = phase(status).filter(|it| it.is_terminal()) {
            return (end, status.reason.clone(), status.message.clone());
        }
    }
    let old = phase(input.old);
    let told = || (input.old.reason.clone(), input.old.message.clone());
    let wanted = match input.state.cause() {
        Some(Cause::Overdue(failure)) => {
            (Phase::Failed, Some(failure.reason.clone()), Some(failure.message.clone()))
        }
        // A pod that was told to end has ended, one way or the other.
        _ if input.state.is_stopped() && !computed.is_terminal() => (Phase::Failed, None, None),
        _ => (computed, None, None),
    };
    // Nobody may take a pod for finished while something of it runs.
    if wanted.0.is_terminal() && input.observed.alive().next().is_some() {
        let (reason, message) = told();
        return (old.unwrap_or(Phase::Running), reason, message);
    }
    if old == Some(wanted.0) && wanted.1.is_none() {
        let (reason, message) = told();
        return (wanted.0, reason, message);
    }
    wanted
}

fn set_addresses(input: &Input<'_>, status: &mut PodStatus) {
    let hosts: Vec<String> = input.node_addresses.iter().map(ToString::to_string).collect();
    status.host_ip = hosts.first().cloned();
    status.host_ips = Some(hosts.iter().map(|ip| HostIP { ip: ip.clone() }).collect());
    let observed = input.observed.addresses();
    let addresses: Vec<String> = if spec::is_host_network(input.pod) {
        hosts
    } else if observed.is_empty() {
        // What a pod had is still of interest when it is gone.
        input.old.pod_ips.iter().flatten().map(|it| it.ip.clone()).collect()
    } else {
        observed.to_vec()
    };
    status.pod_ip = addresses.first().cloned();
    status.pod_ips = (!addresses.is_empty()).then(|| addresses.into_iter().map(|ip| PodIP { ip }).collect());
}

#[cfg(test)]
mod tests;
