//! Whose the files of a volume are.
//!
//! In: a path, the Pod's `fsGroup`. Out: that group may read, and write unless the volume is read-only; what is made in
//! a folder later is the group's too (setgid). Without an `fsGroup` nothing is touched. Symbolic links are never
//! followed.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, lchown},
    path::Path,
};

const GROUP_READS: u32 = 0o440;
const GROUP_WRITES: u32 = 0o660;
const GROUP_ENTERS: u32 = 0o110;
const SETGID: u32 = 0o2000;

/// The group of a volume.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ownership {
    pub(crate) group: Option<u32>,
    pub(crate) read_only: bool,
}

impl Ownership {
    /// Gives `path` and everything below it to the group.
    pub(crate) fn apply_all(self, path: &Path) -> io::Result<()> {
        if self.group.is_none() {
            return Ok(());
        }
        self.apply(path)?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.apply_all(&entry?.path())?;
            }
        }
        Ok(())
    }

    /// Gives `path` alone to the group.
    pub(crate) fn apply(self, path: &Path) -> io::Result<()> {
        let Some(group) = self.group else { return Ok(()) };
        lchown(path, None, Some(group))?;
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_symlink() {
            return Ok(());
        }
        let mut mode = metadata.permissions().mode() & 0o7777;
        mode |= if self.read_only { GROUP_READS } else { GROUP_WRITES };
        if metadata.is_dir() {
            mode |= SETGID | GROUP_ENTERS;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::testing::may_chown;

    #[test]
    fn the_group_gets_everything_below_and_links_are_not_followed() {
        if !may_chown("the_group_gets_everything_below_and_links_are_not_followed") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("f"), "").unwrap();
        fs::set_permissions(inside.join("f"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&outside, "").unwrap();
        symlink(&outside, inside.join("l")).unwrap();
        Ownership { group: Some(4711), read_only: true }.apply_all(&inside).unwrap();
        let look = |path: &Path| {
            let metadata = fs::symlink_metadata(path).unwrap();
            (metadata.gid(), metadata.mode() & 0o7777)
        };
        assert_eq!(look(&inside.join("f")), (4711, 0o640));
        assert_eq!(look(&inside), (4711, look(&inside).1 | 0o2550));
        assert_eq!(look(&inside.join("l")).0, 4711);
        assert_ne!(look(&outside).0, 4711);
        Ownership { group: Some(4711), read_only: false }.apply(&inside.join("f")).unwrap();
        assert_eq!(look(&inside.join("f")), (4711, 0o660));
    }

    #[test]
    fn without_a_group_nothing_is_touched() {
        Ownership::default().apply_all(Path::new("/nowhere/at/all")).unwrap();
    }
}
