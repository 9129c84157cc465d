//! What comes in through the doors and is no member and no client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Pki, Shown};
use crate::client::{Client, Read};
use crate::cluster::{Cluster, Member};
use crate::wait::{self, PATIENCE};
use crate::writer::Writer;

/// Connections that announce a long frame at the same time.
const ANNOUNCERS: usize = 64;
/// What each of them announces: nearly the longest frame that peers may send.
const ANNOUNCED_BYTES: u32 = (8 << 20) - 1;
/// A length that no peer may announce.
const FORBIDDEN_BYTES: u32 = u32::MAX;
/// Memory that a member may take up for all of them: half of what they announce. Where the system hands out memory in
/// pages of 2 MiB, as it may on request of the allocator, each announcement costs one such page.
const GROWTH_BYTES: u64 = ANNOUNCERS as u64 * ANNOUNCED_BYTES as u64 / 2;

#[tokio::test]
async fn garbage_on_the_peer_port_is_logged_and_disturbs_nobody() {
    let mut cluster = Cluster::start().await;
    let target = cluster.leader().await;
    let address = peer_address(&cluster.members[target]);
    let mut writer = Writer::start(cluster.clients_from(target), "w");
    writer.goes_on(20).await;

    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(&[0xa5; 4096]).await.unwrap();
    assert_is_closed(&mut garbage).await;
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_is_closed(&mut plain).await;
    let mut inside_tls = member_of(&cluster, address).await;
    inside_tls.write_all(&[0xa5; 4096]).await.unwrap();
    assert_is_closed(&mut inside_tls).await;

    assert_logs(&mut cluster.members[target], &["a peer's connection ended", "frame of 2779096485 bytes"])
        .await;
    writer.goes_on(20).await;
    let history = writer.finish().await;
    history.assert_all_in(&cluster.applied(target, history.last_revision()).await.values);
}

#[tokio::test]
async fn half_open_connections_are_given_up_and_disturb_nobody() {
    let mut cluster = Cluster::start().await;
    let target = cluster.leader().await;
    let address = peer_address(&cluster.members[target]);
    let client_address =
        SocketAddr::from((cluster.members[target].address, cluster.members[target].client_port));
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut silent_client = TcpStream::connect(client_address).await.unwrap();
    let mut greeted = member_of(&cluster, address).await;
    let mut half_a_header = member_of(&cluster, address).await;
    half_a_header.write_all(&[0, 0, 0]).await.unwrap();

    let mut writer = Writer::start(cluster.clients_from(target), "w");
    writer.goes_on(20).await;
    tokio::join!(
        assert_is_closed(&mut silent),
        assert_is_closed(&mut silent_client),
        assert_is_closed(&mut greeted),
        assert_is_closed(&mut half_a_header),
    );
    writer.goes_on(20).await;
    writer.finish().await;
    assert_logs(&mut cluster.members[target], &["no greeting in time", "a client's connection was given up"])
        .await;
}

#[tokio::test]
async fn an_announced_length_takes_no_memory_and_an_oversized_one_ends_the_connection() {
    let mut cluster = Cluster::start().await;
    let target = cluster.leader().await;
    let address = peer_address(&cluster.members[target]);
    cluster.members[target].client.put("k", "").await.unwrap();
    let before = cluster.members[target].process().resident_bytes();

    let mut oversized = member_of(&cluster, address).await;
    oversized.write_all(&header(FORBIDDEN_BYTES)).await.unwrap();
    assert_is_closed(&mut oversized).await;
    let mut announcers = Vec::new();
    for _ in 0..ANNOUNCERS {
        let mut stream = member_of(&cluster, address).await;
        stream.write_all(&header(ANNOUNCED_BYTES)).await.unwrap();
        stream.write_all(&[0; 1024]).await.unwrap();
        stream.flush().await.unwrap();
        announcers.push(stream);
    }
    // The member has seen them all when it has given them up; until then the memory must not have grown at any look.
    let mut most = before;
    let process = cluster.members[target].process();
    wait::until("the announcers are given up", PATIENCE, async || {
        most = most.max(process.resident_bytes());
        let given_up = process.printed().matches("no greeting in time").count();
        (given_up >= ANNOUNCERS).then_some(())
    })
    .await;

    println!("memory before: {before} bytes, at most: {most} bytes");
    assert!(most - before < GROWTH_BYTES, "{before} bytes became {most}");
    assert_logs(&mut cluster.members[target], &["a frame of 4294967295 bytes is longer than"]).await;
    cluster.members[target].client.put("k", "still").await.unwrap();
}

#[tokio::test]
async fn only_a_certificate_of_the_peer_authority_opens_the_peer_port() {
    let mut cluster = Cluster::start().await;
    let target = cluster.leader().await;
    let address = peer_address(&cluster.members[target]);
    let host = cluster.members[target].address.to_string();
    let foreign = Pki::init(cluster.folder.path().join("foreign"), &[("a".to_owned(), host)]);

    assert_is_refused(address, cluster.pki.peer_tls(&foreign, Some("a"))).await;
    assert_is_refused(address, cluster.pki.peer_tls(&cluster.pki, None)).await;
    let refusals =
        [" WARN keelson_store::peer::refusals", "invalid peer certificate", "peer sent no certificates"];
    assert_logs(&mut cluster.members[target], &refusals).await;
    cluster.members[target].client.put("k", "").await.unwrap();
}

#[tokio::test]
async fn a_member_without_tls_among_those_with_it_is_told_so_and_they_say_so_too() {
    let mut cluster = Cluster::start().await;
    let (plain, other) = (cluster.follower().await, cluster.leader().await);
    cluster.members[plain].kill();
    let arguments = cluster.members[plain].arguments().into_iter();
    let mut arguments: Vec<_> = arguments
        .filter(|argument| !argument.starts_with("--peer-"))
        .map(|argument| {
            match argument.starts_with("--listen-peer-urls=") || argument.starts_with("--initial-cluster=") {
                true => argument.replace("https://", "http://"),
                false => argument,
            }
        })
        .collect();
    arguments.push(format!("--data-dir={}", cluster.folder.path().join("plain").display()));
    arguments.push("--initial-cluster-state=existing".to_owned());
    let process = cluster.members[plain].attempt(&arguments);
    wait::until("it is told", PATIENCE, async || {
        process.printed().contains("the peer speaks TLS, and was dialled with http").then_some(())
    })
    .await;
    assert_logs(&mut cluster.members[other], &["the other side speaks no TLS"]).await;
    process.kill();
}

#[tokio::test]
async fn only_a_certificate_of_the_client_authority_opens_the_client_port() {
    let mut cluster = Cluster::start().await;
    let target = cluster.leader().await;
    let member = &cluster.members[target];
    for shown in [Shown::Nothing, Shown::PeerOf(member.name)] {
        let stranger = Client::new(member.client_url(), cluster.pki.client_tls(shown));
        let put = stranger.put("k", "stolen").await;
        assert!(put.is_err(), "a write without a client's certificate was taken");
        let read = stranger.read_all(Read::Serializable).await;
        assert!(read.is_err(), "a read without a client's certificate was answered");
    }
    assert!(member.client.read_all(Read::Linearizable).await.unwrap().values.is_empty());
    let refusals =
        ["a client's connection was given up", "invalid peer certificate", "peer sent no certificates"];
    assert_logs(&mut cluster.members[target], &refusals).await;
}

fn peer_address(member: &Member) -> SocketAddr {
    SocketAddr::from((member.address, member.peer_port))
}

/// A frame's header that announces a body of `length` bytes, with any checksum.
fn header(length: u32) -> [u8; 8] {
    let [a, b, c, d] = length.to_be_bytes();
    [a, b, c, d, 0, 0, 0, 0]
}

async fn connect(address: SocketAddr, tls: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(tls).connect(ServerName::from(address.ip()), stream).await
}

/// A connection of somebody who holds a member's certificate.
async fn member_of(cluster: &Cluster, address: SocketAddr) -> TlsStream<TcpStream> {
    connect(address, cluster.pki.peer_tls(&cluster.pki, Some("a"))).await.unwrap()
}

/// In TLS 1.3 the connecting side has finished before the other one judges its certificate: the refusal is what it
/// reads next.
async fn assert_is_refused(address: SocketAddr, tls: Arc<ClientConfig>) {
    let refusal = match connect(address, tls).await {
        Err(error) => error,
        Ok(mut stream) => timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap().unwrap_err(),
    };
    assert!(refusal.to_string().contains("alert"), "{refusal}");
}

/// Waits until the other side closes, without having said anything but TLS's own farewell.
async fn assert_is_closed(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut heard = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
    // A reset is a close, too: what it had not read was still on its way.
    assert!(closed.is_ok(), "the connection is still open; heard: {heard:?}");
    let is_alert = heard.first().is_none_or(|kind| *kind == 0x15);
    assert!(is_alert && heard.len() < 64, "it answered: {heard:?}");
}

async fn assert_logs(member: &mut Member, texts: &[&str]) {
    let process = member.process();
    for text in texts {
        wait::until(&format!("the log says {text:?}"), Duration::from_secs(10), async || {
            process.printed().contains(text).then_some(())
        })
        .await;
    }
}
