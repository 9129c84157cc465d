//! `keelson store status`: a client that asks every member how it is.
//!
//! Stations: flags → [`query`] (gRPC) → [`report`] (pure) → a table or JSON on standard output.

mod query;

mod report;

use std::error::Error;
use std::process::ExitCode;

use clap::Args;

use super::connection::ConnectionArgs;
use crate::process;
use crate::table::Output;

/// The flags of `keelson store status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl StatusArgs {
    /// Prints the report. The exit status is 0 only if every member answers, all agree on one leader, and
    /// none reports an alarm.
    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        process::install_crypto();
        let files = self.connection.files()?;
        let answers = process::runtime()?.block_on(query::ask_all(&self.connection, &files))?;
        let report = report::Report::new(&answers);
        match self.output {
            Output::Table => print!("{}", report.table()),
            Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        }
        Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
