//! One member of three: what it refuses, in etcd's words, and what it still answers.

use tonic::{Code, Status};

use crate::client::Read;
use crate::cluster::Cluster;
use crate::writer;

#[tokio::test]
async fn without_a_quorum_only_serializable_reads_are_answered_until_a_second_member_is_back() {
    let mut cluster = Cluster::start().await;
    let (leader, last) = (cluster.leader().await, cluster.follower().await);
    let client = cluster.members[last].client.clone();
    let revision = client.put("k", "1").await.unwrap();
    cluster.applied(last, revision).await;
    let third = (0..3).find(|index| ![leader, last].contains(index)).unwrap();
    cluster.members[leader].kill();
    cluster.members[third].kill();

    let (write, read) = tokio::join!(client.put("k", "2"), client.read_all(Read::Linearizable));
    assert_has_no_quorum(&write.unwrap_err());
    assert_has_no_quorum(&read.map(|contents| contents.values).unwrap_err());
    let contents = client.read_all(Read::Serializable).await.unwrap();
    assert_eq!(contents.values["k"], "1");

    cluster.members[leader].start();
    writer::put(std::slice::from_ref(&client), "k", "3").await;
    assert_eq!(client.read_all(Read::Linearizable).await.unwrap().values["k"], "3");
}

#[tokio::test]
async fn a_leader_that_is_left_alone_does_not_acknowledge_and_does_not_read() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let client = cluster.members[leader].client.clone();
    client.put("k", "1").await.unwrap();
    let others: Vec<_> = (0..3).filter(|index| *index != leader).collect();
    for other in &others {
        cluster.members[*other].kill();
    }

    let (write, read) = tokio::join!(client.put("k", "2"), client.read_all(Read::Linearizable));
    assert_has_no_quorum(&write.unwrap_err());
    assert_has_no_quorum(&read.map(|contents| contents.values).unwrap_err());
    assert_eq!(client.read_all(Read::Serializable).await.unwrap().values["k"], "1");

    cluster.members[others[0]].start();
    writer::put(std::slice::from_ref(&client), "k", "3").await;
    assert_eq!(client.read_all(Read::Linearizable).await.unwrap().values["k"], "3");
}

/// What etcd's clients take for "try again elsewhere or later".
#[track_caller]
fn assert_has_no_quorum(status: &Status) {
    assert!(matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded), "{status}");
    let texts = ["etcdserver: request timed out", "etcdserver: no leader"];
    assert!(texts.iter().any(|text| status.message().starts_with(text)), "{status}");
}
