//! What programs see of a network that is being broken.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::random::Purpose;

const A: Node = Node(0);
const B: Node = Node(1);
const WAY: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

/// A network on which every way takes the same time.
fn network() -> Network {
    let micros = u64::try_from(WAY.as_micros()).unwrap();
    let weather = Weather { least_micros: micros, most_micros: micros, loss_permille: 0 };
    Network::new(2, weather, Random::new(1, Purpose::Network, 0), Trace::new(false))
}

/// Both ends of a new connection from A to B.
async fn connect(network: &Network) -> (Box<dyn Duplex>, Box<dyn Duplex>) {
    let (here, there) = (network.listen(A), network.listen(B));
    let url = B.url();
    let (near, far) = tokio::join!(here.dial(&url), there.accept());
    (near.unwrap(), far.unwrap().stream.await.unwrap())
}

async fn read(from: &mut Box<dyn Duplex>, len: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    tokio::time::timeout(LONG, from.read_exact(&mut bytes)).await.unwrap_or_else(|_| Err(silence()))?;
    Ok(bytes)
}

fn silence() -> std::io::Error {
    std::io::ErrorKind::TimedOut.into()
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_in_order_after_their_way() {
    let network = network();
    let (mut near, mut far) = connect(&network).await;
    let sent = Instant::now();
    near.write_all(b"hello ").await.unwrap();
    near.write_all(b"world").await.unwrap();
    assert_eq!(read(&mut far, 11).await.unwrap(), b"hello world");
    assert!(sent.elapsed() >= WAY && sent.elapsed() < WAY * 2, "{:?}", sent.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_cut_one_way_carries_the_other_way() {
    let network = network();
    let (mut near, mut far) = connect(&network).await;
    network.cut(|from, _| from == A);
    near.write_all(b"lost").await.unwrap();
    far.write_all(b"heard").await.unwrap();
    assert_eq!(read(&mut near, 5).await.unwrap(), b"heard");
    assert_eq!(read(&mut far, 4).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    network.cut(|_, _| false);
    assert_eq!(read(&mut far, 4).await.unwrap(), b"lost", "TCP sends it again");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_reached_over_a_link_that_is_cut() {
    let network = network();
    let (here, _there) = (network.listen(A), network.listen(B));
    network.cut(|_, to| to == A);
    let url = B.url();
    assert!(
        tokio::time::timeout(LONG, here.dial(&url)).await.is_err(),
        "nobody says that it cannot be reached"
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_old_connection_carries_can_arrive_after_what_a_new_one_carries() {
    let network = network();
    let (mut old_near, mut old_far) = connect(&network).await;
    network.stall(LONG / 2, |_, _| true);
    old_near.write_all(b"old").await.unwrap();
    let (mut near, mut far) = connect(&network).await;
    near.write_all(b"new").await.unwrap();
    let first = tokio::select! {
        bytes = read(&mut old_far, 3) => bytes,
        bytes = read(&mut far, 3) => bytes,
    };
    assert_eq!(first.unwrap(), b"new");
    assert_eq!(read(&mut old_far, 3).await.unwrap(), b"old");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_says_goodbye_after_what_it_sent() {
    let network = network();
    let (mut near, mut far) = connect(&network).await;
    near.write_all(b"last").await.unwrap();
    drop(near);
    assert_eq!(read(&mut far, 4).await.unwrap(), b"last");
    assert_eq!(read(&mut far, 1).await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_power_says_nothing_and_one_that_is_back_knows_nothing() {
    let network = network();
    let (near, mut far) = connect(&network).await;
    network.darken(A, true);
    drop(near);
    assert_eq!(read(&mut far, 1).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    far.write_all(b"are you there?").await.unwrap();
    assert_eq!(read(&mut far, 1).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    let _listening = network.listen(A);
    far.write_all(b"and now?").await.unwrap();
    assert_eq!(read(&mut far, 1).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_reader_that_does_not_read() {
    let network = network();
    let (mut near, mut far) = connect(&network).await;
    let much = vec![7; 1 << 20];
    assert!(tokio::time::timeout(LONG, near.write_all(&much)).await.is_err());
    read(&mut far, 64 << 10).await.unwrap();
    assert!(tokio::time::timeout(LONG, near.write_all(b"more")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn broken_connections_are_noticed_at_both_ends() {
    let network = network();
    let (mut near, mut far) = connect(&network).await;
    network.reset(|_, _| true);
    for end in [&mut near, &mut far] {
        assert_eq!(read(end, 1).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert!(end.write_all(b"x").await.is_err());
    }
}
