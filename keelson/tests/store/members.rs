//! Members that go: replaced by a new machine, or removed.

use std::fs;

use tonic::Code;

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
async fn a_learner_serves_what_it_has_and_ends_when_it_is_removed() {
    const NOT_HERE: &str = "etcdserver: rpc not supported for learner";
    let mut cluster = Cluster::start().await;
    let revision = cluster.members[0].client.put("k", "v").await.unwrap();
    let (number, asked) = (cluster.follower().await, cluster.leader().await);
    let id = async |cluster: &Cluster| {
        cluster.members[number].client.status().await.unwrap().header.unwrap().member_id
    };
    let voter = id(&cluster).await;
    cluster.members[asked].client.remove_member(voter).await.unwrap();
    cluster.members[number].exit(PATIENCE).await;
    fs::remove_dir_all(&cluster.members[number].data_dir).unwrap();
    let peer_url = cluster.members[number].peer_url();
    cluster.members[asked].client.add_learner(peer_url).await.unwrap();
    cluster.members[number].set_flag("--initial-cluster-state", "existing");
    cluster.members[number].start();

    assert_eq!(cluster.applied(number, revision).await.values["k"], "v");
    let learner = cluster.members[number].client.clone();
    wait::until("it knows that it learns", PATIENCE, async || {
        learner.status().await.is_ok_and(|status| status.is_learner).then_some(())
    })
    .await;
    let refused = wait::until("a refusal", PATIENCE, async || learner.put("k", "w").await.err()).await;
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, NOT_HERE));
    let read = learner.read_all(Read::Linearizable).await.map(drop);
    assert_eq!(read.unwrap_err().message(), NOT_HERE);
    assert_eq!(learner.members().await.unwrap_err().message(), NOT_HERE);

    let gone = id(&cluster).await;
    cluster.members[asked].client.remove_member(gone).await.unwrap();
    let (status, printed) = cluster.members[number].exit(PATIENCE).await;
    assert_eq!(status.code(), Some(1));
    assert!(printed.lines().last().unwrap().starts_with("keelson: this member was removed"), "{printed}");
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
