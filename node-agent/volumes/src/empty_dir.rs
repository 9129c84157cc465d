//! emptyDir: a folder that lives as long as the Pod.
//!
//! In: the medium, the limit, the Pod's and the node's memory. Out: a folder that everybody may write to, or a tmpfs of
//! the right size. How large is pure. Deliberately absent: watching the limit of one on disk, which eviction does.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::Path,
};

use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{node::Node, ownership::Ownership, quantity::Amount, tmpfs, volume::Medium};

/// Everybody may write.
const OPEN: u32 = 0o777;

/// Makes the volume if it is not there. What is in it already stays.
pub(crate) fn set_up(
    folder: &Path,
    medium: Medium,
    size: Option<u64>,
    ownership: Ownership,
) -> io::Result<()> {
    match medium {
        Medium::Disk => make_whole(folder, ownership),
        Medium::Memory => {
            make_whole(folder, Ownership::default())?;
            if !tmpfs::is_mounted(folder)? {
                tmpfs::mount(folder, size)?;
            }
            // A crash may have come between mounting and giving away.
            match ownership.group {
                Some(group) if fs::metadata(folder)?.gid() != group => ownership.apply(folder),
                Some(_) | None => Ok(()),
            }
        }
    }
}

/// Makes the folder under another name first: one that is there is right, whenever the agent was stopped.
fn make_whole(folder: &Path, ownership: Ownership) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::DirBuilder::new().recursive(true).mode(0o750).create(above)?;
    // No volume is called so: a name begins with a letter or digit.
    let unfinished = above.join(format!(".{}", name.to_string_lossy()));
    fs::DirBuilder::new().recursive(true).create(&unfinished)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(OPEN))?;
    ownership.apply(&unfinished)?;
    fs::rename(&unfinished, folder)
}

/// How many bytes a tmpfs of this Pod may hold: the least of the volume's limit, the Pod's memory and the node's.
pub(crate) fn memory_size(pod: &Pod, node: &Node, limit: Option<&Quantity>) -> Option<u64> {
    let of_node = node.allocatable.get("memory").map(Amount::of);
    let bounds = [of_node, pod_memory(pod), limit.map(Amount::of)];
    let least = bounds.into_iter().flatten().filter(|bound| !bound.is_zero()).min()?;
    u64::try_from(least.units()).ok()
}

/// The Pod's memory limit; none if some container has none.
fn pod_memory(pod: &Pod) -> Option<Amount> {
    let spec = pod.spec.as_ref()?;
    let overhead =
        spec.overhead.as_ref().and_then(|list| list.get("memory")).map(Amount::of).unwrap_or_default();
    if let Some(limit) = memory_limit(spec.resources.as_ref()) {
        return Some(limit.plus(overhead));
    }
    let limit = |container: &Container| memory_limit(container.resources.as_ref());
    // Sidecars run beside every init container after them and beside all containers.
    let (mut sidecars, mut most) = (Amount::default(), Amount::default());
    for container in spec.init_containers.as_deref().unwrap_or_default() {
        let limit = limit(container)?;
        match container.restart_policy.as_deref() {
            Some("Always") => {
                sidecars = sidecars.plus(limit);
                most = most.max(sidecars);
            }
            Some(_) | None => most = most.max(sidecars.plus(limit)),
        }
    }
    let mut containers = sidecars;
    for container in &spec.containers {
        containers = containers.plus(limit(container)?);
    }
    Some(most.max(containers).plus(overhead))
}

fn memory_limit(resources: Option<&ResourceRequirements>) -> Option<Amount> {
    let limit = resources?.limits.as_ref()?.get("memory").map(Amount::of);
    limit.filter(|limit| !limit.is_zero())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::may_mount;

    fn size(spec: &Value, limit: Option<&str>) -> Option<u64> {
        let pod = serde_json::from_value(json!({"spec": spec})).unwrap();
        let node =
            Node { allocatable: [("memory".into(), Quantity("1Gi".into()))].into(), ..Node::default() };
        memory_size(&pod, &node, limit.map(|limit| Quantity(limit.to_owned())).as_ref())
    }

    fn limited(memory: &str) -> Value {
        json!({"name": "c", "resources": {"limits": {"memory": memory}}})
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_tmpfs_is_bounded_by_the_volume_the_pod_and_the_node() {
        let one = json!({"containers": [limited("64Mi")]});
        assert_eq!(size(&json!({"containers": [{"name": "c"}]}), None), Some(1024 * MIB));
        assert_eq!(size(&one, None), Some(64 * MIB));
        assert_eq!(size(&one, Some("10Mi")), Some(10 * MIB));
        assert_eq!(size(&one, Some("100Mi")), Some(64 * MIB));
        assert_eq!(size(&one, Some("0")), Some(64 * MIB), "nothing is no limit");
        assert_eq!(memory_size(&Pod::default(), &Node::default(), None), None);
    }

    #[test]
    fn the_pods_memory_counts_sidecars_init_containers_and_overhead() {
        let mut sidecar = limited("8Mi");
        sidecar["restartPolicy"] = json!("Always");
        let pod = json!({
            "initContainers": [limited("40Mi"), sidecar, limited("30Mi")],
            "containers": [limited("10Mi"), limited("10Mi")],
            "overhead": {"memory": "1Mi"},
        });
        assert_eq!(size(&pod, None), Some(41 * MIB));
        let bare = json!({"containers": [limited("10Mi"), {"name": "c"}]});
        assert_eq!(
            size(&bare, None),
            Some(1024 * MIB),
            "one container without a limit makes the Pod unlimited"
        );
        let whole = json!({"resources": {"limits": {"memory": "5Mi"}}, "containers": [{"name": "c"}]});
        assert_eq!(size(&whole, None), Some(5 * MIB));
    }

    #[test]
    fn a_folder_is_open_to_everybody_and_keeps_what_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b/v");
        set_up(&folder, Medium::Disk, None, Ownership::default()).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o777);
        fs::write(folder.join("f"), "kept").unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        set_up(&folder, Medium::Disk, None, Ownership::default()).unwrap();
        assert_eq!(fs::read(folder.join("f")).unwrap(), b"kept");
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700, "it is the Pod's own by now");
        assert_eq!(fs::read_dir(root.path().join("a/b")).unwrap().count(), 1, "no unfinished folder is left");
    }

    #[test]
    fn memory_is_a_tmpfs_of_the_size_given_mounted_once() {
        if !may_mount("memory_is_a_tmpfs_of_the_size_given_mounted_once") {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("v");
        let ownership = Ownership { group: Some(4711), read_only: false };
        set_up(&folder, Medium::Memory, Some(MIB), ownership).unwrap();
        fs::write(folder.join("f"), "kept").unwrap();
        set_up(&folder, Medium::Memory, Some(MIB), ownership).unwrap();
        let kept = fs::read(folder.join("f"));
        let metadata = fs::metadata(&folder).unwrap();
        let size = rustix::fs::statvfs(&folder).map(|it| it.f_blocks * it.f_frsize);
        rustix::mount::unmount(&folder, rustix::mount::UnmountFlags::empty()).unwrap();
        assert!(!tmpfs::is_mounted(&folder).unwrap(), "it was mounted once");
        assert_eq!(kept.unwrap(), b"kept");
        assert_eq!(size, Ok(MIB));
        assert_eq!((metadata.gid(), metadata.mode() & 0o2777), (4711, 0o2777));
    }
}
