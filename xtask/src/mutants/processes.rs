//! Real processes as a hunter, for mutants that survive the simulator: one run under the commonest faults.
//!
//! In: a mutant, a seed, a budget. Out: a catch. The harness needs root; without it this is an error, not a survivor.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use keelson_store_core::mutant::Mutant;
use serde::Deserialize;

use super::hunt::{Catch, build, habitat};

/// What the nodes run through.
const FAULTS: &str = "kill,pause,partition,snapshot,leader-transfer,compaction";
/// What clients do where a mutant has no workload of its own.
const WORKLOAD: &str = "revisions";
/// A promise was broken, says the harness; 0 is that none was.
const BROKEN: i32 = 1;

/// The part of the harness's verdict that is looked at.
#[derive(Debug, Deserialize)]
struct Verdict {
    promises: Vec<Judged>,
    crashes: Vec<String>,
    outcasts: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Judged {
    promise: String,
    finding: String,
}

/// The harness, with a store beside it that has mutants.
pub(super) struct Processes {
    program: PathBuf,
}

impl Processes {
    pub(super) fn build() -> Result<Self, String> {
        let packages =
            ["--package", "keelson", "--package", "keelson-jepsen", "--features", "keelson/mutants"];
        Ok(Self { program: build("keelson-jepsen", &packages)? })
    }

    /// Hunts a mutant.
    pub(super) fn hunt(&self, mutant: Mutant, seed: u64, budget: Duration) -> Result<Option<Catch>, String> {
        let (workload, seconds) = (habitat(mutant).unwrap_or(WORKLOAD), budget.as_secs().max(5));
        let arguments = format!(
            "run --workload {workload} --faults {FAULTS} --time {seconds} --seed {seed} --mutant {mutant}"
        );
        let folder = std::env::temp_dir().join(format!("keelson-mutant-{mutant}-{}", std::process::id()));
        let broken = self.run(&arguments, &folder);
        // What it holds can be had again by the command.
        let _ = fs::remove_dir_all(&folder);
        let command = format!("cargo run --package keelson-jepsen -- {arguments}");
        Ok(broken?.map(|broken| Catch { broken, command, seed }))
    }

    fn run(&self, arguments: &str, folder: &Path) -> Result<Option<Vec<String>>, String> {
        let mut run = Command::new(&self.program);
        let output = run.args(arguments.split(' ')).arg("--out").arg(folder).output();
        let output = output.map_err(|error| format!("the harness cannot be started: {error}"))?;
        match output.status.code() {
            Some(0) => Ok(None),
            Some(BROKEN) => broken(&folder.join("verdict.json")).map(Some),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("keelson-jepsen {arguments} failed ({}): {said}", output.status))
            }
        }
    }
}

fn broken(verdict: &Path) -> Result<Vec<String>, String> {
    let text = fs::read(verdict).map_err(|error| format!("{}: {error}", verdict.display()))?;
    names(&text).map_err(|error| format!("{}: {error}", verdict.display()))
}

fn names(verdict: &[u8]) -> serde_json::Result<Vec<String>> {
    let Verdict { promises, crashes, outcasts } = serde_json::from_slice(verdict)?;
    let broken =
        promises.into_iter().filter(|judged| judged.finding == "broken").map(|judged| judged.promise);
    let nodes = [(crashes, "crash"), (outcasts, "outcast")].into_iter();
    let nodes = nodes.filter(|(nodes, _)| !nodes.is_empty()).map(|(_, word)| word.to_owned());
    Ok(broken.chain(nodes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_names_the_promises_that_were_broken_and_nodes_that_ended() {
        let text = r#"{"seed": 7, "crashes": ["a ended with 1"], "outcasts": [], "promises": [
            {"promise": "durability", "finding": "broken", "violations": [], "checked": 3},
            {"promise": "linearizability", "finding": "kept", "checked": 9}]}"#;
        assert_eq!(names(text.as_bytes()).unwrap(), ["durability", "crash"]);
    }
}
