//! SchedulingGates: a pod waits outside of the queue until all gates in its spec are gone.
//!
//! Deliberately absent: the condition `SchedulingGated`. The API server writes it when it stores such a pod.

use crate::cluster_event::{EventKind, OwnChange};
use crate::framework::{Plugin, PreEnqueue};
use crate::pod_info::PodInfo;

pub(super) struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn events(&self) -> &'static [EventKind] {
        &[EventKind::Own(OwnChange::GatesEliminated)]
    }
}

impl PreEnqueue for SchedulingGates {
    fn holds_back(&self, pod: &PodInfo) -> bool {
        let gates = pod.spec().and_then(|spec| spec.scheduling_gates.as_ref());
        gates.is_some_and(|gates| !gates.is_empty())
    }
}
