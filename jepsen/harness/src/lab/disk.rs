//! A small disk per node: ext4 on a file in memory.
//!
//! ```text
//!  tmpfs (its space can be taken: the disk answers with input/output errors)
//!    └─ image ── loop device (can be slowed down)
//!                  └─ ext4 (its space can be taken: no space left; its power can be cut)
//!                       └─ the node's data folder
//! ```
//!
//! In memory, so that a run wears nobody's disk and an fsync costs what the program makes of it. A power cut loses what
//! ext4 had not written to the loop device, as on a real disk with an honest cache.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::failure::{Doing as _, Result};
use crate::lab::FOLDER;
use crate::tool;

/// Small enough to be filled at once, large enough for a long run.
const DISK_MEBIBYTES: u64 = 512;
/// What the file system in memory has beyond the image, for its own records.
const MARGIN_MEBIBYTES: u64 = 8;

const BALLAST: &str = ".ballast";
const UNSYNCED: &str = ".unsynced";
const PROBE: &str = ".probe";
/// The unit of `st_blocks`. Bytes.
const SECTOR: u64 = 512;

/// One node's disk.
pub(crate) struct Disk {
    memory: PathBuf,
    mounted: PathBuf,
}

impl Disk {
    /// Makes and mounts it.
    pub(crate) async fn make(node: &str) -> Result<Self> {
        let folder = Path::new(FOLDER).join(node);
        let disk = Self { memory: folder.join("memory"), mounted: folder.join("disk") };
        for folder in [&disk.memory, &disk.mounted] {
            fs::create_dir_all(folder).doing(folder.display())?;
        }
        let size = DISK_MEBIBYTES + MARGIN_MEBIBYTES;
        tool::run(&format!("mount -t tmpfs -o size={size}m tmpfs {}", disk.memory.display())).await?;
        let image = disk.image();
        let file = File::create_new(&image).doing(image.display())?;
        file.set_len(DISK_MEBIBYTES << 20).doing(image.display())?;
        tool::run(&format!("mkfs.ext4 -q -F {}", image.display())).await?;
        disk.mount().await?;
        Ok(disk)
    }

    /// Where the node keeps its data.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.mounted.join("data")
    }

    /// All folders that may be on it: the node's data, and a copy of them.
    pub(crate) fn folders(&self) -> [PathBuf; 2] {
        [self.data_dir(), self.copy_dir()]
    }

    /// Where a copy of the node's data is kept.
    pub(crate) fn copy_dir(&self) -> PathBuf {
        self.mounted.join("copy")
    }

    /// Loses what was not synced, for good, as when the power fails. Every use of the disk fails from now on.
    pub(crate) async fn cut_power(&self) -> Result<()> {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH. No program makes this call, and the workspace has no
        // unsafe code of its own for it.
        let script = "open(my $f,'<',$ARGV[0])||die$!;my$flag=pack('L',2);ioctl($f,0x8004587d,$flag)||die$!";
        let call =
            tokio::process::Command::new("perl").arg("-e").arg(script).arg(&self.mounted).output().await;
        let call = call.doing("starting perl")?;
        let said = String::from_utf8_lossy(&call.stderr);
        if call.status.success() { Ok(()) } else { Err(said).doing("cutting a disk's power") }
    }

    /// Takes it out and puts it in again, as a machine does that starts. Nobody may use it.
    pub(crate) async fn remount(&self) -> Result<()> {
        tool::run(&format!("umount {}", self.mounted.display())).await?;
        self.mount().await
    }

    async fn mount(&self) -> Result<()> {
        tool::run(&format!("mount -t ext4 -o loop {} {}", self.image().display(), self.mounted.display()))
            .await
            .map(drop)
    }

    fn image(&self) -> PathBuf {
        self.memory.join("image")
    }

    /// A file for [`synced_writes`].
    pub(crate) fn probe(&self) -> PathBuf {
        self.mounted.join(PROBE)
    }

    /// Writes a file and does not sync it.
    pub(crate) fn write_unsynced(&self) -> Result<()> {
        let path = self.mounted.join(UNSYNCED);
        fs::write(&path, [1; 4096]).doing(path.display())
    }

    /// Whether that file is gone. It is afterwards.
    pub(crate) fn take_unsynced(&self) -> Result<bool> {
        let path = self.mounted.join(UNSYNCED);
        let is_gone = !fs::exists(&path).doing(path.display())?;
        remove(&path).map(|()| is_gone)
    }

    /// Takes all space that is left, and what is kept in reserve for files that grow. Nobody may write meanwhile.
    pub(crate) fn fill(&self) -> Result<()> {
        take_reserves(&self.data_dir()).doing(self.mounted.display())?;
        take_all_space(&self.mounted)
    }

    /// Gives it back.
    pub(crate) fn empty(&self) -> Result<()> {
        give_space_back(&self.mounted)
    }

    /// From now on every write to a block that was never written before fails with an input/output error.
    pub(crate) fn break_writes(&self) -> Result<()> {
        take_all_space(&self.memory)
    }

    /// Ends that. ext4 trusts the disk again only after [`Self::remount`].
    pub(crate) fn mend_writes(&self) -> Result<()> {
        give_space_back(&self.memory)
    }

    /// The device's number, as `stat` of its files tells.
    pub(crate) fn device(&self) -> Result<(u32, u32)> {
        let found = rustix::fs::stat(&self.mounted).doing(self.mounted.display())?;
        Ok((rustix::fs::major(found.st_dev), rustix::fs::minor(found.st_dev)))
    }
}

/// Writes a block of a file again and again, each time to the disk; answers how long that takes.
pub(crate) fn synced_writes(path: &Path, count: u32) -> io::Result<Duration> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    file.write_all_at(&[0; 4096], 0)?;
    file.sync_all()?;
    let begun = Instant::now();
    for _ in 0..count {
        file.write_all_at(&[1; 4096], 0)?;
        file.sync_data()?;
    }
    Ok(begun.elapsed())
}

fn take_all_space(folder: &Path) -> Result<()> {
    let path = folder.join(BALLAST);
    let file = File::options().create(true).append(true).open(&path).doing(path.display())?;
    let mut end = 0;
    for step in [64 << 20, 1 << 20, 1 << 12] {
        loop {
            match fallocate(&file, FallocateFlags::empty(), end, step) {
                Ok(()) => end += step,
                Err(Errno::INTR) => {}
                Err(Errno::NOSPC) => break,
                Err(error) => return Err(error).doing(path.display()),
            }
        }
    }
    Ok(())
}

/// Gives back blocks that lie behind the ends of files: programs reserve them for what they are about to append.
fn take_reserves(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (path, found) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        if found.is_dir() {
            take_reserves(&path)?;
        } else if found.is_file() && found.blocks() * SECTOR >= found.len() + found.blksize() {
            // ext4 lets go of them when a file is cut to the length that it has.
            File::options().write(true).open(&path)?.set_len(found.len())?;
        }
    }
    Ok(())
}

fn give_space_back(folder: &Path) -> Result<()> {
    remove(&folder.join(BALLAST))
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).doing(path.display()),
        Ok(()) | Err(_) => Ok(()),
    }
}
