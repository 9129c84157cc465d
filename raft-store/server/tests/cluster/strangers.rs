//! Disks that do not belong.

use keelson_store::{OpenError, StoreOptions, log::LogMeta};
use keelson_store_core::{
    engine::{Disk as _, Role},
    id::{ClusterId, ReplicaId},
};

use crate::replicas::{Cluster, put_at_last, value};

/// Flags of another cluster, which do not even name this member.
fn of_another_cluster(options: &mut StoreOptions) {
    options.cluster_token = "another".to_owned();
    options.initial_cluster.retain(|member| member.name != options.member.name);
}

#[tokio::test]
async fn where_a_cluster_has_begun_the_disk_counts_and_not_the_flags() {
    let mut cluster = Cluster::start().await;
    put_at_last(cluster.store(0), "k", "x").await;
    cluster.adjust(of_another_cluster);
    for number in 0..3 {
        cluster.kill(number);
        cluster.restart(number).await;
    }
    assert_eq!(value(cluster.store(1), "k").await.as_deref(), Some("x"));
    put_at_last(cluster.store(2), "k", "y").await;
}

#[tokio::test]
async fn a_new_disk_of_a_member_that_its_flags_do_not_name_is_refused() {
    let mut cluster = Cluster::start().await;
    cluster.kill(2);
    cluster.adjust(of_another_cluster);
    let error = cluster.restart_wiped(2).await;
    assert!(matches!(&error, OpenError::NameNotInCluster(name) if name == "c"), "{error}");
}

#[tokio::test]
async fn a_disk_on_which_nothing_has_begun_follows_flags_that_were_corrected() {
    let wrong = ClusterId::new(7);
    let cluster = Cluster::start_on(|disk, _, _| {
        let meta = LogMeta::new(disk.open("log", Role::Log).unwrap());
        meta.bind(ReplicaId::new(rand::random()), wrong).unwrap();
    })
    .await;
    put_at_last(cluster.store(0), "k", "x").await;
    assert_ne!(cluster.store(0).status().cluster, wrong);
}

#[tokio::test]
async fn a_wiped_disk_under_an_old_name_is_refused_and_does_no_harm() {
    let mut cluster = Cluster::start().await;
    put_at_last(cluster.store(0), "k", "x").await;
    let wiped = cluster.follower().await;
    cluster.kill(wiped);
    let error = cluster.restart_wiped(wiped).await;
    assert!(
        matches!(&error, OpenError::Refused { reason, .. } if reason.contains("may not take its place")),
        "{error}"
    );
    let other = cluster.alive()[0];
    put_at_last(cluster.store(other), "k", "y").await;
    assert_eq!(value(cluster.store(other), "k").await.as_deref(), Some("y"));
}

#[tokio::test]
async fn a_disk_that_has_lost_its_log_alone_is_no_new_disk() {
    let mut cluster = Cluster::start_alone().await;
    put_at_last(cluster.store(0), "k", "x").await;
    cluster.kill(0);
    let disk = cluster.copy_disk(0);
    disk.remove("log").unwrap();
    let error = cluster.restart_on(0, disk).await;
    assert!(matches!(&error, OpenError::LogMissing(state) if state == "state-0"), "{error}");
}
