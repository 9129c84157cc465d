//! Puts a tree of files into a volume so that readers see all of it change at once.
//!
//! In: the files as they should be. Out: a folder of the present time (`..2026_01_02_15_04_05.…`) with the files in it,
//! the link `..data` to that folder, and for every top-level name a link through `..data`. A reader that goes through
//! `..data` once sees one whole tree. What nobody needs any more goes, also what a crash has left behind.
//!
//! The caller sees to it that nobody else writes at the same time. Nothing is synced: after a crash of the host there
//! are no containers that could read.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown, symlink},
    path::{Component, Path, PathBuf},
};

use time::{OffsetDateTime, UtcOffset, macros::format_description};

use crate::{
    ownership::Ownership,
    projection::{File, Files},
};

/// The link to the present folder.
const DATA: &str = "..data";

/// The link to the next one, until it takes the place of `..data`.
const NEXT: &str = "..data_tmp";

/// Whether anything changed for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Changed,
    Unchanged,
}

/// Makes the volume hold exactly `files`.
pub(crate) fn write(
    volume: &Path,
    files: &Files,
    ownership: Ownership,
    now: OffsetDateTime,
) -> io::Result<Written> {
    let present = present(volume)?;
    let written = match &present {
        Some(folder) if holds(&volume.join(folder), files)? => Written::Unchanged,
        Some(_) | None => Written::Changed,
    };
    let folder = match (written, present) {
        (Written::Unchanged, Some(folder)) => folder,
        (Written::Changed | Written::Unchanged, _) => replace(volume, files, ownership, now)?,
    };
    tidy(volume, files, &folder)?;
    Ok(written)
}

/// The name of the present folder, if there is one.
fn present(volume: &Path) -> io::Result<Option<PathBuf>> {
    let folder = match fs::read_link(volume.join(DATA)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            return Ok(None);
        }
        folder => folder?,
    };
    let mut parts = folder.components();
    let is_ours =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if is_hidden(name));
    Ok((is_ours && volume.join(&folder).is_dir()).then_some(folder))
}

/// Whether the folder holds these files with these contents, and no others. Modes are not compared: a Pod's never
/// change, and `fsGroup` has added to them.
fn holds(folder: &Path, files: &Files) -> io::Result<bool> {
    let mut found = BTreeSet::new();
    list(folder, "", &mut found)?;
    if found.len() != files.len() || !files.keys().all(|path| found.contains(path)) {
        return Ok(false);
    }
    for (path, file) in files {
        if fs::read(folder.join(path))? != file.data {
            return Ok(false);
        }
    }
    Ok(true)
}

/// All entries below `folder` that are no folders, by their paths. Empty folders do not count: they are where other
/// volumes are mounted.
fn list(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.file_type()?.is_dir() {
            true => list(&entry.path(), &format!("{path}/"), found)?,
            false => drop(found.insert(path)),
        }
    }
    Ok(())
}

/// Writes a new folder and lets `..data` lead to it; returns its name.
fn replace(volume: &Path, files: &Files, ownership: Ownership, now: OffsetDateTime) -> io::Result<PathBuf> {
    let folder = new_folder(volume, now)?;
    let switched = fill(&folder, files)
        .and_then(|()| ownership.apply_all(&folder))
        .and_then(|()| show(volume, files))
        .and_then(|()| switch(volume, &folder));
    if let Err(error) = switched {
        // What was not finished must not stay; that it could not be removed either says nothing new.
        let _ = fs::remove_dir_all(&folder);
        return Err(error);
    }
    Ok(folder.file_name().map(PathBuf::from).unwrap_or_default())
}

fn new_folder(volume: &Path, now: OffsetDateTime) -> io::Result<PathBuf> {
    let format = format_description!("..[year]_[month]_[day]_[hour]_[minute]_[second].[subsecond digits:9]");
    let stem = now.to_offset(UtcOffset::UTC).format(&format).expect("a date has all that the format names");
    for number in 0_u32.. {
        let folder = match number {
            0 => volume.join(&stem),
            number => volume.join(format!("{stem}.{number}")),
        };
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                made?;
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
                return Ok(folder);
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn fill(folder: &Path, files: &Files) -> io::Result<()> {
    for (path, file) in files {
        let mut above = folder.to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        for part in &parts[..parts.len() - 1] {
            above.push(part);
            make_folder(&above)?;
        }
        write_file(&folder.join(path), file)?;
    }
    Ok(())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => {
            made?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        }
    }
}

/// Nobody but the owner reads it before its owner and mode are right.
fn write_file(path: &Path, file: &File) -> io::Result<()> {
    let mut open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    open.write_all(&file.data)?;
    if let Some(owner) = file.owner {
        lchown(path, Some(owner), None)?;
    }
    open.set_permissions(fs::Permissions::from_mode(file.mode))
}

/// Makes the links by which readers find new files. They lead nowhere until `..data` does.
fn show(volume: &Path, files: &Files) -> io::Result<()> {
    for name in top_level(files) {
        match symlink(Path::new(DATA).join(name), volume.join(name)) {
            // Also where a folder stands because another volume is mounted there.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
    }
    Ok(())
}

fn switch(volume: &Path, folder: &Path) -> io::Result<()> {
    let next = volume.join(NEXT);
    remove_file_if_there(&next)?;
    symlink(folder.file_name().unwrap_or_default(), &next)?;
    fs::rename(&next, volume.join(DATA))
}

/// Removes links to files that are gone, folders of former times, and makes links that are missing.
fn tidy(volume: &Path, files: &Files, present: &Path) -> io::Result<()> {
    show(volume, files)?;
    let visible: BTreeSet<&OsStr> = top_level(files).map(OsStr::new).collect();
    for entry in fs::read_dir(volume)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type()?;
        if is_hidden(&name) {
            match name != DATA && name != present.as_os_str() {
                true if kind.is_dir() => fs::remove_dir_all(entry.path())?,
                true => remove_file_if_there(&entry.path())?,
                false => {}
            }
        } else if kind.is_symlink() && !visible.contains(name.as_os_str()) {
            remove_file_if_there(&entry.path())?;
        }
    }
    Ok(())
}

fn top_level(files: &Files) -> impl Iterator<Item = &str> {
    files.keys().map(|path| path.split('/').next().unwrap_or(path))
}

/// Names that begin with two dots are the writer's own.
fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"..")
}

fn remove_file_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
