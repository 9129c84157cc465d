//! Other servers, which know what the cluster does not.
//!
//! In: a query as bytes. Out: an answer as bytes, untouched, over the same transport as the query came by: whoever
//! asked over TCP wants an answer that does not fit into a datagram.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// How long one server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often is looked whether the file names other servers: the machine may get its network after this has started.
const LOOK: Duration = Duration::from_secs(5);

/// How many queries may wait for other servers at once. Fewer than there may be at all: servers that do not answer must
/// not keep others from the cluster's own names.
const WAITING: usize = 768;

/// The port of name servers.
const PORT: u16 = 53;

/// The largest datagram.
const DATAGRAM_BYTES: usize = 65_535;

/// By which transport a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// The machine's own name servers, as its `resolv.conf` names them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    file: PathBuf,
    /// Asking oneself would never end.
    own: IpAddr,
    known: Mutex<Known>,
    room: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    /// The one that answered last comes first, the others as the file has them.
    servers: Vec<SocketAddr>,
    /// What the file said.
    text: Option<String>,
    looked: Option<Instant>,
}

impl Upstreams {
    /// Those that the file names, except `own`.
    pub(crate) fn read(file: &Path, own: IpAddr) -> Self {
        let known = Mutex::default();
        let upstreams = Self { file: file.to_owned(), own, known, room: Semaphore::new(WAITING) };
        upstreams.look(&mut upstreams.known());
        upstreams
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that cannot be read for now says nothing new.
    fn look(&self, known: &mut Known) {
        known.looked = Some(Instant::now());
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) => {
                if known.text.replace(String::new()).is_none() {
                    tracing::warn!(file = %self.file.display(), %error, "only the cluster's own names can be answered");
                }
                return;
            }
        };
        if known.text.as_ref() == Some(&text) {
            return;
        }
        known.servers = parse(&text, self.own);
        known.text = Some(text);
        let (file, servers) = (self.file.display(), &known.servers);
        match servers.is_empty() {
            true => tracing::warn!(%file, "names no server: only the cluster's own names can be answered"),
            false => tracing::info!(%file, ?servers, "these are asked for other names than the cluster's"),
        }
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let mut known = self.known();
        if known.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look(&mut known);
        }
        known.servers.clone()
    }

    /// The answer of the first that gives one.
    pub(crate) async fn ask(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let Ok(_place) = self.room.try_acquire() else {
            tracing::debug!("too many queries wait for other name servers");
            return None;
        };
        for server in self.servers() {
            let answer = async {
                match transport {
                    Transport::Udp => over_udp(server, query).await,
                    Transport::Tcp => over_tcp(server, query).await,
                }
            };
            match timeout(PATIENCE, answer).await {
                Ok(Ok(answer)) => {
                    self.prefer(server);
                    return Some(answer);
                }
                Ok(Err(error)) => tracing::debug!(%server, %error, "a name server did not answer"),
                Err(_) => tracing::debug!(%server, "a name server did not answer in time"),
            }
        }
        None
    }

    /// The next query goes to this server first: waiting for one that is down costs every query the same again.
    fn prefer(&self, server: SocketAddr) {
        let mut known = self.known();
        if let Some(at) = known.servers.iter().position(|known| *known == server) {
            known.servers[..=at].rotate_right(1);
        }
    }
}

fn parse(text: &str, own: IpAddr) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        address.parse::<IpAddr>().ok()
    };
    let servers = text.lines().filter_map(server).filter(|ip| *ip != own);
    servers.map(|ip| SocketAddr::new(ip, PORT)).collect()
}

#[cfg(test)]
impl Upstreams {
    /// These, whatever any file says.
    pub(crate) fn of(servers: Vec<SocketAddr>) -> Self {
        let upstreams = Self::read(Path::new("/nonexistent"), [127, 0, 0, 1].into());
        upstreams.known().servers = servers;
        upstreams
    }
}

/// From a port of its own that the system chooses at random: an answer that was not asked for does not arrive.
async fn over_udp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = vec![0; DATAGRAM_BYTES];
    loop {
        let length = socket.recv(&mut answer).await?;
        // The first two bytes are the query's id.
        if answer[..length].starts_with(query.get(..2).unwrap_or(query)) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_u16(length).await?;
    stream.write_all(query).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> IpAddr {
        [10, 96, 0, 10].into()
    }

    #[test]
    fn servers_are_read_in_order_and_one_never_asks_oneself() {
        let text = "# comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver 10.96.0.10\n nameserver  fd00::1 \n\
                    nameserver\nnameserver nonsense\n";
        let servers: Vec<String> = parse(text, own()).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[fd00::1]:53"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again_and_one_that_is_gone_changes_nothing() {
        let file = std::env::temp_dir().join(format!("keelson-dns-{}-resolv.conf", std::process::id()));
        let upstreams = Upstreams::read(&file, own());
        assert_eq!(upstreams.servers(), []);
        for server in ["192.0.2.1", "192.0.2.2"] {
            fs::write(&file, format!("nameserver {server}\n")).unwrap();
            tokio::time::advance(LOOK).await;
            assert_eq!(upstreams.servers(), [format!("{server}:53").parse().unwrap()]);
        }
        fs::remove_file(&file).unwrap();
        tokio::time::advance(LOOK).await;
        assert_eq!(upstreams.servers().len(), 1);
    }

    #[tokio::test]
    async fn answers_to_other_queries_are_not_taken() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let upstreams = Upstreams::of(vec![server.local_addr().unwrap()]);
        let answering = async {
            let mut query = [0; 512];
            let (_, from) = server.recv_from(&mut query).await.unwrap();
            server.send_to(&[9, 9, 1], from).await.unwrap();
            server.send_to(&[7, 8, 2], from).await.unwrap();
        };
        let (answer, ()) = tokio::join!(upstreams.ask(&[7, 8, 0], Transport::Udp), answering);
        assert_eq!(answer, Some(vec![7, 8, 2]));
    }

    #[tokio::test]
    async fn the_next_server_is_asked_when_one_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let there = listener.local_addr().unwrap();
        let upstreams = Upstreams::of(vec![gone, there]);
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut query = vec![0; length.into()];
            stream.read_exact(&mut query).await.unwrap();
            stream.write_u16(3).await.unwrap();
            stream.write_all(&[query[0], query[1], 5]).await.unwrap();
        };
        let (answer, ()) = tokio::join!(upstreams.ask(&[7, 8, 0], Transport::Tcp), answering);
        assert_eq!(answer, Some(vec![7, 8, 5]));
        assert_eq!(upstreams.servers(), [there, gone], "and the one that answers comes first from then on");
    }
}
