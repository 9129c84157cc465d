//! `keelson store`: a member of the store alone, looking at members, and snapshots.
//!
//! Stations of a start: [`arguments`] (and [`config_file`]) → [`flags`] (text) → [`options`] (checked, plain) → [`member`] (runs). [`status`] and
//! `snapshot save` are clients, over [`connection`].

mod arguments;

mod config_file;

mod connection;

mod flags;

mod foreign;

mod options;

mod member;

mod mutant;

mod snapshot;

mod status;

use std::error::Error;
use std::process::ExitCode;

use clap::{Args, Subcommand};

pub(crate) use arguments::shape;

/// The flags of `keelson store`, or one of its subcommands.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, args_override_self = true)]
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
    /// Save the state of a running store to a file, look at such a file, make a cluster of it.
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self.inspect {
            Some(Inspect::Status(args)) => args.run(),
            Some(Inspect::Snapshot(command)) => command.run(),
            None => member::run(self.flags),
        }
    }
}
