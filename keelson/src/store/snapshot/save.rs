//! `keelson store snapshot save`: from a member to a file that has its name only when it is whole.

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use keelson_proto::etcd::rpc::SnapshotRequest;
use keelson_proto::etcd::rpc::maintenance_client::MaintenanceClient;
use keelson_store::export;

use super::check;
use crate::process;
use crate::store::connection::{Asked, ConnectionArgs};

/// The flags of `keelson store snapshot save`.
#[derive(Debug, Args)]
pub(crate) struct SaveArgs {
    /// The file to make.
    file: PathBuf,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl SaveArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        process::install_crypto();
        let files = self.connection.files()?;
        let unfinished = unfinished(&self.file);
        let fetched = self.connection.first(&files, async |channel| fetch(channel, &unfinished).await);
        process::runtime()?.block_on(fetched)?;
        let contents = check(&unfinished)?;
        keep(&unfinished, &self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        println!(
            "{}: revision {}, {} keys, {} leases, {} bytes",
            self.file.display(),
            contents.head.revision,
            contents.totals.keys,
            contents.totals.leases,
            contents.len
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// The name of a file that is not whole yet.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    name.into()
}

async fn fetch(channel: Asked, path: &Path) -> Result<(), String> {
    let reply = MaintenanceClient::new(channel).snapshot(SnapshotRequest {}).await;
    let mut pieces = reply.map_err(|status| status.message().to_owned())?.into_inner();
    let local = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = export::create_file(path).map_err(local)?;
    while let Some(piece) = pieces.message().await.map_err(|status| status.message().to_owned())? {
        file.write_all(&piece.blob).map_err(local)?;
    }
    file.sync_all().map_err(local)
}

/// Gives a file its name, through a power cut.
pub(crate) fn keep(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::rename(from, to)?;
    let folder =
        to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}
