//! Room on the disk: the last of it, and what comes back.

use std::time::{Duration, Instant};

use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::{CompactionRequest, DeleteRangeRequest};
use tonic::{Code, Status};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::full_disk::SmallDisk;
use crate::wait::{self, PATIENCE};

const VALUE_BYTES: usize = 512 << 10;
/// What no fsync takes, however busy the disk is.
const STALL: Duration = Duration::from_secs(3);
/// Longer than it takes a member to give up its log.
const FOR_GOOD: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_member_whose_disk_is_nearly_full_lives_on_and_deletes_make_room() {
    let mut cluster = Cluster::prepare(1, &[]);
    cluster.disk = SmallDisk::mount(&cluster.members[0].data_dir, 800);
    if cluster.disk.is_none() {
        return;
    }
    cluster.start_all().await;
    let client = cluster.members[0].client.clone();
    let large = incompressible(2 * VALUE_BYTES);
    let (written, refused) = fill(&client, &large).await;
    println!("{} MiB written before writes were refused", (written * large.len()) >> 20);
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(refused.message(), "etcdserver: mvcc: database space exceeded");
    wait::until("the alarm is seen", PATIENCE, async || {
        (!client.status().await.unwrap().errors.is_empty()).then_some(())
    })
    .await;

    let revision = delete_all(&client).await;
    compact(&client, revision).await;
    wait::until("there is room again", PATIENCE, async || client.put("new", &large).await.ok()).await;
    assert!(cluster.members[0].runs());
}

#[tokio::test]
async fn a_disk_on_which_a_member_cannot_keep_its_reserve_is_refused() {
    let mut cluster = Cluster::prepare(1, &[]);
    cluster.disk = SmallDisk::mount(&cluster.members[0].data_dir, 160);
    if cluster.disk.is_none() {
        return;
    }
    cluster.members[0].start();
    let (status, printed) = cluster.members[0].exit(PATIENCE).await;
    assert_eq!(status.code(), Some(1), "{printed}");
    let sentence = printed.lines().last().unwrap();
    assert!(sentence.contains("has 160 MiB, and a member needs one of 176 MiB"), "{sentence}");
}

#[tokio::test]
async fn on_the_smallest_disk_the_reserve_is_kept_and_deletes_make_room() {
    let mut cluster = Cluster::prepare(1, &["--snapshot-count=2000"]);
    cluster.disk = SmallDisk::mount(&cluster.members[0].data_dir, 176);
    if cluster.disk.is_none() {
        return;
    }
    cluster.start_all().await;
    let client = cluster.members[0].client.clone();
    let value = incompressible(50 << 10);
    for round in 0..2 {
        let (written, refused) = fill(&client, &value).await;
        println!("{} MiB written before writes were refused", (written * value.len()) >> 20);
        assert_eq!(refused.message(), "etcdserver: mvcc: database space exceeded");
        let disk = rustix::fs::statvfs(&cluster.members[0].data_dir).unwrap();
        let free = (disk.f_bavail * disk.f_frsize) >> 20;
        assert!(free >= 64, "{free} MiB are free in round {round}");
        cluster.members[0].kill();
        cluster.start_all().await;
        let revision = delete_all(&client).await;
        compact(&client, revision).await;
        wait::until("there is room again", PATIENCE, async || client.put("new", &value).await.ok()).await;
    }
}

/// Writes until that is refused for good: at first the member has log and old tables to give up. Answers how many values
/// were written, and the refusal.
async fn fill(client: &Client, value: &str) -> (usize, Status) {
    let (mut written, mut refused_since) = (0, None);
    loop {
        match client.put(&format!("k{written}"), value).await {
            Ok(_) => (written, refused_since) = (written + 1, None),
            Err(refused) => {
                let since: &mut Instant = refused_since.get_or_insert_with(Instant::now);
                if since.elapsed() > FOR_GOOD {
                    return (written, refused);
                }
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn the_space_of_compacted_history_comes_back_and_no_writer_waits_for_it() {
    let mut cluster = Cluster::prepare(1, &[]);
    cluster.start_all().await;
    let client = cluster.members[0].client.clone();
    let large = incompressible(VALUE_BYTES);
    let mut revision = 0;
    for write in 0..256 {
        revision = client.put(&format!("k{}", write % 8), &large).await.unwrap();
    }
    let size = async || client.status().await.unwrap().db_size;
    let before = size().await;
    assert!(before > 100 << 20, "{before} bytes");
    compact(&client, revision).await;
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while size().await > before / 4 {
        let asked = Instant::now();
        client.put("small", "v").await.unwrap();
        slowest = slowest.max(asked.elapsed());
        assert!(began.elapsed() < PATIENCE, "{} of {before} bytes are still there", size().await);
    }
    println!("{} MiB came back after {:?}, slowest put {slowest:?}", before >> 20, began.elapsed());
    assert!(slowest < STALL, "a put took {slowest:?}");
}

/// Text that takes as much room on the disk as it is long, about.
pub(crate) fn incompressible(len: usize) -> String {
    let mut state = 1_u64;
    let mut letter = || {
        // Knuth's generator; its upper bits are good enough for this.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + (state >> 58) as u8)
    };
    (0..len).map(|_| letter()).collect()
}

async fn delete_all(client: &Client) -> i64 {
    let all = DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: false };
    let deleted = KvClient::new(client.channel().clone()).delete_range(all).await.unwrap();
    deleted.into_inner().header.unwrap().revision
}

async fn compact(client: &Client, revision: i64) {
    let request = CompactionRequest { revision, physical: true };
    KvClient::new(client.channel().clone()).compact(request).await.unwrap();
}
