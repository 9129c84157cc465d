//! Disks that are slow for the processes of this run.
//!
//! The kernel slows down control groups, so the run joins one. A group outlives its processes, and is the only thing of a
//! run that does: see [`crate::clean`].

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::failure::{Doing as _, Result};
use crate::machine::BlockCgroups;

const PREFIX: &str = "keelson-jepsen-";

/// What came of an attempt to remove a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is not there, or not any more.
    Gone,
    /// It has processes.
    InUse,
    /// Why the kernel does not do it.
    Refused(String),
}

/// The control group of this run.
pub(crate) struct Throttle {
    version: BlockCgroups,
    folder: PathBuf,
}

fn root(version: BlockCgroups) -> &'static Path {
    Path::new(match version {
        BlockCgroups::V1 => "/sys/fs/cgroup/blkio",
        BlockCgroups::V2 => "/sys/fs/cgroup",
    })
}

impl Throttle {
    /// Makes the group and joins it; whoever is started from now on is in it.
    pub(crate) fn join(version: BlockCgroups, run: u64) -> Result<Self> {
        let folder = folder(version, run);
        if version == BlockCgroups::V2 {
            let file = root(version).join("cgroup.subtree_control");
            fs::write(&file, "+io").doing(file.display())?;
        }
        fs::create_dir(&folder).doing(folder.display())?;
        let members = folder.join("cgroup.procs");
        fs::write(&members, "0").doing(members.display())?;
        Ok(Self { version, folder })
    }

    /// Lets the disk do so many writes a second, or any number.
    pub(crate) fn limit(&self, device: (u32, u32), writes_per_second: Option<u32>) -> Result<()> {
        let (file, line) = limit_line(self.version, device, writes_per_second);
        let file = self.folder.join(file);
        fs::write(&file, line).doing(file.display())
    }
}

fn limit_line(
    version: BlockCgroups,
    (major, minor): (u32, u32),
    rate: Option<u32>,
) -> (&'static str, String) {
    match version {
        BlockCgroups::V1 => {
            let rate = rate.unwrap_or(0);
            ("blkio.throttle.write_iops_device", format!("{major}:{minor} {rate}"))
        }
        BlockCgroups::V2 => {
            let rate = rate.map_or_else(|| "max".to_owned(), |rate| rate.to_string());
            ("io.max", format!("{major}:{minor} wiops={rate}"))
        }
    }
}

fn folder(version: BlockCgroups, run: u64) -> PathBuf {
    root(version).join(format!("{PREFIX}{run:016x}"))
}

/// Removes the groups of all runs that are over: the kernel removes none that has processes.
pub(crate) fn clean(version: BlockCgroups) -> Vec<(String, Removal)> {
    let Ok(entries) = fs::read_dir(root(version)) else { return Vec::new() };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let name = |folder: &Path| Some(folder.file_name()?.to_str()?.to_owned());
    let ours = folders.filter_map(|folder| Some((name(&folder)?, folder)));
    let ours = ours.filter(|(name, _)| name.starts_with(PREFIX));
    ours.map(|(name, folder)| (name, removal(fs::remove_dir(folder)))).collect()
}

/// Removes the group of one run.
pub(crate) fn remove(version: BlockCgroups, run: u64) -> Removal {
    removal(fs::remove_dir(folder(version, run)))
}

fn removal(removed: io::Result<()>) -> Removal {
    match removed.map_err(|error| (error.kind(), error)) {
        Ok(()) | Err((ErrorKind::NotFound, _)) => Removal::Gone,
        Err((ErrorKind::ResourceBusy, _)) => Removal::InUse,
        Err((_, error)) => Removal::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_group_that_nobody_may_remove_is_not_gone() {
        assert_eq!(removal(Ok(())), Removal::Gone);
        assert_eq!(removal(Err(Errno::NOENT.into())), Removal::Gone);
        assert_eq!(removal(Err(Errno::BUSY.into())), Removal::InUse);
        assert!(matches!(removal(Err(Errno::ACCESS.into())), Removal::Refused(_)));
    }

    #[test]
    fn a_limit_is_said_in_the_words_of_either_version() {
        let line = |version, rate| limit_line(version, (7, 3), rate).1;
        assert_eq!(line(BlockCgroups::V1, Some(20)), "7:3 20");
        assert_eq!(line(BlockCgroups::V1, None), "7:3 0");
        assert_eq!(line(BlockCgroups::V2, Some(20)), "7:3 wiops=20");
        assert_eq!(line(BlockCgroups::V2, None), "7:3 wiops=max");
    }
}
