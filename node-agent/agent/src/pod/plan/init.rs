//! Init containers: one after the other, each to its end; those that always restart (sidecars) until they have come
//! up, and then as long as the pod lives.
//!
//! The list is read from its end: instances of init containers that are long done may have been removed, so the last
//! one of which there is a trace says how far the pod has come.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{Stop, Why, Work, has_changed, unknown};
use crate::pod::spec;
use crate::probes::verdicts::{Kind, Verdict, Verdicts};
use crate::runtime::observed::{Instance, InstanceState, Observed};

/// Whether any main container was ever made: then all init containers are done.
pub(super) fn has_initialized(pod: &Pod, observed: &Observed) -> bool {
    spec::containers(pod).iter().any(|container| observed.newest(&container.name).is_some())
}

/// What there is to do about init containers; `None` if one has failed for good. What happened in another sandbox
/// does not count: in a new one everything begins anew.
pub(super) fn plan(pod: &Pod, sandbox: &str, observed: &Observed, verdicts: &Verdicts) -> Option<Work> {
    let containers = spec::init_containers(pod);
    let newest = |container: &Container| observed.newest_in(sandbox, &container.name);
    let has_initialized = spec::containers(pod).iter().any(|container| newest(container).is_some());
    let mut walk = Walk {
        pod,
        verdicts,
        last: containers.len().saturating_sub(1),
        is_past: has_initialized,
        work: Work { is_initialized: has_initialized || containers.is_empty(), ..Work::default() },
    };
    for (index, container) in containers.iter().enumerate().rev() {
        walk.visit(index, container, newest(container))?;
    }
    if !walk.is_past && !containers.is_empty() {
        walk.work.start.init.push(0);
    }
    walk.work.start.init.reverse();
    Some(walk.work)
}

struct Walk<'a> {
    pod: &'a Pod,
    verdicts: &'a Verdicts,
    last: usize,
    /// Whether a later container has left a trace: then this one was done before.
    is_past: bool,
    work: Work,
}

impl Walk<'_> {
    fn visit(&mut self, index: usize, container: &Container, newest: Option<&Instance>) -> Option<()> {
        let is_sidecar = spec::is_sidecar(container);
        let Some(instance) = newest else {
            if self.is_past && is_sidecar {
                self.work.start.init.push(index);
            }
            return Some(());
        };
        if self.is_past && !is_sidecar {
            return Some(());
        }
        match &instance.state {
            // Making and starting are one step; what is only made failed to start.
            InstanceState::Created => self.work.start.init.push(index),
            InstanceState::Running { .. } if is_sidecar => self.sidecar_runs(index, container, instance),
            InstanceState::Running { .. } => {}
            InstanceState::Exited { .. } if is_sidecar => self.work.start.init.push(index),
            InstanceState::Exited { exit_code: 0, .. } => self.is_done(index),
            InstanceState::Exited { exit_code, .. } => {
                self.failed(index, spec::restarts(self.pod, container, *exit_code))?;
            }
            InstanceState::Unknown => {
                let is_tried_again = is_sidecar || spec::restarts_on_failure(self.pod, container);
                self.failed(index, is_tried_again)?;
                self.work.stop.extend(unknown(instance, "Init container"));
            }
        }
        self.is_past = true;
        Some(())
    }

    /// The container has done its work: the next one's turn.
    fn is_done(&mut self, index: usize) {
        if index == self.last {
            self.work.is_initialized = true;
        } else if !self.is_past {
            self.work.start.init.push(index + 1);
        }
    }

    fn failed(&mut self, index: usize, is_tried_again: bool) -> Option<()> {
        is_tried_again.then(|| self.work.start.init.push(index))
    }

    fn sidecar_runs(&mut self, index: usize, container: &Container, instance: &Instance) {
        let name = &container.name;
        if has_changed(container, instance) {
            let message = format!("Init container {name} definition changed, will be restarted");
            return self.restart(index, instance, message, Why::Other);
        }
        if container.startup_probe.is_some() {
            match self.verdicts.get(Kind::Startup, &instance.id) {
                None | Some(Verdict::Unknown) => return,
                Some(Verdict::Success) => {}
                Some(Verdict::Failure) => {
                    let message = format!("Init container {name} failed startup probe");
                    return self.restart(index, instance, message, Why::Startup);
                }
            }
        }
        self.is_done(index);
        if self.verdicts.failed(Kind::Liveness, &instance.id) {
            let message = format!("Init container {name} failed liveness probe");
            self.restart(index, instance, message, Why::Liveness);
        }
    }

    fn restart(&mut self, index: usize, instance: &Instance, message: String, why: Why) {
        let stop = Stop { id: instance.id.clone(), container: instance.name.clone(), message, why };
        self.work.stop.push(stop);
        self.work.start.init.push(index);
    }
}
