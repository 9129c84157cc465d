//! Disks that do not belong.

use keelson_store::OpenError;
use keelson_store_core::engine::Disk as _;

use crate::replicas::{Cluster, put_at_last, value};

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
