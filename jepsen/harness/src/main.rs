//! `keelson-jepsen`: real processes, real faults, and a verdict.
//!
//! In: a command line. Out: a folder per run, a verdict, an exit status. The path of a run:
//!
//! ```text
//!  cli ─► lab (a piece of this machine) ─► cluster (nodes in networks of their own)
//!                                            ▲                        ▲
//!              schedule ─► nemesis ─► fault ─┘   keelson-workloads ─► client
//!                             └───────► history ◄────┘
//!                                         ▼
//!                    keelson-checkers ─► verdict, timeline, smallest failing history
//! ```
//!
//! Deliberately absent: what clients do (`keelson-workloads`) and what is promised (`keelson-checkers`); both are shared
//! with the simulation. The store is reached over its wire only.

mod check;
mod clean;
mod cli;
mod client;
mod cluster;
mod connection;
mod exit;
mod failure;
mod fault;
mod folder;
mod lab;
mod list;
mod machine;
mod matrix;
mod nemesis;
mod run;
mod schedule;
mod target;
mod timeline;
mod tool;
mod verdict;

use std::process::ExitCode;

use clap::Parser as _;

use crate::clean::Janitor;
use crate::cli::{Cli, Command, RunArgs};
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure, Result};
use crate::machine::Machine;

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let inside = lab::take_inside(&mut arguments);
    let cli = Cli::parse_from(arguments);
    let exit = serve(cli.command, inside).unwrap_or_else(|failure| {
        eprintln!("keelson-jepsen: {failure}");
        Exit::HarnessFailed
    });
    exit.into()
}

/// One thread does everything, so that all clients share one clock and one order.
fn serve(command: Command, inside: Option<u64>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().doing("starting")?;
    runtime.block_on(async {
        match command {
            Command::Run(args) => run_or_enter(&args, inside).await,
            Command::List => {
                print!("{}", list::list(&Machine::look()));
                Ok(Exit::Kept)
            }
            Command::Check { history } => check::check(&history),
            Command::Matrix(args) => {
                Machine::look().lab().map_err(Failure::new)?;
                matrix::run(&args, &list::workloads(), fresh_seed()).await
            }
            Command::Clean { after: Some(run) } => {
                clean::clean_after(run, &Machine::look()).map(|()| Exit::Kept)
            }
            Command::Clean { after: None } => {
                clean::clean(&Machine::look())?.iter().for_each(|line| println!("{line}"));
                println!("nothing is left of runs that are over");
                Ok(Exit::Kept)
            }
        }
    })
}

async fn run_or_enter(args: &RunArgs, inside: Option<u64>) -> Result<Exit> {
    let machine = Machine::look();
    let plan = run::Plan::new(args, &machine, fresh_seed())?;
    if let Some(run) = inside {
        return plan.carry_out(run).await;
    }
    machine.lab().map_err(Failure::new)?;
    let run = rand::random();
    let janitor = plan.needs_janitor().then(|| Janitor::hire(run)).transpose()?;
    let exit = lab::enter(run).await;
    if let Some(janitor) = janitor {
        janitor.finish().await?;
    }
    exit
}

/// Short enough to be typed again.
fn fresh_seed() -> u64 {
    u64::from(rand::random::<u32>())
}
