//! `keelson store`: a member of the store alone, and looking at members.
//!
//! Stations of a start: [`flags`] (text) → [`options`] (checked, plain) → [`member`] (runs). [`status`] is a client.

mod flags;

mod options;

mod member;

mod mutant;

mod status;

use std::error::Error;
use std::process::ExitCode;

use clap::{Args, Subcommand};

/// The flags of `keelson store`, or one of its subcommands.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    inspect: Option<Inspect>,
    #[command(flatten)]
    flags: flags::Flags,
}

#[derive(Debug, Subcommand)]
enum Inspect {
    /// Print the members of a running store: role, revision, and how far behind each is.
    Status(status::StatusArgs),
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self.inspect {
            Some(Inspect::Status(args)) => args.run(),
            None => member::run(self.flags),
        }
    }
}
