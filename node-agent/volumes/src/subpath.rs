//! A part of a volume, reached so that no symbolic link leads out of it.
//!
//! In: a volume, a path inside it that a user chose, and whose folders containers may be changing at this moment. Out:
//! the part bound to a place that only the agent can write to, or read. The kernel resolves the path (`openat2`, Linux
//! 5.6) and refuses to leave the volume; from then on only the open file counts, not its name.

use std::{
    fs,
    io::{self, Read},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fchmod, fstat, mkdirat, open, openat, openat2},
    io::Errno,
    mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount},
};

use crate::{
    mount_table::MountTable,
    path::{no_backsteps, shortest},
};

/// How often the kernel is asked again when somebody renamed folders meanwhile.
const ATTEMPTS: usize = 64;

/// Whether mounts that containers make in the part are to be seen on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outward {
    Hidden,
    Seen,
}

/// Binds the part `inside` of `volume` to `target`, making folders that are missing, with the volume's own mode.
pub(crate) fn bind(volume: &Path, inside: &str, target: &Path, outward: Outward) -> io::Result<()> {
    let base = open_volume(volume)?;
    let part = match open_beneath(&base, inside, OFlags::empty()) {
        Err(Errno::NOENT) => make_folders(&base, inside)?,
        part => part?,
    };
    let found = fstat(&part)?;
    if let Some(above) = target.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(above)?;
    }
    if is_mounted(target)? {
        if is_same(&found, target)? {
            return Ok(());
        }
        release(target, UnmountFlags::DETACH)?;
    }
    make_place(&found, target)?;
    mount_bind(format!("/proc/self/fd/{}", part.as_raw_fd()), target)?;
    if outward == Outward::Hidden {
        // It follows the host but the host does not follow it: else what is unmounted below it in the end would be
        // unmounted on the host. The container may follow it in turn.
        mount_change(target, MountPropagationFlags::DOWNSTREAM)?;
        mount_change(target, MountPropagationFlags::SHARED)?;
    }
    Ok(())
}

/// The text of the file `inside` of `volume`, if it is a file and not longer than `limit`.
pub(crate) fn read(volume: &Path, inside: &str, limit: u64) -> io::Result<String> {
    let base = open_volume(volume)?;
    let part = open_beneath(&base, inside, OFlags::empty())?;
    let found = fstat(&part)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("not a regular file"));
    }
    let file = fs::File::open(format!("/proc/self/fd/{}", part.as_raw_fd()))?;
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(io::Error::other(format!("longer than {limit} bytes")));
    }
    Ok(text)
}

/// Unmounts what is at `path`, without its peers losing what they have mounted below theirs.
pub(crate) fn release(path: &Path, flags: UnmountFlags) -> io::Result<()> {
    mount_change(path, MountPropagationFlags::DOWNSTREAM)?;
    Ok(unmount(path, flags | UnmountFlags::NOFOLLOW)?)
}

fn open_volume(volume: &Path) -> io::Result<OwnedFd> {
    Ok(open(volume, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Links are followed as long as they stay inside.
fn open_beneath(base: &OwnedFd, inside: &str, more: OFlags) -> Result<OwnedFd, Errno> {
    let inside = match shortest(inside) {
        inside if inside.is_empty() => ".".to_owned(),
        inside => inside,
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC | more;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..ATTEMPTS {
        match openat2(base, inside.as_str(), flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Makes the missing folders of a path one by one, each below the one just opened.
fn make_folders(base: &OwnedFd, inside: &str) -> io::Result<OwnedFd> {
    // Below a folder just made, nothing but this keeps a step back inside.
    no_backsteps(inside).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let inside = shortest(inside);
    let mode = Mode::from_raw_mode(fstat(base)?.st_mode & 0o7777);
    let parts: Vec<&str> = inside.split('/').collect();
    let mut folder = open_beneath(base, ".", OFlags::DIRECTORY)?;
    let mut existing = true;
    for (index, part) in parts.iter().enumerate() {
        if existing {
            match open_beneath(base, &parts[..=index].join("/"), OFlags::DIRECTORY) {
                Ok(next) => {
                    folder = next;
                    continue;
                }
                Err(Errno::NOENT) => existing = false,
                Err(error) => return Err(error.into()),
            }
        }
        folder = make_folder(&folder, part, mode)?;
    }
    Ok(folder)
}

fn make_folder(above: &OwnedFd, name: &str, mode: Mode) -> io::Result<OwnedFd> {
    let made = match mkdirat(above, name, mode) {
        Ok(()) => true,
        // A container was faster, or a link leads nowhere: opening tells.
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(above, name, flags, Mode::empty())?;
    if made {
        // The umask has taken from it.
        fchmod(&folder, mode)?;
    }
    Ok(folder)
}

fn is_mounted(target: &Path) -> io::Result<bool> {
    match target.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        target => Ok(MountTable::read()?.at(&target?).is_some()),
    }
}

fn is_same(found: &Stat, target: &Path) -> io::Result<bool> {
    let target = fs::symlink_metadata(target)?;
    Ok(target.dev() == found.st_dev && target.ino() == found.st_ino)
}

/// A folder is mounted on a folder, everything else on a file.
fn make_place(found: &Stat, target: &Path) -> io::Result<()> {
    let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    match fs::symlink_metadata(target) {
        Ok(place) if place.is_dir() == is_folder => return Ok(()),
        Ok(place) if place.is_dir() => fs::remove_dir(target)?,
        Ok(_) => fs::remove_file(target)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if is_folder {
        return fs::DirBuilder::new().mode(0o750).create(target);
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(target).map(drop)
}

#[cfg(test)]
mod tests;
