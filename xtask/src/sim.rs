//! `cargo xtask sim`: builds the simulator and hands its arguments on.
//!
//! In: the simulator's own arguments, untouched. Out: what it prints, and its exit status. Deliberately absent: what
//! those arguments are; `cargo xtask sim --help` asks the simulator.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use clap::Args;

/// What the simulator is told.
#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// See `cargo xtask sim --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs the simulator.
///
/// # Errors
///
/// It cannot be built or started.
pub(crate) fn run(args: &SimArgs) -> Result<ExitCode, String> {
    // Cargo sets it for what it runs.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(crate::root()).args(["run", "--quiet", "--profile", "sim", "--package", "keelson-sim"]);
    // With them, a seed that hunted a mutant can be repeated without building anew.
    cargo.args(["--features", "mutants", "--"]).args(&args.arguments);
    let status = cargo.status().map_err(|error| format!("cargo cannot be started: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
