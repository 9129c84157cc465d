//! A leader that dies, and one that is asked to stop, while a client writes.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::client::Read;
use crate::cluster::Cluster;
use crate::observer::Observer;
use crate::wait::PATIENCE;
use crate::writer::Writer;

/// What is aimed at is 2 s and 1 s; other tests share the machine.
const MOST_WITHOUT_A_WRITE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_killed_leader_loses_no_acknowledged_write_and_no_event() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let first = cluster.members[leader].client.put("first", "").await.unwrap();
    let observer = Observer::start(cluster.clients_from(leader), first).await;
    let mut writer = Writer::start(cluster.clients_from(leader), "w");
    writer.goes_on(50).await;

    cluster.members[leader].kill();
    let killed = Instant::now();
    writer.goes_on(50).await;
    cluster.members[leader].start();
    writer.goes_on(50).await;
    let history = writer.finish().await;

    let waited = history.first_after(killed);
    println!("from the kill of the leader to the next acknowledged write: {waited:?} (aim: 2 s)");
    assert!(waited <= MOST_WITHOUT_A_WRITE, "{waited:?}");
    let heir = &cluster.members[cluster.leader().await];
    let contents = heir.client.read_all(Read::Linearizable).await.unwrap();
    history.assert_all_in(&contents.values);
    let watches = observer.saw_each_once(first, contents.revision).await;
    assert!(watches > 1, "the watch never had to go on elsewhere");
    let caught_up = cluster.applied(leader, contents.revision).await;
    assert_eq!(caught_up.values, contents.values);
}

#[tokio::test]
async fn a_leader_asked_to_stop_hands_over_and_exits_with_0() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let first = cluster.members[leader].client.put("first", "").await.unwrap();
    let observer = Observer::start(cluster.clients_from(leader), first).await;
    let mut writer = Writer::start(cluster.clients_from(leader), "w");
    writer.goes_on(50).await;

    cluster.members[leader].process().terminate();
    let asked = Instant::now();
    let (status, printed) = cluster.members[leader].exit(PATIENCE).await;
    let took = asked.elapsed();
    writer.goes_on(50).await;
    let history = writer.finish().await;

    println!("from SIGTERM to the leader's exit: {took:?}");
    assert!(took <= Duration::from_secs(5), "{took:?}");
    assert!(status.success(), "{status}\n{printed}");
    assert!(printed.contains("handed over leadership"), "{printed}");
    let gap = history.longest_gap_after(asked);
    println!("the longest time without an acknowledged write: {gap:?} (aim: 1 s)");
    assert!(gap <= MOST_WITHOUT_A_WRITE, "{gap:?}");
    let heir = &cluster.members[cluster.leader().await];
    let contents = heir.client.read_all(Read::Linearizable).await.unwrap();
    history.assert_all_in(&contents.values);
    observer.saw_each_once(first, contents.revision).await;
}

/// HTTP/2's preface and empty settings.
const HTTP2_GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn clients_that_connect_and_ask_nothing_do_not_hold_up_a_stop() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let member = &mut cluster.members[leader];
    let address = SocketAddr::from((member.address, member.client_port));
    let tls = TlsConnector::from(cluster.pki.raw_client_tls());
    let connect = async || {
        let stream = TcpStream::connect(address).await.unwrap();
        tls.connect(ServerName::from(address.ip()), stream).await.unwrap()
    };
    let _silent = connect().await;
    // The server answers as soon as it has taken up the connection.
    let mut polite = connect().await;
    polite.write_all(HTTP2_GREETING).await.unwrap();
    timeout(PATIENCE, polite.read_u8()).await.unwrap().unwrap();

    member.process().terminate();
    let asked = Instant::now();
    let (status, printed) = member.exit(PATIENCE).await;
    let took = asked.elapsed();
    println!("from SIGTERM to the exit, with silent clients: {took:?}");
    assert!(status.success(), "{status}\n{printed}");
    assert!(took <= Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_member_that_is_down_does_not_flood_the_logs_of_the_others() {
    let mut cluster = Cluster::start().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    cluster.members[leader].client.put("before", "").await.unwrap();
    cluster.members[follower].kill();
    let (before, killed) = (cluster.members[leader].process().printed().lines().count(), Instant::now());
    let mut writer = Writer::start(cluster.clients_from(leader), "w");
    writer.goes_on(500).await;
    writer.finish().await;

    let lines = cluster.members[leader].process().printed().lines().count() - before;
    println!("lines in the leader's log within {:?} and 500 writes: {lines}", killed.elapsed());
    assert!(lines < 200, "{lines} lines");
}
