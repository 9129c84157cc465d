//! One mutant against the simulator, and, if it survives that, against real processes.
//!
//! In: a mutant and a budget. Out: what caught it. Deliberately absent: judging; the programs say what they found. A
//! harness that failed is an error and never a catch, and neither is a seed that fails without the mutant, too.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use keelson_store_core::mutant::Mutant;

use super::{processes, simulator};

/// What a mutant's hunt came to.
#[derive(Debug)]
pub(super) struct Hunt {
    pub(super) mutant: Mutant,
    /// `None`: it survived.
    pub(super) catch: Option<Catch>,
    pub(super) took: Duration,
}

/// How a mutant was caught.
#[derive(Debug)]
pub(super) struct Catch {
    /// The invariants and promises that were broken.
    pub(super) broken: Vec<String>,
    /// What repeats it.
    pub(super) command: String,
    /// The simulator's, or the harness's.
    pub(super) seed: u64,
}

/// Where mutants live whose harm only these clients can see; the others are met by whatever clients do.
const HABITATS: &[(Mutant, &str)] = &[
    (Mutant::SnapshotWithoutLeases, "lease"),
    (Mutant::LeaseCutAtTakeover, "lease"),
    (Mutant::RenewByBelief, "lease"),
    (Mutant::RevokeKeepsKey, "lease"),
    (Mutant::ReadBelowCompacted, "revisions"),
    (Mutant::WatchSkipsCompacted, "revisions"),
    (Mutant::CompactionTakesItsRevision, "revisions"),
];

/// The workload that meets a mutant, where not every one does.
pub(super) fn habitat(mutant: Mutant) -> Option<&'static str> {
    HABITATS.iter().find(|(inhabitant, _)| *inhabitant == mutant).map(|(_, workload)| *workload)
}

/// Hunts one mutant. Each of the two harnesses has the whole budget.
pub(super) fn hunt(mutant: Mutant, from: u64, budget: Duration) -> Result<Hunt, String> {
    let began = Instant::now();
    let mut catch = simulator::hunt(mutant, from, budget)?;
    let mut took = began.elapsed();
    if catch.is_none() {
        processes::build()?;
        let began = Instant::now();
        catch = processes::hunt(mutant, from, budget)?;
        took = began.elapsed();
    }
    Ok(Hunt { mutant, catch, took })
}

/// Cargo, in the checkout.
pub(super) fn cargo() -> Command {
    // Cargo sets it for what it runs.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let root: &Path = crate::root();
    cargo.current_dir(root);
    cargo
}

/// Runs cargo to its end. `what` names what it builds.
pub(super) fn built(mut build: Command, what: &str) -> Result<(), String> {
    eprintln!("building {what}");
    let status = build.status().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: the build failed")) }
}
