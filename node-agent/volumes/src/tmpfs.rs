//! Folders that live in memory.
//!
//! In: a folder, a size. Out: a tmpfs mounted there.

use std::{ffi::CString, io, path::Path};

use rustix::{
    io::Errno,
    mount::{MountFlags, mount as mount_file_system},
};

use crate::mount_table::MountTable;

/// Mounts a tmpfs of at most `size` bytes on `folder`; without a size the kernel's default holds. Where the kernel can
/// promise it (Linux 6.4), what is in there is never swapped out.
pub(crate) fn mount(folder: &Path, size: Option<u64>) -> io::Result<()> {
    let size = size.map(|size| format!("size={size}"));
    let options = |more: Option<&str>| {
        let options: Vec<&str> = size.as_deref().into_iter().chain(more).collect();
        CString::new(options.join(",")).expect("numbers and words hold no NUL")
    };
    let try_with = |options: &CString| {
        mount_file_system("tmpfs", folder, "tmpfs", MountFlags::empty(), options.as_c_str())
    };
    match try_with(&options(Some("noswap"))) {
        Err(Errno::INVAL) => Ok(try_with(&options(None))?),
        other => Ok(other?),
    }
}

/// Whether a tmpfs is mounted on `folder`.
pub(crate) fn is_mounted(folder: &Path) -> io::Result<bool> {
    let folder = match folder.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        folder => folder?,
    };
    Ok(MountTable::read()?.at(&folder).is_some_and(|mount| mount.file_system == "tmpfs"))
}
