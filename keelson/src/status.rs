//! `keelson status`: a client that asks every server how it is, and the cluster who leads what.
//!
//! Stations: flags → [`query`] (HTTPS, with a kubeconfig file) → [`report`] (pure) → a table or JSON on standard
//! output.

pub(crate) mod query;

mod report;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use time::OffsetDateTime;

use crate::process;
use crate::table::Output;

/// The flags of `keelson status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The kubeconfig file to use [default: those that KUBECONFIG names, else ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl StatusArgs {
    /// Prints the report. The exit status is 0 only if nothing is found that is not well.
    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        process::install_crypto();
        let answers = process::runtime()?.block_on(query::ask_all(self.kubeconfig.as_deref()))?;
        let report = report::Report::new(&answers, OffsetDateTime::now_utc());
        match self.output {
            Output::Table => print!("{}", report.table()),
            Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        }
        Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
