//! Whether containers see mounts that are made later.
//!
//! In: the agent's root. Out: a root whose mounts are shared with other namespaces, which `mountPropagation` needs.

use std::{io, path::Path};

use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};

use crate::mount_table::MountTable;

/// Makes the mounts below `root` shared, once: binds the folder onto itself, unless it is shared already. To be called
/// before the first Pod is set up. The mount stays when the agent ends, as the Pods do; `umount <root>` undoes it.
///
/// # Errors
///
/// If the host does not let this process mount. Pods run all the same, only without `mountPropagation`.
pub fn share_mounts(root: &Path) -> io::Result<()> {
    let root = root.canonicalize()?;
    let table = MountTable::read()?;
    if table.holding(&root).is_some_and(|mount| mount.is_shared) {
        return Ok(());
    }
    if table.at(&root).is_none() {
        mount_bind_recursive(&root, &root)?;
    }
    mount_change(&root, MountPropagationFlags::SHARED | MountPropagationFlags::REC)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::mount::{UnmountFlags, unmount};

    use super::*;
    use crate::testing::may_mount;

    #[test]
    fn a_root_is_shared_once() {
        if !may_mount("a_root_is_shared_once") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        share_mounts(&root).unwrap();
        share_mounts(&root).unwrap();
        let table = MountTable::read().unwrap();
        assert!(table.holding(&root).unwrap().is_shared);
        let mounted = table.below(&root).len();
        if mounted > 0 {
            unmount(&root, UnmountFlags::empty()).unwrap();
        }
        assert!(mounted <= 1, "bound onto itself once, or not at all where the machine shares everything");
    }
}
