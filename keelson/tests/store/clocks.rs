//! Members whose clocks are an hour off, one ahead and one behind, and jump while they run.
//!
//! Nothing may change: leases go by monotonic time, and nothing else in the store goes by any.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::lease_client::LeaseClient;
use keelson_proto::etcd::rpc::{LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest};
use tokio::time::interval;

use crate::client::{Client, Read};
use crate::cluster::{Cluster, Member};
use crate::wait::{self, PATIENCE};
use crate::writer::Writer;

const TTL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn members_whose_clocks_are_an_hour_off_change_nothing() {
    let Some(library) = faketime() else {
        println!("skipped: libfaketime is not installed (Debian: faketime)");
        return;
    };
    let mut cluster = Cluster::prepare(3, &[]);
    for (member, shift) in cluster.members.iter_mut().zip(["+0s", "+3600s", "-3600s"]) {
        set_clock(member, shift);
        member.set_variable("LD_PRELOAD", &library);
        member.set_variable("FAKETIME_TIMESTAMP_FILE", clock(member));
        member.set_variable("FAKETIME_NO_CACHE", "1");
        member.set_variable("DONT_FAKE_MONOTONIC", "1");
    }
    cluster.start_all().await;
    for member in &mut cluster.members {
        assert!(member.process().has_loaded("libfaketime"), "{} sees the right time", member.name);
    }
    let mut writer = Writer::start(cluster.clients_from(0), "w");
    for leader in [1, 2] {
        lead(&cluster, leader).await;
        let (sign, other) = if leader == 1 { ("+", "-") } else { ("-", "+") };
        let jumps = [format!("{other}3600s"), "+0s".to_owned(), format!("{sign}3600s")];
        a_lease_lives_as_long_as_it_is_renewed(&cluster, leader, &jumps).await;
        writer.goes_on(20).await;
    }
    let history = writer.finish().await;
    let contents = cluster.members[0].client.read_all(Read::Linearizable).await.unwrap();
    history.assert_all_in(&contents.values);
    for member in 1..3 {
        assert_eq!(cluster.applied(member, contents.revision).await.values, contents.values);
    }
}

/// A lease at a leader whose clock jumps: it neither ends while it is renewed, nor early afterwards, nor never.
async fn a_lease_lives_as_long_as_it_is_renewed(cluster: &Cluster, leader: usize, jumps: &[String]) {
    let (client, key) = (&cluster.members[leader].client, format!("leased-{leader}"));
    let lease = grant(client).await;
    let value = PutRequest { key: key.clone().into(), lease, ..PutRequest::default() };
    KvClient::new(client.channel().clone()).put(value).await.unwrap();
    let is_there =
        async || client.read_all(Read::Linearizable).await.unwrap().values.contains_key(&key).then_some(());

    let mut renewed = Instant::now();
    for jump in jumps {
        set_clock(&cluster.members[leader], jump);
        // Half a life. The first tick is at once.
        let mut halves = interval(TTL / 2);
        halves.tick().await;
        halves.tick().await;
        assert!(is_there().await.is_some(), "a clock that jumps by {jump} ends a lease");
        renewed = Instant::now();
        assert_eq!(renew(client, lease).await, 2, "after {jump}");
    }
    wait::until("the lease ends", PATIENCE, async || is_there().await.is_none().then_some(())).await;
    assert!(renewed.elapsed() >= TTL, "it ended {:?} after it was renewed", renewed.elapsed());
}

async fn grant(client: &Client) -> i64 {
    let request = LeaseGrantRequest { ttl: i64::try_from(TTL.as_secs()).unwrap(), id: 0 };
    LeaseClient::new(client.channel().clone()).lease_grant(request).await.unwrap().into_inner().id
}

/// Answers how many seconds the lease has now; none if it is gone.
async fn renew(client: &Client, lease: i64) -> i64 {
    let requests = tokio_stream::iter([LeaseKeepAliveRequest { id: lease }]);
    let answers = LeaseClient::new(client.channel().clone()).lease_keep_alive(requests).await.unwrap();
    answers.into_inner().message().await.unwrap().unwrap().ttl
}

async fn lead(cluster: &Cluster, member: usize) {
    let heir = cluster.members[member].client.status().await.unwrap().header.unwrap().member_id;
    let leader = cluster.leader().await;
    if leader != member {
        cluster.members[leader].client.move_leader(heir).await.unwrap();
    }
    wait::until("it leads", PATIENCE, async || (cluster.leader().await == member).then_some(())).await;
}

fn clock(member: &Member) -> PathBuf {
    member.data_dir.with_extension("clock")
}

/// Shows a member a time that is off. It looks at any moment, and must never find half a number.
fn set_clock(member: &Member, shift: &str) {
    let new = member.data_dir.with_extension("new-clock");
    fs::write(&new, format!("{shift}\n")).unwrap();
    fs::rename(&new, clock(member)).unwrap();
}

fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let folders = folders.chain([Path::new("/usr/lib").to_owned()]);
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|file| file.is_file())
}
