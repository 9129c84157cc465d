//! Measures Keelson as its users meet it: real processes, mutual TLS, fsync on.
//!
//! In: the binary to measure. Out: a table on standard output, with the machine, the versions and the command
//! that made it. Four parts: the store, the API servers, pods on the node of a cluster that runs already, and the proof
//! (checkers and simulation). Where Debian's etcd is installed it is measured beside the store, in alternating rounds: the speed of a shared machine
//! drifts, and only figures of the same round compare.

mod api;

mod call;

mod cluster;

mod failover;

mod figures;

mod growth;

mod history;
mod lagging;

mod load;

mod machine;

mod pods;

mod processes;

mod proof;

mod report;

mod rows;

mod watchers;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use cluster::Program;
use report::Report;
use rows::Row;

/// Measure the store, the API servers and pods on this machine.
#[derive(Debug, Parser)]
#[command(name = "keelson-bench")]
struct Options {
    /// The keelson binary, a release build.
    #[arg(long)]
    binary: PathBuf,
    /// Seconds per point of load.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Rounds; the table shows medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How often the leader is killed.
    #[arg(long, default_value_t = 5)]
    kills: usize,
    /// Leave etcd out, even where it is installed.
    #[arg(long)]
    without_etcd: bool,
    /// Another keelson binary, which takes etcd's place: what a change has brought.
    #[arg(long, conflicts_with = "without_etcd")]
    beside: Option<PathBuf>,
    /// The kubeconfig file of a running cluster with a node; without it no pods are measured.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// What is measured [default: everything, or the store alone where rows are named].
    #[arg(long, value_enum, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Which rows of the store [default: all].
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Keys that members hold whose memory is measured; a long run: 1,000,000.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// MiB of values in the store that is opened; a long run: 2,048.
    #[arg(long, default_value_t = 128)]
    open_mib: u64,
    /// MiB of history that is compacted away; a long run: 1,024.
    #[arg(long, default_value_t = 128)]
    history_mib: u64,
    /// MiB of values that a member misses which then gets a snapshot; a long run: 1,024.
    #[arg(long, default_value_t = 128)]
    lag_mib: u64,
}

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Three members of the store alone.
    Store,
    /// Three API servers.
    Api,
    /// Pods on a node.
    Pods,
    /// Checkers and simulation.
    Proof,
}

/// What the load generator costs is taken from the store that it shares the machine with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    // It fails only if there is one already, and `ring` is the only one in the tree.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(measure(&options)));
    match measured {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Result<Report, Box<dyn Error>> {
    let mut programs = vec![Program::keelson(options.binary.clone())?];
    match &options.beside {
        Some(other) => programs.push(Program::other_keelson(other.clone())?),
        None if options.without_etcd => {}
        None => programs.extend(Program::etcd()),
    }
    let mut report = Report::new(&programs);
    let wanted = |part| {
        if options.parts.is_empty() {
            options.rows.is_empty() || part == Part::Store
        } else {
            options.parts.contains(&part)
        }
    };
    if wanted(Part::Store) {
        report.store = rows::measure(options, &programs).await?;
    }
    if wanted(Part::Api) {
        eprintln!("bench: three API servers");
        report.api = Some(api::measure(&options.binary, options.seconds).await?);
    }
    match &options.kubeconfig {
        Some(kubeconfig) if wanted(Part::Pods) => {
            eprintln!("bench: pods");
            report.pods = Some(pods::measure(kubeconfig).await?);
        }
        None if wanted(Part::Pods) => {
            eprintln!("skipped: pods: no cluster with a node runs here; make up, as root")
        }
        Some(_) | None => {}
    }
    if wanted(Part::Proof) {
        eprintln!("bench: checkers and simulation");
        report.proof = Some(proof::measure()?);
    }
    Ok(report)
}
