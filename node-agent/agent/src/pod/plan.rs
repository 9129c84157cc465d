//! What has to be done to a pod next. Pure.
//!
//! In: the spec, what the runtime has, what the probes say. Out: a [`Plan`]. Upstream decides so in
//! `computePodActions`. Deliberately absent: back-off (whoever carries out the plan asks whether a start has to wait),
//! and the pod's end: once a pod is ending, nothing is planned for it any more.

mod init;
mod resize;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{hash, spec};
use crate::probes::verdicts::{Kind, Verdicts};
use crate::runtime::observed::{Instance, InstanceState, Observed, Sandbox};

/// What has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing of it runs or will: stop what is left.
    End,
    /// The sandbox is missing or of no use: stop everything in it, make another, start these in it.
    Renew { attempt: u32, replaced: Option<String>, start: Start },
    /// The sandbox is good: stop these, give these that run another size, then start these in it.
    Keep { sandbox: String, stop: Vec<Stop>, resize: Vec<Resize>, start: Start },
}

/// Containers to start, by their index in the spec, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) ephemeral: Vec<usize>,
    pub(crate) init: Vec<usize>,
    pub(crate) main: Vec<usize>,
}

/// An instance to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) id: String,
    pub(crate) container: String,
    /// What the event says.
    pub(crate) message: String,
    pub(crate) why: Why,
}

/// An instance that runs, and gets another size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resize {
    pub(crate) id: String,
    pub(crate) container: String,
}

/// Why an instance is stopped: a probe may have a grace period of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Startup,
    Liveness,
    Other,
}

/// Plans for a pod that is to run.
pub(crate) fn plan(pod: &Pod, observed: &Observed, verdicts: &Verdicts) -> Plan {
    match usable_sandbox(pod, observed) {
        Ok(sandbox) => plan_in(pod, sandbox, observed, verdicts),
        Err(attempt) => plan_renewal(pod, attempt, observed),
    }
}

/// The sandbox that the pod's containers are in and can be started in; else the number of the next one.
pub(crate) fn usable_sandbox<'a>(pod: &Pod, observed: &'a Observed) -> Result<&'a Sandbox, u32> {
    let Some(newest) = observed.sandboxes.first() else { return Err(0) };
    let is_only_one = observed.sandboxes.iter().filter(|sandbox| sandbox.is_ready).count() == 1;
    let is_in_place = newest.is_host_network == spec::is_host_network(pod);
    let has_address = newest.is_host_network || !newest.addresses.is_empty();
    if newest.is_ready && is_only_one && is_in_place && has_address {
        Ok(newest)
    } else {
        Err(newest.attempt + 1)
    }
}

fn plan_renewal(pod: &Pod, attempt: u32, observed: &Observed) -> Plan {
    let has_run = attempt != 0 && !observed.instances.is_empty();
    if has_run && spec::restart_policy(pod) == spec::RestartPolicy::Never {
        return Plan::End;
    }
    let main: Vec<usize> =
        indexes(spec::containers(pod), |container| !has_succeeded_for_good(pod, container, observed));
    if main.is_empty() && init::has_initialized(pod, observed) {
        return Plan::End;
    }
    let replaced = observed.sandboxes.first().map(|sandbox| sandbox.id.clone());
    let start = match spec::init_containers(pod) {
        // In a new sandbox everything begins anew.
        [_, ..] => Start { init: vec![0], ..Start::default() },
        [] => Start { main, ..Start::default() },
    };
    Plan::Renew { attempt, replaced, start }
}

fn has_succeeded_for_good(pod: &Pod, container: &Container, observed: &Observed) -> bool {
    let exit_code = observed.newest(&container.name).and_then(|instance| instance.state.exit_code());
    exit_code == Some(0) && !spec::restarts(pod, container, 0)
}

fn plan_in(pod: &Pod, sandbox: &Sandbox, observed: &Observed, verdicts: &Verdicts) -> Plan {
    let Some(mut work) = init::plan(pod, &sandbox.id, observed, verdicts) else { return Plan::End };
    work.start.ephemeral = new_ephemeral_containers(pod, observed);
    if work.is_initialized {
        let is_alive = plan_main(pod, observed, verdicts, &mut work);
        if !is_alive {
            // Sidecars alone do not keep a pod alive.
            return Plan::End;
        }
    }
    let resize = resize::plan(pod, observed, &mut work);
    Plan::Keep { sandbox: sandbox.id.clone(), stop: work.stop, resize, start: work.start }
}

/// What has been found to do so far.
#[derive(Debug, Default)]
struct Work {
    stop: Vec<Stop>,
    start: Start,
    is_initialized: bool,
}

/// Ephemeral containers run once.
fn new_ephemeral_containers(pod: &Pod, observed: &Observed) -> Vec<usize> {
    let all = spec::ephemeral_containers(pod).iter().enumerate();
    all.filter(|(_, it)| observed.newest(&it.name).is_none()).map(|(index, _)| index).collect()
}

/// Whether any main container runs or is to be started.
fn plan_main(pod: &Pod, observed: &Observed, verdicts: &Verdicts, work: &mut Work) -> bool {
    let mut kept = 0;
    for (index, container) in spec::containers(pod).iter().enumerate() {
        let newest = observed.newest(&container.name);
        match newest {
            Some(instance) if matches!(instance.state, InstanceState::Running { .. }) => {
                match reason_to_stop(pod, container, instance, verdicts) {
                    None => kept += 1,
                    Some((stop, is_restarted)) => {
                        work.stop.push(stop);
                        work.start.main.extend(is_restarted.then_some(index));
                    }
                }
            }
            Some(_) | None => {
                if wants_start(pod, container, observed) {
                    work.start.main.push(index);
                    work.stop.extend(newest.and_then(|instance| unknown(instance, "Container")));
                }
            }
        }
    }
    kept > 0 || !work.start.main.is_empty()
}

/// Why a running main container has to be stopped, and whether it is started again.
fn reason_to_stop(
    pod: &Pod,
    container: &Container,
    instance: &Instance,
    verdicts: &Verdicts,
) -> Option<(Stop, bool)> {
    let name = &container.name;
    let (what, why, is_restarted) = if has_changed(container, instance) {
        // Whatever the restart policy: another container is wanted.
        (format!("Container {name} definition changed"), Why::Other, true)
    } else if verdicts.failed(Kind::Liveness, &instance.id) {
        (
            format!("Container {name} failed liveness probe"),
            Why::Liveness,
            spec::restarts_on_failure(pod, container),
        )
    } else if verdicts.failed(Kind::Startup, &instance.id) {
        (
            format!("Container {name} failed startup probe"),
            Why::Startup,
            spec::restarts_on_failure(pod, container),
        )
    } else {
        return None;
    };
    let message = if is_restarted { format!("{what}, will be restarted") } else { what };
    Some((Stop { id: instance.id.clone(), container: name.clone(), message, why }, is_restarted))
}

/// Whether the instance was made from another image. One that carries no mark was made by somebody else and is left.
fn has_changed(container: &Container, instance: &Instance) -> bool {
    !instance.marks.hash.is_empty() && instance.marks.hash != hash::of(container)
}

/// The stop of an instance of which the runtime does not know whether it runs.
fn unknown(instance: &Instance, what: &str) -> Option<Stop> {
    (instance.state == InstanceState::Unknown).then(|| Stop {
        id: instance.id.clone(),
        container: instance.name.clone(),
        message: format!("{what} is in \"unknown\" state, try killing it before restart"),
        why: Why::Other,
    })
}

/// Whether a container that does not run has to.
pub(crate) fn wants_start(pod: &Pod, container: &Container, observed: &Observed) -> bool {
    if spec::is_deleting(pod) {
        return false;
    }
    match observed.newest(&container.name).map(|instance| &instance.state) {
        None | Some(InstanceState::Created | InstanceState::Unknown) => true,
        Some(InstanceState::Running { .. }) => false,
        Some(InstanceState::Exited { exit_code, .. }) => spec::restarts(pod, container, *exit_code),
    }
}

fn indexes(containers: &[Container], is_wanted: impl Fn(&Container) -> bool) -> Vec<usize> {
    containers.iter().enumerate().filter(|(_, it)| is_wanted(it)).map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests;
