//! Project tooling, run as `cargo xtask <command>`.
//!
//! In: the checkout. Out: problems in it (`tidy`), or files made from other files (`schema`).

mod mutants;

mod schema;

mod sim;

mod tidy;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{Parser, Subcommand};

/// Tools for working on Keelson.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Switch on known bugs in the store, one after the other, and prove that each is found.
    Mutants(mutants::MutantsArgs),
    /// Run a whole cluster in one thread, deterministically, and break it.
    #[command(disable_help_flag = true)]
    Sim(sim::SimArgs),
    /// Check the project's own rules: those of CONTRIBUTING.md that neither rustc nor clippy can check.
    Tidy,
    /// Make the table of built-in types that the schema engine embeds.
    Schema {
        /// The facts about the Kubernetes API types, a JSON file.
        #[arg(value_name = "FACTS")]
        input: PathBuf,
        /// The table [default: apiserver/schema/src/table/api.txt].
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Mutants(args) => mutants::run(&args),
        Command::Sim(args) => match sim::run(&args) {
            Ok(status) => return status,
            Err(error) => Err(error),
        },
        Command::Tidy => tidy::run(root()),
        Command::Schema { input, output } => {
            let output = output.unwrap_or_else(|| root().join("apiserver/schema/src/table/api.txt"));
            schema::run(&input, &output)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout: the folder above this crate's, which cargo names to what it runs; without cargo, where one stands.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| match env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) {
        Some(mut own) => {
            own.pop();
            own
        }
        None => PathBuf::from("."),
    })
}
