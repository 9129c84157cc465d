//! The Keelson binary: command line and wiring only.
//!
//! In: arguments, environment, signals. Out: a running server, or a report on standard output; errors and logs on
//! standard error, and an exit status (0 done, 1 failed, 2 wrong use).
//!
//! Deliberately absent: any knowledge of what a store or an API server does. Each subcommand is a module that
//! turns flags into the plain options of the crate that does the work.

mod backup;

mod cli;

mod pki;

mod server;

mod node;

mod store;

mod status;

mod table;

mod quorum;

mod remove_server;

mod error_chain;

mod replica;

mod initial_cluster;

mod endpoint;

mod service_network;

mod pod_network;

mod span;

mod process;

use std::process::ExitCode;

/// The store allocates and frees many short-lived buffers on few threads; the system's allocator keeps several
/// times more memory for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::parse_process().map_err(Into::into).and_then(cli::Cli::run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("keelson: {error}");
            ExitCode::FAILURE
        }
    }
}
