//! Measures Keelson as its users meet it: real processes, mutual TLS, fsync on.
//!
//! In: the binary to measure. Out: a table on standard output, with the machine, the versions and the command
//! that made it. Four parts: the store, the API servers, pods on the node of a cluster that runs already, and the proof
//! (checkers and simulation). Where Debian's etcd is installed it is measured beside the store, in alternating rounds: the speed of a shared machine
//! drifts, and only figures of the same round compare.

mod api;

mod cluster;

mod failover;

mod load;

mod machine;

mod pods;

mod processes;

mod proof;

mod report;

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use cluster::{Cluster, Program};
use report::{Figures, Report};

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
    /// The kubeconfig file of a running cluster with a node; without it no pods are measured.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// What is measured [default: everything].
    #[arg(long, value_enum, value_delimiter = ',')]
    parts: Vec<Part>,
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

/// Clients that put at once.
const CLIENTS: [usize; 3] = [1, 100, 1000];

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
    if !options.without_etcd {
        programs.extend(Program::etcd());
    }
    let mut report = Report::new(&programs);
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);
    if wanted(Part::Store) {
        measure_store(options, &programs, &mut report).await?;
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

async fn measure_store(
    options: &Options,
    programs: &[Program],
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let mut clusters = Vec::new();
    for program in programs {
        eprintln!("bench: starting three members of {}", program.name);
        let cluster = Cluster::start(program, &options.binary).await?;
        report.figures(program).start = Some(cluster.ready_after);
        clusters.push(cluster);
    }
    for (program, cluster) in programs.iter().zip(&clusters) {
        report.figures(program).idle = Some(cluster.idle(Duration::from_secs(options.seconds)).await?);
    }
    for round in 1..=options.rounds {
        eprintln!("bench: round {round} of {}", options.rounds);
        for clients in CLIENTS {
            for (program, cluster) in programs.iter().zip(&clusters) {
                let figures: &mut Figures = report.figures(program);
                let point = load::puts(cluster, clients, Duration::from_secs(options.seconds)).await?;
                figures.puts.entry(clients).or_default().push(point);
            }
        }
    }
    for (program, cluster) in programs.iter().zip(&mut clusters) {
        eprintln!("bench: killing the leader of {} {} times", program.name, options.kills);
        report.figures(program).failovers = failover::measure(cluster, options.kills).await?;
    }
    Ok(())
}
