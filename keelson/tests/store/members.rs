//! Members that go: replaced by a new machine, or removed.

use std::fs;

use crate::client::Read;
use crate::cluster::Cluster;
use crate::process;
use crate::wait::{self, PATIENCE};

/// What is typed on the machine that takes `member`'s place.
fn replacing(cluster: &Cluster, member: usize) -> Vec<String> {
    let mut arguments = cluster.members[member].arguments();
    arguments.insert(1, "replace".to_owned());
    arguments.extend(cluster.client_flags(&cluster.members));
    arguments
}

/// Waits until there are three voters, none of which has the id `lost`.
async fn three_voters(cluster: &Cluster, asked: usize, lost: u64) {
    wait::until("three voters", PATIENCE, async || {
        let members = cluster.members[asked].client.members().await.ok()?;
        let voters = members.iter().filter(|member| !member.is_learner && member.id != lost);
        (voters.count() == 3 && members.len() == 3).then_some(())
    })
    .await;
    // While somebody becomes a voter, the old voters are needed, too; a further change waits until that is
    // over.
    for member in cluster.members[asked].client.members().await.unwrap() {
        let again = cluster.members[asked].client.promote(member.id).await.unwrap_err();
        assert_eq!(again.message(), "etcdserver: can only promote a learner member");
    }
}

#[tokio::test]
async fn a_new_machine_takes_a_lost_ones_place_with_one_command() {
    let mut cluster = Cluster::start().await;
    let revision = cluster.members[0].client.put("k", "v").await.unwrap();
    let (lost, asked) = (cluster.follower().await, cluster.leader().await);

    let alive = process::run(&replacing(&cluster, lost));
    let printed = String::from_utf8_lossy(&alive.stderr).into_owned();
    assert!(!alive.status.success() && printed.contains("the folder is not empty"), "{printed}");
    let elsewhere = cluster.folder.path().join("elsewhere").display().to_string();
    let mut arguments = replacing(&cluster, lost);
    arguments.push(format!("--data-dir={elsewhere}"));
    let alive = process::run(&arguments);
    let printed = String::from_utf8_lossy(&alive.stderr).into_owned();
    assert!(!alive.status.success() && printed.contains("it is not lost"), "{printed}");

    let old = cluster.members[lost].client.status().await.unwrap().header.unwrap().member_id;
    cluster.members[lost].kill();
    fs::remove_dir_all(&cluster.members[lost].data_dir).unwrap();
    let arguments = replacing(&cluster, lost);
    let replacement = cluster.members[lost].attempt(&arguments);
    three_voters(&cluster, asked, old).await;
    assert_eq!(cluster.applied(lost, revision).await.values["k"], "v");

    // From now on it is a member as any other, with the flags that it always had.
    replacement.kill();
    cluster.members[lost].start();
    cluster.members[asked].kill();
    wait::until("a write with the new member's vote", PATIENCE, async || {
        cluster.members[lost].client.put("k", "w").await.ok()
    })
    .await;
    let contents = cluster.members[lost].client.read_all(Read::Linearizable).await.unwrap();
    assert_eq!(contents.values["k"], "w");
}

#[tokio::test]
async fn a_removed_member_ends_and_says_what_to_do() {
    let mut cluster = Cluster::start().await;
    let (gone, asked) = (cluster.follower().await, cluster.leader().await);
    let id = cluster.members[gone].client.status().await.unwrap().header.unwrap().member_id;
    cluster.members[asked].client.remove_member(id).await.unwrap();
    let (status, printed) = cluster.members[gone].exit(PATIENCE).await;
    assert_eq!(status.code(), Some(1));
    let last = printed.lines().last().unwrap();
    assert!(last.starts_with("keelson: this member was removed from its cluster"), "{last}");
    assert!(last.contains("--initial-cluster-state=existing"), "{last}");
    cluster.members[asked].client.put("k", "v").await.unwrap();
}
