//! The simulator as a hunter: seed after seed, until one fails with the mutant, where none fails without it.
//!
//! In: a mutant, the first seed, a budget. Out: a catch. All seeds up to the one that fails are run without the mutant,
//! too: with it a seed takes another course, on which something else may fail that was there before. The simulator's
//! exit status is 0 when nothing was found and 1 when something was; anything else is a failure of its own.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use keelson_store_core::mutant::Mutant;
use serde::Deserialize;

use super::hunt::{Catch, build, habitat};

/// The simulator, built with mutants.
pub(super) struct Simulator {
    program: PathBuf,
}

/// How cargo is told of it.
const PACKAGE: [&str; 6] = ["--package", "keelson-sim", "--features", "mutants", "--profile", "sim"];

/// What the simulator says about many seeds, in JSON.
#[derive(Debug, Deserialize)]
struct Found {
    seeds: u64,
    first_failure: Option<Failure>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    seed: u64,
    broken: Vec<String>,
}

impl Simulator {
    pub(super) fn build() -> Result<Self, String> {
        Ok(Self { program: build("keelson-sim", &PACKAGE)? })
    }

    /// Hunts a mutant.
    pub(super) fn hunt(&self, mutant: Mutant, from: u64, budget: Duration) -> Result<Option<Catch>, String> {
        let (began, clients) = (Instant::now(), clients(mutant));
        let mut from = from;
        loop {
            let left = budget.saturating_sub(began.elapsed()).as_secs();
            if left == 0 {
                return Ok(None);
            }
            let hunt =
                format!("--mutant {mutant} --until-failure --from {from} --time-limit {left}{clients}");
            let Some(Failure { seed, broken }) = self.run(&hunt)?.first_failure else { return Ok(None) };
            let tried = seed - from + 1;
            let control = self.run(&format!("--from {from} --seeds {tried} --until-failure{clients}"))?;
            let Some(Failure { seed: failing, .. }) = control.first_failure else {
                let command = format!("cargo xtask sim --seed {seed} --mutant {mutant}{clients}");
                return Ok(Some(Catch { broken, command, seed }));
            };
            eprintln!(
                "seed {failing}{clients} fails without a mutant; what was found so far counts for nothing"
            );
            from = seed + 1;
        }
    }

    fn run(&self, arguments: &str) -> Result<Found, String> {
        let mut command = Command::new(&self.program);
        let output = command.args(["--output", "json"]).args(arguments.split(' ')).output();
        answer(arguments, &output.map_err(|error| format!("the simulator cannot be started: {error}"))?)
    }
}

fn clients(mutant: Mutant) -> String {
    habitat(mutant).map(|workload| format!(" --workload {workload}")).unwrap_or_default()
}

fn answer(arguments: &str, output: &Output) -> Result<Found, String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("it said nothing");
    let failed = |why: &str| format!("keelson-sim {arguments} failed ({why}): {last}");
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(failed(&output.status.to_string()));
    }
    let found: Found = serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))?;
    if found.seeds == 0 { Err(failed("it ran no seed")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    fn said(code: i32, stdout: &str) -> Output {
        let status = ExitStatus::from_raw(code << 8);
        Output { status, stdout: stdout.into(), stderr: b"seed 7 hangs".into() }
    }

    #[test]
    fn a_failure_is_taken_with_all_that_it_broke() {
        let text =
            r#"{"seeds": 3, "first_failure": {"seed": 9, "broken": ["one-vote", "durability"]}, "void": []}"#;
        let failure = answer("", &said(1, text)).unwrap().first_failure.unwrap();
        assert_eq!((failure.seed, failure.broken.len()), (9, 2));
        assert!(
            answer("", &said(0, r#"{"seeds": 3, "first_failure": null}"#)).unwrap().first_failure.is_none()
        );
    }

    #[test]
    fn a_simulator_that_failed_has_found_nothing() {
        let text = r#"{"seeds": 3, "first_failure": {"seed": 9, "broken": []}}"#;
        assert!(answer("--from 1", &said(3, text)).unwrap_err().contains("seed 7 hangs"));
        assert!(answer("", &said(1, "not json")).is_err());
        assert!(answer("", &said(0, r#"{"seeds": 0, "first_failure": null}"#)).is_err(), "no seed, no proof");
    }
}
