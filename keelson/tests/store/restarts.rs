//! Members that were away: a follower for long, and all of them at once.

use futures_util::future::join_all;

use crate::client::{Client, Read};
use crate::cluster::Cluster;
use crate::wait::{self, PATIENCE};
use crate::writer::Writer;

/// More than the log keeps behind a snapshot (10,000 entries) and purges at once (1,000), and more than a busy machine
/// lets the newest snapshot lag behind: the leader cannot serve the follower from its log any more.
const WRITES_WHILE_AWAY: usize = 17_000;
/// Writes under way at once.
const WRITERS: usize = 200;

#[tokio::test]
async fn a_follower_that_was_away_for_long_catches_up_by_snapshot_and_serves_linearizable_reads() {
    let mut cluster = Cluster::start_with(&["--snapshot-count=200"]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    cluster.members[leader].client.put("before", "").await.unwrap();
    cluster.members[follower].kill();
    write_many(&cluster.members[leader].client).await;
    let expected = cluster.members[leader].client.read_all(Read::Linearizable).await.unwrap();

    cluster.members[follower].start();
    wait::until("the follower has received a snapshot", PATIENCE, async || {
        cluster.members[follower].process().printed().contains("received a snapshot").then_some(())
    })
    .await;
    cluster.applied(follower, expected.revision).await;
    let found = cluster.members[follower].client.read_all(Read::Linearizable).await.unwrap();
    assert_eq!((found.revision, found.values), (expected.revision, expected.values));
}

/// Writes few keys many times, so that the snapshot is small and the log is long.
async fn write_many(client: &Client) {
    let writers = (0..WRITERS).map(|writer| async move {
        for round in 0..WRITES_WHILE_AWAY / WRITERS {
            client.put(&format!("k/{writer}"), &round.to_string()).await.unwrap();
        }
    });
    join_all(writers).await;
}

#[tokio::test]
async fn three_members_killed_at_once_come_back_with_everything_that_was_acknowledged() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let mut writer = Writer::start(cluster.clients_from(leader), "w");
    writer.goes_on(100).await;
    for member in &mut cluster.members {
        member.kill();
    }
    cluster.start_all().await;
    writer.goes_on(20).await;
    let history = writer.finish().await;

    let contents = cluster.members[leader].client.read_all(Read::Linearizable).await.unwrap();
    history.assert_all_in(&contents.values);
    for member in 0..cluster.members.len() {
        assert_eq!(cluster.applied(member, contents.revision).await.values, contents.values);
    }
}
