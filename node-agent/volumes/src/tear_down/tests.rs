//! That a Pod goes whole, and takes nothing of the host with it.

use rustix::mount::mount_bind;

use super::*;
use crate::{testing::may_mount, tmpfs};

fn folders() -> (tempfile::TempDir, PodFolders) {
    let root = tempfile::tempdir().unwrap();
    let folders = PodFolders::new(root.path(), "u").unwrap();
    fs::create_dir_all(folders.pod().join("volumes/k/v/d")).unwrap();
    fs::write(folders.pod().join("volumes/k/v/d/f"), "").unwrap();
    (root, folders)
}

#[tokio::test(flavor = "current_thread")]
async fn everything_of_a_pod_goes_and_again_is_no_error() {
    let (root, folders) = folders();
    std::os::unix::fs::symlink(root.path(), folders.pod().join("volumes/k/v/link")).unwrap();
    fs::write(root.path().join("kept"), "").unwrap();
    tear_down(&folders).await.unwrap();
    assert!(!folders.pod().exists());
    assert!(root.path().join("kept").exists(), "links are not followed");
    tear_down(&folders).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_mounted_is_unmounted_and_the_hosts_files_stay() {
    if !may_mount("what_is_mounted_is_unmounted_and_the_hosts_files_stay") {
        return;
    }
    let (root, folders) = folders();
    let volume = folders.pod().join("volumes/k/v");
    let host = root.path().join("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("kept"), "").unwrap();
    tmpfs::mount(&volume, Some(4096)).unwrap();
    fs::create_dir(volume.join("inner")).unwrap();
    mount_bind(&host, volume.join("inner")).unwrap();
    // One that covers the other two.
    tmpfs::mount(&folders.pod().join("volumes"), Some(4096)).unwrap();
    tear_down(&folders).await.unwrap();
    assert!(!folders.pod().exists());
    assert!(host.join("kept").exists());
    let root = root.path().canonicalize().unwrap();
    assert_eq!(MountTable::read().unwrap().below(&root), [""; 0].map(PathBuf::from));
}

#[tokio::test(flavor = "current_thread")]
async fn a_mount_of_the_host_that_is_seen_below_stays_with_the_host() {
    if !may_mount("a_mount_of_the_host_that_is_seen_below_stays_with_the_host") {
        return;
    }
    let (root, folders) = folders();
    let host = root.path().join("host");
    fs::create_dir_all(host.join("disk")).unwrap();
    mount_bind(&host, &host).unwrap();
    mount_change(&host, MountPropagationFlags::SHARED).unwrap();
    let part = folders.pod().join("volumes/k/v");
    mount_bind(&host, &part).unwrap();
    tmpfs::mount(&host.join("disk"), Some(4096)).unwrap();
    fs::write(host.join("disk/kept"), "").unwrap();
    let seen = part.join("disk/kept").exists();
    let torn_down = tear_down(&folders).await;
    let kept = host.join("disk/kept").exists();
    let _ = unmount(host.join("disk"), UnmountFlags::empty());
    unmount(&host, UnmountFlags::empty()).unwrap();
    assert!(seen, "the host's mount is seen below the pod, else the test shows nothing");
    torn_down.unwrap();
    assert!(kept);
    assert!(!folders.pod().exists());
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_removed_while_something_is_in_use() {
    if !may_mount("nothing_is_removed_while_something_is_in_use") {
        return;
    }
    let (_root, folders) = folders();
    let volume = folders.pod().join("volumes/k/v");
    tmpfs::mount(&volume, Some(1 << 16)).unwrap();
    let open = fs::File::create(volume.join("open")).unwrap();
    let error = tear_down(&folders).await.unwrap_err();
    assert!(error.doing.starts_with("unmounting "), "{error}");
    assert!(volume.join("open").exists());
    drop(open);
    tear_down(&folders).await.unwrap();
    assert!(!folders.pod().exists());
}
