//! A disk that is full under one member.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::Read;
use crate::cluster::Cluster;
use crate::wait::{self, PATIENCE};
use crate::writer::Writer;

#[tokio::test]
async fn a_follower_whose_disk_is_full_serves_until_its_log_is_full_and_comes_back_when_there_is_space() {
    let mut cluster = Cluster::prepare(3, &[]);
    let small = 2;
    if !mount_small_disk(&mut cluster, small) {
        return;
    }
    cluster.start_all().await;
    if cluster.leader().await == small {
        hand_leadership(&cluster, small, 0).await;
    }
    fill_stop_and_return(cluster, small).await;
}

#[tokio::test]
async fn a_leader_whose_disk_is_full_serves_until_its_log_is_full_and_comes_back_when_there_is_space() {
    let mut cluster = Cluster::prepare(3, &[]);
    let small = 2;
    if !mount_small_disk(&mut cluster, small) {
        return;
    }
    cluster.start_all().await;
    let leader = cluster.leader().await;
    if leader != small {
        hand_leadership(&cluster, leader, small).await;
    }
    fill_stop_and_return(cluster, small).await;
}

/// What holds for a leader and a follower alike.
async fn fill_stop_and_return(mut cluster: Cluster, small: usize) {
    let mut writer = Writer::start(cluster.clients_from(small), "w");
    writer.goes_on(20).await;
    let client = cluster.members[small].client.clone();
    let large = "v".repeat(16 << 10);
    client.put("large", &large).await.unwrap();

    let ballast = fill(&cluster.members[small].data_dir);
    wait::until("it says that there is no room", PATIENCE, async || {
        cluster.members[small].process().printed().contains("no room for a snapshot").then_some(())
    })
    .await;
    writer.goes_on(50).await;
    client.read_all(Read::Linearizable).await.unwrap();
    // Its log still has room of its own, for what does not grow. Where that ends, too, nothing can be acknowledged any more.
    wait::until("its log is full", 2 * PATIENCE, async || {
        let _ = client.put("large", &large).await;
        cluster.members[small].process().ended()
    })
    .await;
    let (status, printed) = cluster.members[small].exit(PATIENCE).await;
    writer.goes_on(50).await;
    assert_eq!(status.code(), Some(1), "{printed}");
    let sentence = printed.lines().last().unwrap();
    assert!(sentence.starts_with("keelson: "), "{printed}");
    assert!(sentence.contains("No space left on device"), "{sentence}");

    fs::remove_file(ballast).unwrap();
    cluster.members[small].start();
    writer.goes_on(50).await;
    let history = writer.finish().await;
    let contents = cluster.members[0].client.read_all(Read::Linearizable).await.unwrap();
    history.assert_all_in(&contents.values);
    assert_eq!(cluster.applied(small, contents.revision).await.values, contents.values);
}

async fn hand_leadership(cluster: &Cluster, from: usize, to: usize) {
    let heir = cluster.members[to].client.status().await.unwrap().header.unwrap().member_id;
    cluster.members[from].client.move_leader(heir).await.unwrap();
    wait::until("leadership is handed over", PATIENCE, async || (cluster.leader().await == to).then_some(()))
        .await;
}

/// Takes every byte that is left. Answers the file that holds them.
fn fill(data_dir: &Path) -> PathBuf {
    let path = data_dir.join(".ballast");
    let mut file = File::create_new(&path).unwrap();
    for block in [&[0_u8; 1 << 16][..], &[0; 1]] {
        while file.write_all(block).is_ok() {}
    }
    path
}

/// Puts a member's data on a small disk; false where this process may not, which is said by name.
fn mount_small_disk(cluster: &mut Cluster, member: usize) -> bool {
    cluster.disk = SmallDisk::mount(&cluster.members[member].data_dir, 192);
    cluster.disk.is_some()
}

/// A small file system in memory. It is gone with this value.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not, which is said by name.
    pub(crate) fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(path.to_owned())),
            Ok(output) => {
                println!(
                    "skipped: a small disk cannot be mounted: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                None
            }
            Err(error) => {
                println!("skipped: a small disk cannot be mounted: {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}
