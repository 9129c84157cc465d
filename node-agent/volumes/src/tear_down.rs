//! Removes what a Pod had on the node, when none of its containers runs any more.
//!
//! In: the Pod's folders. Out: nothing mounted below them, nothing left of them. Nothing is deleted as long as anything
//! is mounted: what is mounted may be the host's. Logs lie elsewhere and stay.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
};

use crate::{error::TearDownError, folders::PodFolders, mount_table::MountTable};

/// A mount may cover others, which are seen only after it is gone.
const ROUNDS: usize = 16;

/// Unmounts and removes everything below the Pod's folder. A Pod that has none is torn down already.
///
/// # Errors
///
/// If something is still in use; to be tried again later.
pub async fn tear_down(folders: &PodFolders) -> Result<(), TearDownError> {
    let folder = folders.pod().to_owned();
    // An emptyDir may hold millions of files.
    let work = tokio::task::spawn_blocking(move || remove(&folder));
    work.await.map_err(|error| TearDownError::new("removing the pod's folder", io::Error::other(error)))?
}

fn remove(folder: &Path) -> Result<(), TearDownError> {
    let real = match folder.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        real => real.map_err(|error| TearDownError::new(format!("finding {}", folder.display()), error))?,
    };
    unmount_all(&real)?;
    match fs::remove_dir_all(&real) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| TearDownError::new(format!("removing {}", real.display()), error)),
    }
}

fn unmount_all(folder: &Path) -> Result<(), TearDownError> {
    let mut failed = None;
    for _ in 0..ROUNDS {
        let points = mounted_below(folder)?;
        if points.is_empty() {
            return Ok(());
        }
        failed = None;
        for point in &points {
            cut_off(point)?;
        }
        for point in points {
            match unmount(&point, UnmountFlags::NOFOLLOW) {
                // Gone with another one, or covered by one that goes later in this round.
                Err(Errno::NOENT | Errno::INVAL) => {}
                Err(error) => {
                    failed = Some(TearDownError::new(format!("unmounting {}", point.display()), error))
                }
                Ok(()) => {}
            }
        }
        if failed.is_some() {
            break;
        }
    }
    let busy = || TearDownError::new(format!("unmounting what is below {}", folder.display()), Errno::BUSY);
    Err(failed.unwrap_or_else(busy))
}

fn mounted_below(folder: &Path) -> Result<Vec<PathBuf>, TearDownError> {
    let table =
        MountTable::read().map_err(|error| TearDownError::new("reading the table of mounts", error))?;
    Ok(table.below(folder))
}

/// What is unmounted below this mount from now on stays mounted below its peers, which may be the host's.
fn cut_off(point: &Path) -> Result<(), TearDownError> {
    match mount_change(point, MountPropagationFlags::DOWNSTREAM) {
        Ok(()) | Err(Errno::NOENT | Errno::INVAL) => Ok(()),
        Err(error) => Err(TearDownError::new(format!("separating {}", point.display()), error)),
    }
}

#[cfg(test)]
mod tests;
