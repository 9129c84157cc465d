//! `keelson store`: a member of the store alone, looking at members, and snapshots.
//!
//! Stations of a start: [`arguments`] (and [`config_file`]) → [`flags`] (text) → [`options`] (checked, plain)
//! → [`member`] (runs). [`status`] and `snapshot save` are clients, over [`connection`].

mod arguments;

mod authentication;

mod config_file;

mod connection;

mod flags;

mod foreign;

mod options;

mod member;

mod mutant;

mod recover;

mod replace;

mod snapshot;

mod start_again;

mod status;

use std::error::Error;
use std::process::ExitCode;

use clap::{Args, Subcommand};

pub(crate) use arguments::shape;

/// The flags of a member, or a subcommand.
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
    /// Run a member on a new machine in place of one that is lost, under its name.
    ///
    /// It removes the lost member, joins with an empty data folder, gets everything from the others and
    /// becomes a voter. Flags are those of a member, and those with which a client reaches the others. It
    /// goes on as the member; start it later as any other, with --initial-cluster-state=existing.
    Replace(Box<replace::ReplaceArgs>),
    /// After a majority of the members is lost for good: make a new cluster of what is left on this one's
    /// disk.
    ///
    /// Without --yes it changes nothing and tells what survives; look at each disk that is left, and go on
    /// with the one with the highest revision. Flags are those that the member has always had. The new cluster begins
    /// with this member alone, whomever else --initial-cluster names; what is left of the old one can never join it, nor
    /// disturb it.
    Recover(Box<recover::RecoverArgs>),
    /// Save the state of a running store to a file, look at such a file, make a cluster of it.
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self.inspect {
            Some(Inspect::Status(args)) => args.run(),
            Some(Inspect::Replace(args)) => args.run(),
            Some(Inspect::Recover(args)) => args.run(),
            Some(Inspect::Snapshot(command)) => command.run(),
            None => member::run(self.flags),
        }
    }
}
