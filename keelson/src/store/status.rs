//! `keelson store status`: a client that asks every member how it is.
//!
//! Stations: flags → [`query`] (gRPC) → [`report`] (pure) → a table or JSON on standard output.

mod query;

mod report;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::endpoint::Endpoint;
use crate::process;
use crate::table::Output;

/// The flags of `keelson store status`; named and settable by environment as those of etcdctl.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Members to ask for the list of all members; one that answers is enough.
    #[arg(long, env = "ETCDCTL_ENDPOINTS", value_name = "URLS", value_delimiter = ',', required = true)]
    endpoints: Vec<Endpoint>,
    /// The authority that signed the members' certificates.
    #[arg(long, env = "ETCDCTL_CACERT", value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// The certificate to show.
    #[arg(long, env = "ETCDCTL_CERT", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, env = "ETCDCTL_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl StatusArgs {
    /// Prints the report. The exit status is 0 only if every member answers, all agree on one leader, and none
    /// reports an alarm.
    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        process::install_crypto();
        let files =
            query::ClientFiles::read(self.cacert.as_ref(), self.cert.as_ref().zip(self.key.as_ref()))?;
        let answers = process::runtime()?.block_on(query::ask_all(&self.endpoints, &files))?;
        let report = report::Report::new(&answers);
        match self.output {
            Output::Table => print!("{}", report.table()),
            Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        }
        Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
