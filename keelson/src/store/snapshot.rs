//! `keelson store snapshot`: the store in one file, saved from a running member, looked at, and made a
//! cluster again.
//!
//! `etcdctl snapshot save` works, too; its `status` and `restore` read etcd's own files only.

mod restore;

mod save;

mod status;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use keelson_store::export::{self, Contents};

pub(super) use restore::{BUMP_REVISION, TargetArgs, report};
pub(super) use save::keep;

/// What can be done with snapshots.
#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Save the state of a running member to a file, and check what has arrived.
    Save(save::SaveArgs),
    /// Check a file, and print what it holds.
    Status(status::FileArgs),
    /// Make the data folder of a member of a new cluster that begins with what a file, or a folder of
    /// --backup-dir, holds.
    ///
    /// Run it once for each member, with the same files and the same --initial-cluster and
    /// --initial-cluster-token, then start the members with these flags. The first of them by name must start
    /// for the others to get the keys.
    Restore(restore::RestoreArgs),
}

impl Snapshot {
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self {
            Self::Save(args) => args.run(),
            Self::Status(args) => args.run(),
            Self::Restore(args) => args.run(),
        }
    }
}

/// Reads a file to its end.
fn check(path: &Path) -> Result<Contents, String> {
    let file = open(path)?;
    export::read(file, |_| Ok(())).map_err(|error| format!("{}: {error}", path.display()))
}

fn open(path: &Path) -> Result<std::io::BufReader<std::fs::File>, String> {
    let file = std::fs::File::open(path);
    file.map(std::io::BufReader::new).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
