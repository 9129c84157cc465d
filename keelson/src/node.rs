//! `keelson node`: a node, which runs pods, carries Service traffic and answers names.
//!
//! Stations of a start: [`flags`] (text) → [`options`] (checked, plain) → [`run`].

mod flags;

mod identity;

mod options;

mod run;

use std::error::Error;
use std::process::ExitCode;

use clap::Args;

/// The flags of `keelson node`.
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
