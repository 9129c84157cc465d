//! `keelson-jepsen matrix`: all workloads under all faults, in pieces that add up.
//!
//! In: names of workloads and faults, and how much time there is. Out: a folder with one run per cell, and `matrix.json`,
//! from which a later call goes on. Each run is a process of its own: one that dies takes no other with it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::cli::{LabArgs, MatrixArgs};
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure, Result};
use crate::lab::mortal;
use crate::{fault, folder};

const FILE: &str = "matrix.json";
/// The fault that is none.
pub(crate) const NONE: &str = "none";

/// Everything that has to be done, and what came of what was done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Matrix {
    seconds_per_run: u64,
    seed: u64,
    /// What every run is told.
    lab: LabArgs,
    /// In the order in which they are run.
    cells: Vec<Cell>,
}

/// One workload under one fault or family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cell {
    workload: String,
    fault: String,
    seed: u64,
    /// `None`: not run yet.
    outcome: Option<Exit>,
}

impl Matrix {
    /// What is named twice is run once.
    fn plan(workloads: &[String], faults: &[String], seconds_per_run: u64, seed: u64, lab: &LabArgs) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let pairs = workloads.iter().flat_map(|workload| faults.iter().map(move |fault| (workload, fault)));
        let mut planned = BTreeSet::new();
        let pairs = pairs.filter(|pair| planned.insert(*pair));
        let mut cells: Vec<_> = pairs
            .map(|(workload, fault)| Cell {
                workload: workload.clone(),
                fault: fault.clone(),
                seed: u64::from(random.random::<u32>()),
                outcome: None,
            })
            .collect();
        // Whatever time there is, every workload and every fault gets some of it.
        cells.shuffle(&mut random);
        Self { seconds_per_run, seed, lab: lab.clone(), cells }
    }

    fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).doing(path.display())?;
        serde_json::from_str(&text).doing(path.display())
    }

    fn save(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).doing(FILE)?;
        folder::write(folder, FILE, text)
    }

    /// The worst of all cells; what was not run does not count.
    fn outcome(&self) -> Exit {
        self.cells.iter().filter_map(|cell| cell.outcome).max().unwrap_or(Exit::NothingChecked)
    }

    fn left(&self) -> usize {
        self.cells.iter().filter(|cell| cell.outcome.is_none()).count()
    }

    fn table(&self) -> String {
        let names = |of: fn(&Cell) -> &String| {
            let mut names: Vec<_> = self.cells.iter().map(of).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let (workloads, faults) = (names(|cell| &cell.workload), names(|cell| &cell.fault));
        let mut text = format!("{:<14}", "");
        text.extend(faults.iter().map(|fault| format!(" {fault:>16}")));
        for workload in workloads {
            text += &format!("\n{workload:<14}");
            for fault in &faults {
                let of = |cell: &&Cell| (&cell.workload, &cell.fault) == (workload, *fault);
                let outcome = self.cells.iter().find(of).and_then(|cell| cell.outcome);
                text += &format!(" {:>16}", word(outcome));
            }
        }
        text
    }
}

fn word(outcome: Option<Exit>) -> &'static str {
    match outcome {
        None => "-",
        Some(Exit::Kept) => "kept",
        Some(Exit::Broken) => "BROKEN",
        Some(Exit::HarnessFailed) => "FAILED",
        Some(Exit::NothingChecked) => "unchecked",
    }
}

/// Runs what is left, as far as the budget goes; answers the worst of all that was run so far.
pub(crate) async fn run(args: &MatrixArgs, workloads: &[&str], fresh_seed: u64) -> Result<Exit> {
    let begun = Instant::now();
    let budget = args.budget.map(Duration::from_secs);
    let (folder, mut matrix) = open(args, workloads, fresh_seed)?;
    println!("matrix of {} runs in {}, seed {}", matrix.cells.len(), folder.display(), matrix.seed);
    for place in 0..matrix.cells.len() {
        if matrix.cells[place].outcome.is_some() {
            continue;
        }
        if budget.is_some_and(|budget| begun.elapsed() >= budget) {
            break;
        }
        let cell = matrix.cells[place].clone();
        let outcome = run_cell(&cell, matrix.seconds_per_run, &folder, &matrix.lab).await?;
        println!("{:>8}  {} under {} (seed {})", word(Some(outcome)), cell.workload, cell.fault, cell.seed);
        matrix.cells[place].outcome = Some(outcome);
        matrix.save(&folder)?;
    }
    println!("\n{}\n", matrix.table());
    if matrix.left() > 0 {
        let (left, all) = (matrix.left(), matrix.cells.len());
        println!("{left} of {all} runs are left: keelson-jepsen matrix --resume {}", folder.display());
    }
    Ok(matrix.outcome())
}

fn open(args: &MatrixArgs, workloads: &[&str], fresh_seed: u64) -> Result<(PathBuf, Matrix)> {
    if let Some(folder) = &args.resume {
        let matrix = Matrix::load(folder)?;
        refuse_other_binary(&matrix.lab, &args.lab)?;
        return Ok((folder.clone(), matrix));
    }
    let or_all = |given: &[String], all: &mut dyn Iterator<Item = &str>| {
        if given.is_empty() { all.map(str::to_owned).collect() } else { given.to_vec() }
    };
    let chosen = or_all(&args.workloads, &mut workloads.iter().copied());
    if let Some(unknown) = chosen.iter().find(|chosen| !workloads.contains(&chosen.as_str())) {
        return Err(Failure::new(format!(
            "there is no workload {unknown:?}; `keelson-jepsen list` names all"
        )));
    }
    let faults = or_all(&args.faults, &mut std::iter::once(NONE).chain(fault::families()));
    for name in faults.iter().filter(|name| *name != NONE) {
        fault::called(name).map_err(Failure::new)?;
    }
    let seed = args.seed.unwrap_or(fresh_seed);
    let folder = folder::make(args.out.as_deref(), &format!("matrix-{seed}"))?;
    let matrix = Matrix::plan(&chosen, &faults, args.time_per_run, seed, &args.lab);
    matrix.save(&folder)?;
    Ok((folder, matrix))
}

/// One table tells of one program. The variable of the environment counts as well.
fn refuse_other_binary(known: &LabArgs, given: &LabArgs) -> Result<()> {
    if given.binary.is_none() || given.binary == known.binary {
        return Ok(());
    }
    let beside = || "the binary beside this program".to_owned();
    let begun = known.binary.as_ref().map_or_else(beside, |file| file.display().to_string());
    let cure = "leave --binary and KEELSON_BIN out, or begin another one";
    Err(Failure::new(format!("this matrix was begun with {begun}: {cure}")))
}

async fn run_cell(cell: &Cell, seconds: u64, folder: &Path, lab: &LabArgs) -> Result<Exit> {
    let name = format!("{}-{}", cell.workload, cell.fault);
    let printed = folder.join(format!("{name}.txt"));
    let file = File::create(&printed).doing(printed.display())?;
    let own = std::env::current_exe().doing("finding this program's file")?;
    let mut command = tokio::process::Command::from(mortal(own));
    command.args(["run", "--workload", &cell.workload, "--faults", &cell.fault]);
    command.arg(format!("--time={seconds}")).arg(format!("--seed={}", cell.seed));
    command.arg("--out").arg(fresh(&folder.join(name))).args(lab.arguments());
    command.stdin(Stdio::null()).stderr(file.try_clone().doing("sharing a file")?).stdout(file);
    let status = command.kill_on_drop(true).status().await.doing("starting a run")?;
    Ok(Exit::from_code(status.code()))
}

/// A run that was interrupted has left its folder; the next attempt takes another.
fn fresh(folder: &Path) -> PathBuf {
    let mut attempt = 2;
    let mut path = folder.to_owned();
    while path.exists() {
        path = PathBuf::from(format!("{}.{attempt}", folder.display()));
        attempt += 1;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn lab(target: Target) -> LabArgs {
        LabArgs { nodes: 5, target, binary: Some("k".into()), rate: Some(7) }
    }

    #[test]
    fn a_matrix_has_every_pair_once_in_an_order_of_its_seed() {
        let (workloads, faults) = (names(&["a", "b", "c", "a"]), names(&["none", "kill", "none"]));
        let plan = |seed| Matrix::plan(&workloads, &faults, 10, seed, &lab(Target::Keelson));
        let pairs = |matrix: &Matrix| {
            matrix.cells.iter().map(|cell| format!("{} {}", cell.workload, cell.fault)).collect::<Vec<_>>()
        };
        assert_eq!(plan(1), plan(1));
        assert_ne!(pairs(&plan(1)), pairs(&plan(2)));
        let mut sorted = pairs(&plan(1));
        sorted.sort();
        assert_eq!(sorted, ["a kill", "a none", "b kill", "b none", "c kill", "c none"]);
    }

    #[test]
    fn pieces_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut matrix = Matrix::plan(&names(&["a"]), &names(&["none", "kill"]), 10, 1, &lab(Target::Etcd));
        assert_eq!((matrix.left(), matrix.outcome()), (2, Exit::NothingChecked));
        matrix.cells[0].outcome = Some(Exit::Kept);
        matrix.save(folder.path()).unwrap();
        let mut matrix = Matrix::load(folder.path()).unwrap();
        assert_eq!((matrix.left(), matrix.outcome()), (1, Exit::Kept));
        assert_eq!(matrix.lab, lab(Target::Etcd), "it goes on as it was begun");
        let given = |binary: Option<&str>| LabArgs { binary: binary.map(Into::into), ..lab(Target::Keelson) };
        assert!(refuse_other_binary(&matrix.lab, &given(None)).is_ok());
        assert!(refuse_other_binary(&matrix.lab, &given(Some("k"))).is_ok());
        assert!(refuse_other_binary(&matrix.lab, &given(Some("other"))).is_err());
        matrix.cells[1].outcome = Some(Exit::Broken);
        assert_eq!((matrix.left(), matrix.outcome()), (0, Exit::Broken));
        assert!(matrix.table().contains("BROKEN"), "{}", matrix.table());
    }
}
