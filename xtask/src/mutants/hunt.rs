//! One mutant against the simulator, and, if it survives that, against real processes.
//!
//! In: a mutant and a budget. Out: what caught it. Deliberately absent: judging; the programs say what they found. A
//! harness that failed is an error and never a catch, and neither is a seed that fails without the mutant, too.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keelson_store_core::mutant::Mutant;
use serde::Deserialize;

use super::processes::Processes;
use super::simulator::Simulator;

/// What a mutant's hunt came to.
#[derive(Debug)]
pub(super) struct Hunt {
    pub(super) mutant: Mutant,
    pub(super) end: End,
    pub(super) took: Duration,
}

/// How a hunt ends.
#[derive(Debug)]
pub(super) enum End {
    Caught(Catch),
    Survived,
    /// A hunter could not do its work, so nothing is known.
    Failed(String),
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
    (Mutant::RetryUnknown, "wr"),
    (Mutant::UnknownAsFailed, "wr"),
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

/// One line of what cargo says about a build.
#[derive(Debug, Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

/// Who hunts: the simulator, and real processes, which are built when they are needed.
pub(super) struct Hunters {
    simulator: Option<Simulator>,
    processes: OnceCell<Processes>,
}

impl Hunters {
    /// Builds who hunts first.
    pub(super) fn new(real_only: bool) -> Result<Self, String> {
        let simulator = (!real_only).then(Simulator::build).transpose()?;
        Ok(Self { simulator, processes: OnceCell::new() })
    }

    /// Hunts one mutant. Each hunter has the whole budget.
    pub(super) fn hunt(&self, mutant: Mutant, from: u64, budget: Duration) -> Hunt {
        let began = Instant::now();
        let hunted = self.simulator.as_ref().map(|simulator| simulator.hunt(mutant, from, budget));
        match hunted.unwrap_or(Ok(None)) {
            Ok(Some(catch)) => Hunt { mutant, end: End::Caught(catch), took: began.elapsed() },
            Ok(None) => self.hunt_really(mutant, from, budget),
            Err(why) => Hunt { mutant, end: End::Failed(why), took: began.elapsed() },
        }
    }

    fn hunt_really(&self, mutant: Mutant, from: u64, budget: Duration) -> Hunt {
        let processes = self.processes();
        let began = Instant::now();
        let end = match processes.and_then(|processes| processes.hunt(mutant, from, budget)) {
            Ok(Some(catch)) => End::Caught(catch),
            Ok(None) => End::Survived,
            Err(why) => End::Failed(why),
        };
        Hunt { mutant, end, took: began.elapsed() }
    }

    fn processes(&self) -> Result<&Processes, String> {
        if let Some(processes) = self.processes.get() {
            return Ok(processes);
        }
        let built = Processes::build()?;
        Ok(self.processes.get_or_init(|| built))
    }
}

/// Builds packages with cargo; answers where the program `name` lies, so that nobody has to ask cargo for each run.
pub(super) fn build(name: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    eprintln!("building {name}");
    // Cargo sets it for what it runs.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(crate::root()).args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
    let output = cargo.args(arguments).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name} does not build"));
    }
    let built = String::from_utf8_lossy(&output.stdout);
    let executables =
        built.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok()?.executable);
    let mut named = executables.filter(|path| path.file_name() == Some(OsStr::new(name)));
    named.next().ok_or_else(|| format!("cargo does not say where {name} lies"))
}
