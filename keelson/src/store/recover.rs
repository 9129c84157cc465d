//! `keelson store recover`: a new cluster of what one disk still holds.
//!
//! Stations: read the disk → tell what is on it → with `--yes`: save it to a file, make the new member's
//! folder of the file, and put that in the place of the old one. The old folder and the file stay.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use keelson_store::{
    export::{self, Survivor, Until},
    wall,
};
use keelson_store_core::engine::Disk;
use keelson_store_rocks::{RocksDisk, RocksOptions};

use super::snapshot::{TargetArgs, keep, report};

/// The flags of `keelson store recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Make the new cluster. Without it, nothing is changed.
    #[arg(long)]
    yes: bool,
}

impl RecoverArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let data_dir = self.target.data_dir();
        if !data_dir.is_dir() {
            return Err(format!("{}: there is no such folder", data_dir.display()).into());
        }
        let disk: Arc<dyn Disk> = Arc::new(RocksDisk::new(data_dir.clone(), RocksOptions::default())?);
        let survivor = Survivor::open(disk, wall::now_ms());
        let survivor = survivor.map_err(|error| format!("{}: {error}", data_dir.display()))?;
        println!("{}", told(&survivor, &data_dir));
        if !self.yes {
            survivor.close()?;
            println!(
                "Nothing was changed. Look at each disk that is left; then, where the revision is highest, say --yes. \
                 What other members may have had beyond it is lost."
            );
            return Ok(ExitCode::SUCCESS);
        }
        let file = beside(&data_dir, ".recovered.snapshot");
        save(&survivor, &file).map_err(|error| format!("{}: {error}", file.display()))?;
        survivor.close()?;
        self.exchange(&data_dir, &file)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Puts a folder that is made of the file in the place of the old one.
    fn exchange(&self, data_dir: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
        let old = beside(data_dir, ".before-recovery");
        if old.exists() {
            let why =
                "is there already, from an earlier attempt: move it away, if it is not needed, and try again";
            return Err(format!("{} {why}", old.display()).into());
        }
        let new = beside(data_dir, ".recovered");
        let restored = self.target.restore(file, Until::End, &new)?;
        fs::rename(data_dir, &old).map_err(|error| format!("{}: {error}", data_dir.display()))?;
        fs::rename(&new, data_dir).map_err(|error| {
            format!("{}: {error}; rename it to {} by hand", new.display(), data_dir.display())
        })?;
        println!("{}", report(&restored, data_dir));
        println!("The old folder is {}, and {} can be restored elsewhere.", old.display(), file.display());
        println!(
            "Next: start this member with its flags, then each other one with an empty data folder and \
             --initial-cluster-state=existing."
        );
        Ok(())
    }
}

/// What is on the disk.
fn told(survivor: &Survivor, folder: &Path) -> String {
    let head = survivor.head();
    let unconfirmed = match survivor.unconfirmed() {
        0 => "all of it is known to be committed".to_owned(),
        count => format!(
            "the last {count} log entries are not known to be committed: they may have been acknowledged, and are kept"
        ),
    };
    format!(
        "{}: member {:x} of cluster {:x} survives at revision {}; {unconfirmed}",
        folder.display(),
        head.replica.get(),
        head.cluster.get(),
        head.revision
    )
}

fn save(survivor: &Survivor, file: &Path) -> std::io::Result<()> {
    let unfinished = beside(file, ".part");
    let mut out = BufWriter::new(export::create_file(&unfinished)?);
    survivor.save(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    keep(&unfinished, file)
}

/// A name beside a path.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
