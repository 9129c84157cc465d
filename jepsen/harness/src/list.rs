//! `keelson-jepsen list`: what can be done, and what of it here.

use std::fmt::Write as _;

use keelson_checkers::promise::{self, PROMISES, Promise};
use keelson_workloads::{WORKLOADS, Workload};

use crate::fault::FAULTS;
use crate::machine::Machine;
use crate::target::Target;

/// The names of all workloads.
pub(crate) fn workloads() -> Vec<&'static str> {
    WORKLOADS.iter().map(|workload| workload.name).collect()
}

/// The promises that a run of this workload is held to.
pub(crate) fn promises_of(workload: &Workload) -> Vec<&'static Promise> {
    workload.promises().map(|name| promise::named(name).expect("a test looks every name up")).collect()
}

/// Everything, as text.
pub(crate) fn list(machine: &Machine) -> String {
    let shared: Vec<_> = PROMISES.iter().map(|promise| promise.name).filter(is_checked_always).collect();
    let mut text = format!("Every workload is judged by\n  {}\nand besides:\n", shared.join(", "));
    for workload in WORKLOADS {
        let _ = writeln!(text, "  {:<22}  {}", workload.name, workload.words);
        let own: Vec<_> = workload.promises().filter(|name| !shared.contains(name)).collect();
        let _ = writeln!(text, "{:26}judged by {}", "", own.join(", "));
    }
    text += "\nPromises:\n";
    for promise in PROMISES {
        let _ = writeln!(text, "  {:<28}  {}", promise.name, promise.words);
    }
    text += "\nFaults, by families (a family's name stands for all of it):\n";
    let mut family = "";
    for row in FAULTS {
        if row.family != family {
            family = row.family;
            let _ = writeln!(text, "  {family}");
        }
        let here = row.possible(machine, Target::Keelson).err();
        let here = here.map_or_else(String::new, |why| format!("  [not here: {why}]"));
        let _ = writeln!(text, "    {:<18}  {}{here}", row.name, row.words);
    }
    match machine.lab() {
        Ok(()) => text += "\nThis machine can run them.\n",
        Err(why) => {
            let _ = writeln!(text, "\nThis machine cannot run them: {why}");
        }
    }
    text
}

fn is_checked_always(name: &&str) -> bool {
    WORKLOADS.iter().all(|workload| workload.promises().any(|promise| promise == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promise_of_a_workload_is_in_the_table_of_promises() {
        for workload in WORKLOADS {
            assert!(!promises_of(workload).is_empty(), "{}", workload.name);
        }
    }
}
