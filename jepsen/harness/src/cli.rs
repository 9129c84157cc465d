//! The command line: text to values, and nothing else.

use std::path::PathBuf;

use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand, ValueEnum as _};
use serde::{Deserialize, Serialize};

use crate::target::Target;

/// Runs the store as real processes under real faults, and judges what its clients saw.
///
/// Exit status: 0 every promise was kept, 1 a promise was broken, 2 the harness failed or was called wrongly, 3 nothing
/// could be checked or no fault could be injected.
#[derive(Debug, Parser)]
#[command(name = "keelson-jepsen", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workload under faults, and judge it.
    Run(RunArgs),
    /// List workloads, promises and faults, and what this machine can inject.
    List,
    /// Judge a recorded history (history.jsonl of a run) by every promise.
    Check {
        /// The file.
        history: PathBuf,
    },
    /// Run all workloads under all faults, in pieces that add up.
    Matrix(MatrixArgs),
    /// Remove what runs have left on this machine that are over.
    Clean {
        /// Wait for the end of standard input, and then for that of this run, which is removed alone.
        #[arg(long, hide = true)]
        after: Option<u64>,
    },
}

/// What every run needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct LabArgs {
    /// How many nodes: 3 or 5.
    #[arg(long, default_value = "3", value_parser = clap::builder::PossibleValuesParser::new(["3", "5"]).map(|text| node_count(&text)))]
    pub(crate) nodes: usize,
    /// What is tested.
    #[arg(long, value_enum, default_value_t = Target::Keelson)]
    pub(crate) target: Target,
    /// The keelson binary [default: keelson beside this program]. It also makes the certificates for another target.
    #[arg(long, env = "KEELSON_BIN", value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Operations per second, of all clients together [default: the workload's own].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
}

impl LabArgs {
    /// What another process of this program is told, so that its lab is like this one.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let target = self.target.to_possible_value().map(|target| format!("--target={}", target.get_name()));
        let binary = self.binary.as_ref().map(|file| format!("--binary={}", file.display()));
        let rate = self.rate.map(|rate| format!("--rate={rate}"));
        let nodes = Some(format!("--nodes={}", self.nodes));
        [nodes, target, binary, rate].into_iter().flatten().collect()
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// What clients do; `list` names all.
    #[arg(long, value_name = "NAME")]
    pub(crate) workload: String,
    /// What is broken meanwhile: faults or families of faults, `none` for nothing; `list` names all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "none")]
    pub(crate) faults: Vec<String>,
    /// Seconds; the last of them, up to 20, without faults.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub(crate) time: u64,
    /// Decides what clients do and when what breaks [default: a new one, which is printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A new folder for history, verdict, logs and timeline [default: one in var/jepsen].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Read from what a node happens to know, and claim that it was linearizable: the verdict must be 1.
    #[arg(long)]
    pub(crate) stale_reads: bool,
    /// A known bug that the nodes shall have; their binary must have been built with them. The verdict must be 1.
    #[arg(long, env = "KEELSON_MUTANT", value_name = "NAME")]
    pub(crate) mutant: Option<String>,
    #[command(flatten)]
    pub(crate) lab: LabArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MatrixArgs {
    /// Workloads [default: all].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) workloads: Vec<String>,
    /// Faults or families of faults, `none` included [default: none, and every family].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) faults: Vec<String>,
    /// Seconds per run.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub(crate) time_per_run: u64,
    /// Begin no further run after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) budget: Option<u64>,
    /// Go on with the matrix in this folder; its workloads, faults, time, seed, nodes, target and rate hold.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["workloads", "faults", "time_per_run", "seed", "out", "nodes", "target", "rate"])]
    pub(crate) resume: Option<PathBuf>,
    /// Decides the order, and the seed of each run [default: a new one, which is printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A new folder for all runs [default: one in var/jepsen].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lab: LabArgs,
}

fn node_count(text: &str) -> usize {
    if text == "5" { 5 } else { 3 }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_has_defaults_for_all_but_the_workload() {
        let cli = Cli::parse_from(["keelson-jepsen", "run", "--workload", "register", "--nodes", "5"]);
        let Command::Run(run) = cli.command else { panic!("{cli:?}") };
        assert_eq!((run.faults, run.time, run.lab.nodes), (vec!["none".to_owned()], 60, 5));
        assert!(Cli::try_parse_from(["keelson-jepsen", "run", "--workload", "x", "--nodes", "4"]).is_err());
        assert!(Cli::try_parse_from(["keelson-jepsen", "run"]).is_err());
    }

    #[test]
    fn a_matrix_that_goes_on_is_told_nothing_that_it_knows() {
        let resume = |more: &[&str]| {
            Cli::try_parse_from([&["keelson-jepsen", "matrix", "--resume", "x"][..], more].concat()).is_ok()
        };
        assert!(resume(&[]) && resume(&["--budget=9"]));
        for other in ["--nodes=5", "--target=etcd", "--rate=7", "--seed=1"] {
            assert!(!resume(&[other]), "{other}");
        }
    }
}
