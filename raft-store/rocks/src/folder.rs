//! Folders and files: naming, reading, writing, and making what was written last through a power cut.
//!
//! In: paths. Out: their contents, or an [`EngineError`] that names the path. A new or renamed entry is durable
//! only when its parent folder was synced, so every function that changes one says whether it does that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use keelson_store_core::engine::EngineError;

/// Refuses a name that would lead out of the disk's folder, or that hides among our unfinished work.
pub(crate) fn check_name(name: &str) -> Result<(), EngineError> {
    let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if is_plain {
        Ok(())
    } else {
        Err(EngineError::Io { what: format!("use name {name:?}"), cause: "not a plain name".into() })
    }
}

/// True when something is at `path`.
pub(crate) fn exists(path: &Path) -> Result<bool, EngineError> {
    path.try_exists().map_err(|error| EngineError::io("look for", path, &error))
}

/// Names of everything in a folder, sorted. Names that are not UTF-8 are not ours and are left out.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, EngineError> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    };
    list().map_err(|error| EngineError::io("list", dir, &error))
}

/// The regular files of a folder with their lengths in bytes, sorted by name.
pub(crate) fn files(dir: &Path) -> Result<Vec<(String, u64)>, EngineError> {
    let mut files = Vec::new();
    for name in names(dir)? {
        let path = dir.join(&name);
        let metadata =
            fs::symlink_metadata(&path).map_err(|error| EngineError::io("look at", &path, &error))?;
        if metadata.is_file() {
            files.push((name, metadata.len()));
        }
    }
    Ok(files)
}

/// Up to `len` bytes from `offset`; fewer only at the end of the file.
pub(crate) fn read(path: &Path, offset: u64, len: usize) -> Result<Bytes, EngineError> {
    let read = || -> io::Result<Bytes> {
        let file = File::open(path)?;
        let left = file.metadata()?.len().saturating_sub(offset);
        let mut buffer = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(len)];
        if !buffer.is_empty() {
            file.read_exact_at(&mut buffer, offset)?;
        }
        Ok(buffer.into())
    };
    read().map_err(|error| EngineError::io("read", path, &error))
}

/// Writes into a file, making it and its folder as needed. Durable after [`sync_all`] and [`sync_dir`] of the
/// folder's parent.
pub(crate) fn write(dir: &Path, file: &str, offset: u64, data: &[u8]) -> Result<(), EngineError> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(EngineError::io("create", dir, &error));
        }
        Ok(()) | Err(_) => {}
    }
    let path = dir.join(file);
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    opened
        .and_then(|file| file.write_all_at(data, offset))
        .map_err(|error| EngineError::io("write", &path, &error))
}

/// Makes a small file with these contents, whole or not at all, and durable.
pub(crate) fn write_whole(dir: &Path, file: &str, contents: &[u8]) -> Result<(), EngineError> {
    let staging = dir.join(format!(".{file}"));
    let written = fs::write(&staging, contents).and_then(|()| File::open(&staging)?.sync_all());
    written.map_err(|error| EngineError::io("write", &staging, &error))?;
    let path = dir.join(file);
    fs::rename(&staging, &path).map_err(|error| EngineError::io("write", &path, &error))?;
    sync_dir(dir)
}

/// Renames within one folder, and makes that durable.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), EngineError> {
    fs::rename(from, to).map_err(|error| EngineError::io("rename", from, &error))?;
    sync_dir(to.parent().unwrap_or(to))
}

/// Deletes a folder and all that is in it. A no-op where none is.
pub(crate) fn remove_all(dir: &Path) -> Result<(), EngineError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(EngineError::io("remove", dir, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the files of a folder, and that they are in it, durable.
pub(crate) fn sync_all(dir: &Path) -> Result<(), EngineError> {
    for (name, _) in files(dir)? {
        let path = dir.join(name);
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| EngineError::io("sync", &path, &error))?;
    }
    sync_dir(dir)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), EngineError> {
    let synced = File::open(dir).and_then(|file| file.sync_all());
    synced.map_err(|error| EngineError::io("sync", dir, &error))
}
