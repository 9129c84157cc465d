//! One mutant against the simulator, and, if it survives that, against real processes.
//!
//! In: a mutant and a budget. Out: what caught it. Deliberately absent: judging; the exit status and the JSON of the
//! programs say what they found. A harness that failed is an error and never a catch.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use keelson_store_core::mutant::Mutant;
use serde::Deserialize;

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

/// The programs that hunt.
pub(super) struct Programs;

/// What the simulator says about many seeds, in JSON.
#[derive(Debug, Deserialize)]
struct Simulated {
    seeds: u64,
    first_failure: Option<Failure>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    seed: u64,
    broken: Vec<String>,
}

impl Programs {
    /// Builds the simulator, with mutants.
    pub(super) fn build() -> Result<Self, String> {
        eprintln!("building the simulator");
        let status = cargo().args(["build", "--quiet"]).args(SIMULATOR).status();
        let status = status.map_err(|error| format!("cargo cannot be started: {error}"))?;
        if status.success() { Ok(Self) } else { Err("the simulator does not build".to_owned()) }
    }

    fn simulate(&self, mutant: Mutant, from: u64, budget: Duration) -> Result<Option<Catch>, String> {
        let (from, seconds) = (from.to_string(), budget.as_secs().to_string());
        let mut command = cargo();
        command.args(["run", "--quiet"]).args(SIMULATOR).arg("--");
        command.args(["--mutant", mutant.name(), "--from", &from, "--time-limit", &seconds]);
        command.args(["--until-failure", "--output", "json"]);
        let output = command.stderr(Stdio::piped()).output();
        let output = output.map_err(|error| format!("the simulator cannot be started: {error}"))?;
        simulated(mutant, &output)
    }
}

const SIMULATOR: [&str; 4] = ["--package", "keelson-sim", "--features", "mutants"];

/// What the simulator's answer means. Its status is 0 when nothing was found and 1 when something was; anything else
/// is a failure of its own.
fn simulated(mutant: Mutant, output: &Output) -> Result<Option<Catch>, String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("it said nothing");
    let failed = |why: &str| format!("{mutant}: the simulator failed ({why}): {last}");
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(failed(&output.status.to_string()));
    }
    let found: Simulated =
        serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))?;
    if found.seeds == 0 {
        return Err(failed("it ran no seed"));
    }
    Ok(found.first_failure.map(|Failure { seed, broken }| Catch {
        broken,
        command: format!("cargo xtask sim --seed {seed} --mutant {mutant}"),
        seed,
    }))
}

/// Hunts one mutant.
pub(super) fn hunt(programs: &Programs, mutant: Mutant, from: u64, budget: Duration) -> Result<Hunt, String> {
    let began = Instant::now();
    let catch = programs.simulate(mutant, from, budget)?;
    Ok(Hunt { mutant, catch, took: began.elapsed() })
}

fn cargo() -> Command {
    // Cargo sets it for what it runs.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let root: &Path = crate::root();
    cargo.current_dir(root);
    cargo
}
