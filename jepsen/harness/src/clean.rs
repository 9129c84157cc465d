//! `keelson-jepsen clean`: what a killed run can leave on a machine.
//!
//! Processes, networks, mounts and loop devices go with the lab, whatever ends it. A control group stays if its run was
//! killed. Its name does not matter: one that has no processes belongs to a run that is over.

use crate::lab::throttle;
use crate::machine::Machine;

/// Removes it, and answers what was removed.
pub(crate) fn clean(machine: &Machine) -> Vec<String> {
    machine.block_cgroups().map(throttle::clean).unwrap_or_default()
}
