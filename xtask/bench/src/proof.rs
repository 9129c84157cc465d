//! How fast the proof goes: what each check decides in a second, and how much faster than real time the simulation is.
//!
//! In: the checkout, and cargo, which builds the two programs where they are not. Out: figures. A check that raises an
//! alarm, or a seed that fails, is an error and no figure. Deliberately absent: the real processes, which go as fast as
//! the clock does.

use std::{collections::BTreeMap, error::Error, fmt, path::Path, process::Command};

use serde::Deserialize;

/// Operations in each history that is checked.
const OPERATIONS: &str = "100000";
/// Seconds of simulation.
const SECONDS: &str = "20";

/// What was measured.
pub(crate) struct Figures {
    /// By promise: operations or events a second, in the slowest of the histories that speak of it.
    checks: BTreeMap<String, f64>,
    simulation: Simulation,
}

/// What the simulator says.
#[derive(Debug, Deserialize)]
struct Simulation {
    from: u64,
    seeds: u64,
    virtual_seconds: u64,
    real_seconds: f64,
    times_real_time: u64,
    operations: u64,
    faults: u64,
}

/// Measures both, one after the other.
pub(crate) fn measure() -> Result<Figures, Box<dyn Error>> {
    let checks = run(&["--package", "keelson-checkers", "--example", "throughput", "--", OPERATIONS])?;
    let simulated = run(&[
        "--package",
        "keelson-sim",
        "--features",
        "mutants",
        "--",
        "--time-limit",
        SECONDS,
        "--output",
        "json",
    ])?;
    let simulation = serde_json::from_str(&simulated)?;
    Ok(Figures { checks: slowest(&checks)?, simulation })
}

/// What a program of the workspace prints, in the simulation's profile.
fn run(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    // Cargo sets it for what it runs.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).args(["run", "--quiet", "--profile", "sim"]);
    let output = cargo.args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`cargo run {}` ended with {}: {said}", arguments.join(" "), output.status).into())
}

/// Reads the lines of the checkers' example: the promise comes first, the rate last but one.
fn slowest(lines: &str) -> Result<BTreeMap<String, f64>, String> {
    let mut rates = BTreeMap::new();
    for line in lines.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let rate = words.iter().rev().nth(1).and_then(|word| word.strip_suffix("/s"));
        let rate: f64 =
            rate.and_then(|rate| rate.parse().ok()).ok_or_else(|| format!("no rate in {line:?}"))?;
        let slowest = rates.entry(words[0].to_owned()).or_insert(rate);
        *slowest = slowest.min(rate);
    }
    if rates.is_empty() { Err("no check was measured".to_owned()) } else { Ok(rates) }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (promise, rate) in &self.checks {
            writeln!(f, "{promise:<28} {rate:>11.0} checked/s")?;
        }
        let Simulation { from, seeds, virtual_seconds, real_seconds, times_real_time, operations, faults } =
            &self.simulation;
        writeln!(
            f,
            "simulation: {times_real_time} simulated hours an hour ({seeds} seeds from {from} on: {virtual_seconds} \
             virtual s in {real_seconds:.0} s, {operations} operations, {faults} faults, none failing)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_history_counts() {
        let lines = "durability  Registers with log  100 checked  0.10 s  1000/s kept\n\
                     durability  Append    with log  100 checked  0.20 s   500/s kept\n";
        assert_eq!(slowest(lines), Ok(BTreeMap::from([("durability".to_owned(), 500.0)])));
    }

    #[test]
    fn a_line_without_a_rate_is_an_error() {
        assert!(slowest("durability kept").is_err());
        assert!(slowest("").is_err());
    }
}
