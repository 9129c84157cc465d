//! `keelson store snapshot status`: what a file holds, after its checksum was found to fit.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use keelson_store::export::Contents;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::check;
use crate::table::{Output, align};

/// The flags of `keelson store snapshot status`.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The file.
    file: PathBuf,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// What is printed. Its JSON form is a promise to programs; the first four have etcdutl's names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Over keys and leases: the same after a restore.
    hash: u64,
    revision: u64,
    total_key: u64,
    total_size: u64,
    leases: u64,
    /// The cluster that it is from, in hexadecimal.
    cluster: String,
    /// When it was taken.
    taken: String,
}

impl FileArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let report = Report::of(&check(&self.file)?);
        match self.output {
            Output::Table => print!("{}", report.table()),
            Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Report {
    fn of(contents: &Contents) -> Self {
        let Contents { head, totals, len, .. } = contents;
        Self {
            hash: totals.contents,
            revision: head.revision.get(),
            total_key: totals.keys,
            total_size: *len,
            leases: totals.leases,
            cluster: format!("{:x}", head.cluster.get()),
            taken: rfc3339(head.taken_ms),
        }
    }

    fn table(&self) -> String {
        let header = ["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "LEASES", "CLUSTER", "TAKEN"];
        let row = [
            format!("{:016x}", self.hash),
            self.revision.to_string(),
            self.total_key.to_string(),
            self.total_size.to_string(),
            self.leases.to_string(),
            self.cluster.clone(),
            self.taken.clone(),
        ];
        align(&[header.map(str::to_owned), row])
    }
}

/// A time in seconds, or what is left of one that no calendar has.
fn rfc3339(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use keelson_store::export::{Head, Totals};
    use keelson_store_core::id::{ClusterId, ReplicaId, Revision};

    use super::*;

    #[test]
    fn a_file_in_one_row() {
        let head = Head {
            cluster: ClusterId::new(0xab),
            replica: ReplicaId::new(1),
            revision: Revision::new(42),
            taken_ms: 1_700_000_000_500,
        };
        let totals = Totals { keys: 3, leases: 1, contents: 0xfeed };
        let contents = Contents { head, totals, digest: [0; 32], len: 544 };
        assert_eq!(
            Report::of(&contents).table(),
            "HASH              REVISION  TOTAL KEYS  TOTAL SIZE  LEASES  CLUSTER  TAKEN\n\
             000000000000feed  42        3           544         1       ab       2023-11-14T22:13:20Z\n"
        );
        assert_eq!(rfc3339(u64::MAX), "unknown");
    }
}
