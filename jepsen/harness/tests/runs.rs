//! The program as people call it: short runs against real processes, what they leave behind, and what they say.
//!
//! Runs need root, the tools that `keelson-jepsen list` asks for, and a keelson binary beside the program (`cargo build
//! -p keelson`, or a test of the whole workspace, makes it). Where one is missing the test says that it was skipped, and
//! why.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// For anything that should happen soon, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(50);

fn jepsen() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keelson-jepsen"));
    command.env_remove("KEELSON_BIN").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    jepsen().args(arguments).output().unwrap()
}

fn printed(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).join("\n")
}

/// Whether runs are possible here; if not, says why.
fn can_run() -> bool {
    let binary = Path::new(env!("CARGO_BIN_EXE_keelson-jepsen")).with_file_name("keelson");
    if !binary.is_file() {
        println!("skipped: there is no {}", binary.display());
        return false;
    }
    let list = printed(&run(&["list"]));
    let why = list.lines().find(|line| line.starts_with("This machine cannot run them"));
    why.iter().for_each(|why| println!("skipped: {why}"));
    why.is_none()
}

/// The finding about a promise in a folder's verdict.
fn finding(folder: &Path, promise: &str) -> String {
    let verdict = fs::read_to_string(folder.join("verdict.json")).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    let promises = verdict["promises"].as_array().unwrap();
    let judged = promises.iter().find(|judged| judged["promise"] == promise);
    judged.map(|judged| judged["finding"].as_str().unwrap().to_owned()).unwrap_or_default()
}

/// How often a fault was felt, and why it was not otherwise, by a folder's verdict.
fn felt(folder: &Path, fault: &str) -> (u64, String) {
    let verdict = fs::read_to_string(folder.join("verdict.json")).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    let faults = verdict["faults"].as_array().unwrap();
    let row = faults.iter().find(|row| row["fault"] == fault).unwrap();
    (row["injected"].as_u64().unwrap(), row["skipped"].to_string())
}

/// Runs a workload that writes much under one fault, whose promises must all be kept, and shows the folder.
fn under_fault(fault: &str, seconds: u32, show: impl FnOnce(&Path)) {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (fault, time, path) =
        (format!("--faults={fault}"), format!("--time={seconds}"), out.to_str().unwrap());
    let output = run(&["run", "--workload=revisions", "--seed=11", &fault, &time, "--out", path]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    show(&out);
}

/// What all nodes have logged.
fn logs(folder: &Path) -> String {
    ["a.log", "b.log", "c.log"].map(|log| fs::read_to_string(folder.join(log)).unwrap()).join("\n")
}

#[test]
fn who_was_away_long_enough_is_sent_a_snapshot() {
    under_fault("snapshot", 14, |out| {
        assert!(felt(out, "snapshot").0 > 0);
        assert!(logs(out).contains("installed a snapshot"));
    });
}

#[test]
fn bits_flip_in_the_state_itself() {
    under_fault("bitflip-state", 12, |out| {
        let seen = fs::read_to_string(out.join("faults.txt")).unwrap();
        assert!(felt(out, "bitflip-state").0 > 0);
        assert!(seen.contains("bitflip-state: changed ") && seen.contains(".sst of "), "{seen}");
        assert!(!seen.contains("log/"), "{seen}");
    });
}

#[test]
fn bits_that_flip_in_a_log_are_noticed() {
    under_fault("bitflip-log", 12, |out| {
        let seen = fs::read_to_string(out.join("faults.txt")).unwrap();
        assert!(felt(out, "bitflip-log").0 > 0);
        assert!(seen.contains("ended by itself, saying: ") || seen.contains(" said: "), "{seen}");
    });
}

#[test]
fn a_full_disk_is_felt() {
    under_fault("disk-full", 12, |out| {
        assert!(felt(out, "disk-full").0 > 0);
        assert!(logs(out).contains("space left on device"));
    });
}

#[test]
fn who_is_dead_already_is_not_hit_once_more() {
    under_fault("wipe", 30, |out| {
        let (injected, skipped) = felt(out, "wipe");
        assert!(injected > 0 && skipped.contains("dead already"), "{injected} times, {skipped}");
        let seen = fs::read_to_string(out.join("faults.txt")).unwrap();
        assert!(
            seen.contains("ended by itself, saying: ") && seen.contains("refuses this replica"),
            "{seen}"
        );
    });
}

#[test]
fn a_slow_disk_is_slow_and_leaves_nothing_behind() {
    under_fault("disk-slow", 12, |out| {
        assert!(felt(out, "disk-slow").0 > 0);
        wait_until("no control group is left", other_runs);
    });
}

/// A run whose promises must all be kept, and whose folder must hold everything.
fn expect_kept(workload: &str) {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let faults = "--faults=kill-leader,partition-halves";
    let path = out.to_str().unwrap();
    let output = run(&["run", "--workload", workload, faults, "--time=12", "--seed=7", "--out", path]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    for file in ["history.jsonl", "history.edn", "verdict.json", "timeline.html", "a.log", "b.log", "c.log"] {
        assert!(fs::metadata(out.join(file)).unwrap().len() > 0, "{file} is empty");
    }
    let table = printed(&output);
    for fault in ["kill-leader", "partition-halves"] {
        let line = table.lines().find(|line| line.trim_start().starts_with("fault") && line.contains(fault));
        // Once is enough: the next time nobody may lead.
        let struck = line.and_then(|line| line.split_whitespace().nth(2)?.parse::<u32>().ok());
        assert!(struck.is_some_and(|struck| struck > 0), "{table}");
    }
    let history = out.join("history.jsonl");
    let checked = run(&["check", history.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "a history is judged as its run was:\n{}", printed(&checked));
}

#[test]
fn registers_are_linearizable_while_the_leader_dies_and_the_network_is_cut() {
    expect_kept("register");
}

#[test]
fn watchers_miss_nothing_while_the_leader_dies_and_the_network_is_cut() {
    expect_kept("watch");
}

#[test]
fn a_client_that_reads_stale_values_of_etcd_is_found_out() {
    if !can_run() {
        return;
    }
    if !Path::new("/usr/bin/etcd").is_file() {
        println!("skipped: etcd is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stale = ["run", "--target=etcd", "--workload=register", "--faults=pause-minority", "--stale-reads"];
    // Whom a pause hits, and whether somebody reads there soon after it, is up to the machine.
    let caught = (7..12).find_map(|seed| {
        let (out, seed) = (folder.path().join(format!("run-{seed}")), format!("--seed={seed}"));
        let output = run(&[&stale[..], &["--time=12", &seed, "--out", out.to_str().unwrap()]].concat());
        match output.status.code() {
            Some(0) => None,
            Some(1) => Some(out),
            _ => panic!("{}", printed(&output)),
        }
    });
    let caught = caught.expect("one of five runs shows that values are stale");
    let promises = ["linearizability", "monotonic_revisions", "watch_progress_never_ahead"];
    assert!(promises.iter().any(|promise| finding(&caught, promise) == "broken"));
    let smallest = caught.join("minimal.jsonl");
    let checked = run(&["check", smallest.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1), "the smallest history still fails:\n{}", printed(&checked));
}

#[test]
fn a_killed_run_leaves_nothing_behind() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let path = out.to_str().unwrap();
    let mut killed = jepsen();
    killed.args(["run", "--workload=register", "--faults=disk-slow", "--time=60", "--out", path]);
    let mut killed = killed.stdout(Stdio::null()).spawn().unwrap();
    wait_until("all nodes run", || holders(&out).len() >= 3);
    killed.kill().unwrap();
    killed.wait().unwrap();
    wait_until("the nodes are gone", || holders(&out).is_empty());
    wait_until("its control group is gone, without being asked", other_runs);
    assert_eq!(run(&["clean"]).status.code(), Some(0));
}

#[test]
fn a_killed_matrix_leaves_no_run_behind() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("matrix");
    let arguments = ["matrix", "--workloads=register", "--faults=none", "--time-per-run=60", "--out"];
    let mut killed = jepsen().args(arguments).arg(&out).stdout(Stdio::null()).spawn().unwrap();
    wait_until("all nodes run", || holders(&out).len() >= 3);
    killed.kill().unwrap();
    killed.wait().unwrap();
    wait_until("the run is over", || holders(&out).is_empty());
}

/// Processes that have a file of this folder open: nodes write their logs there.
fn holders(folder: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let holds = |process: &PathBuf| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten();
        files.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).any(|file| file.starts_with(folder))
    };
    processes.filter(holds).collect()
}

fn groups() -> Vec<PathBuf> {
    let roots = ["/sys/fs/cgroup/blkio", "/sys/fs/cgroup"].map(fs::read_dir);
    let entries = roots.into_iter().flatten().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_ours = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("keelson-jepsen-");
    entries.filter(is_ours).collect()
}

/// Whether every group that is still there belongs to a run of somebody else.
fn other_runs() -> bool {
    groups()
        .iter()
        .all(|group| fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty()))
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(PACE);
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_a_cure() {
    let binary = format!("--binary={}", env!("CARGO_BIN_EXE_keelson-jepsen"));
    for (arguments, said) in [
        (vec!["run", "--workload=nonsense", &binary], "there is no workload \"nonsense\""),
        (vec!["run", "--workload=register", "--faults=kil", &binary], "there is no fault \"kil\""),
        (vec!["run", "--workload=register", "--binary=/nowhere"], "there is no keelson binary at /nowhere"),
        (vec!["check", "/nowhere"], "/nowhere: No such file"),
        (vec!["check", "/"], "is a folder"),
        (vec!["matrix", "--resume", "/nowhere"], "/nowhere"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", printed(&output));
        assert!(printed(&output).contains(said) || printed(&output).contains("root"), "{}", printed(&output));
    }
}

#[test]
fn a_history_that_was_cut_short_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let meta =
        r#"{"history":{"version":1,"meta":{"workload":"register","seed":1,"faults":[],"nodes":["a"]}}}"#;
    writeln!(file, "{meta}").unwrap();
    let output = run(&["check", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(printed(&output).contains("cut short"), "{}", printed(&output));
}
