//! Files and folders of the PKI: written whole, private where they must be.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::error::PkiError;

const PRIVATE_DIR: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
const PUBLIC_FILE: u32 = 0o644;

/// The bits that let group and others in.
const OTHERS: u32 = 0o077;

/// The text of the file, or `None` if there is no such file.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read(path) {
        // Bytes that are no text cannot be PEM; the parser says so with the file's name.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::Read { path: path.to_owned(), source }),
    }
}

/// Whether anyone but the owner may read or write the file.
pub(crate) fn is_exposed(path: &Path) -> Result<bool, PkiError> {
    let metadata = fs::metadata(path).map_err(|source| PkiError::Read { path: path.to_owned(), source })?;
    Ok(metadata.permissions().mode() & OTHERS != 0)
}

/// Takes other users' permissions away from a private file.
pub(crate) fn protect(path: &Path) -> Result<(), PkiError> {
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_FILE))
        .map_err(|source| write_error(path, source))
}

/// Makes the folder and its parents where they are absent, for their owner alone.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), PkiError> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(dir).map_err(|source| write_error(dir, source))
}

/// Locks the folder against other runs until the returned file is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File, PkiError> {
    let path = dir.join(".lock");
    let failed = |source| write_error(&path, source);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// Writes a file that its owner alone may read.
pub(crate) fn write_private(path: &Path, contents: &[u8]) -> Result<(), PkiError> {
    write_whole(path, contents, PRIVATE_FILE).map_err(|source| write_error(path, source))
}

/// Writes a file that everyone who reaches the folder may read.
pub(crate) fn write_public(path: &Path, contents: &[u8]) -> Result<(), PkiError> {
    write_whole(path, contents, PUBLIC_FILE).map_err(|source| write_error(path, source))
}

fn write_whole(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().ok_or_else(|| io::Error::other("it has no folder"))?;
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(dir)?;
    let permissions = Permissions::from_mode(mode);
    let mut aside =
        tempfile::Builder::new().prefix(".new-").permissions(permissions.clone()).tempfile_in(dir)?;
    // Once more, because the process's umask may have taken bits away.
    aside.as_file().set_permissions(permissions)?;
    aside.write_all(contents)?;
    aside.as_file().sync_all()?;
    aside.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

fn write_error(path: &Path, source: io::Error) -> PkiError {
    PkiError::Write { path: path.to_owned(), source }
}
