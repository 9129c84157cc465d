//! `keelson server`: an API server with its replica of the store.
//!
//! Stations of a start: [`flags`] (text) → [`options`] (checked, plain) → [`files`] (certificates and keys) →
//! [`run`], with [`components`] beside it.

mod flags;

mod options;

mod files;

mod components;

mod run;

use std::error::Error;
use std::process::ExitCode;

use clap::Args;

/// The flags of `keelson server`.
#[derive(Debug, Args)]
pub(crate) struct Command {
    #[command(flatten)]
    flags: flags::Flags,
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        run::run(self.flags)
    }
}
