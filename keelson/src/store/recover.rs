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

use super::flags;
use super::snapshot::{BUMP_REVISION, TargetArgs, keep, report};

/// The flags of `keelson store recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Those of the member, as its unit file has them.
    #[command(flatten)]
    flags: flags::Flags,
    /// How far beyond the last revision on this disk the new cluster begins: more than other members may have had, so that
    /// no client sees a revision again. All older revisions are compacted.
    #[arg(long, value_name = "REVISIONS", default_value_t = BUMP_REVISION)]
    bump_revision: u64,
    /// Make the new cluster. Without it, nothing is changed.
    #[arg(long)]
    yes: bool,
}

impl RecoverArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        if self.flags.member.config_file.is_some() {
            return Err(
                "--config-file is not read here: give --name, --data-dir and the URLs as flags".into()
            );
        }
        let target = TargetArgs::alone(&self.flags.member, &self.flags.cluster, self.bump_revision)?;
        let data_dir = target.data_dir();
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
        let old = beside(&data_dir, ".before-recovery");
        if old.exists() {
            survivor.close()?;
            let why =
                "is there already, from an earlier attempt: move it away, if it is not needed, and try again";
            return Err(format!("{} {why}", old.display()).into());
        }
        let file = beside(&data_dir, ".recovered.snapshot");
        save(&survivor, &file).map_err(|error| format!("{}: {error}", file.display()))?;
        survivor.close()?;
        exchange(&target, &file, &old)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Puts a folder that is made of the file in the place of the old one, which becomes `old`.
fn exchange(target: &TargetArgs, file: &Path, old: &Path) -> Result<(), Box<dyn Error>> {
    let data_dir = target.data_dir();
    let new = beside(&data_dir, ".recovered");
    let restored = target.restore(file, Until::End, &new)?;
    fs::rename(&data_dir, old).map_err(|error| format!("{}: {error}", data_dir.display()))?;
    fs::rename(&new, &data_dir).map_err(|error| {
        format!("{}: {error}; rename it to {} by hand", new.display(), data_dir.display())
    })?;
    println!("{}", report(&restored, &data_dir));
    println!("The old folder is {}, and {} can be restored elsewhere.", old.display(), file.display());
    println!(
        "Next: start this member with the flags it always had. It is a cluster of its own, whomever else they name. Then \
         start each other member with the flags it always had, but with an empty data folder (move the old one away) and \
         --initial-cluster-state=existing: it joins this one, and gets all keys."
    );
    Ok(())
}

/// What is on the disk.
fn told(survivor: &Survivor, folder: &Path) -> String {
    let head = survivor.head();
    let lost = survivor.lost().map(|lost| {
        format!(
            "\nEntries {} to {} of its log do not survive: {}. Writes in them may have been acknowledged; --yes gives them up.",
            lost.from, lost.to, lost.why
        )
    });
    let unconfirmed = match survivor.unconfirmed() {
        0 => "all of it is known to be committed".to_owned(),
        count => format!(
            "the last {count} log entries are not known to be committed: they may have been acknowledged, and are kept"
        ),
    };
    format!(
        "{}: member {:x} of cluster {:x} survives at revision {}; {unconfirmed}.{}",
        folder.display(),
        head.replica.get(),
        head.cluster.get(),
        head.revision,
        lost.unwrap_or_default()
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
