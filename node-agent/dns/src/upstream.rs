//! Other servers, which know what the cluster does not.
//!
//! In: a query as bytes. Out: an answer as bytes, untouched, over the same transport as the query came by: whoever
//! asked over TCP wants an answer that does not fit into a datagram.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// The machine's own name servers, in the order in which they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upstreams(Vec<SocketAddr>);

impl Upstreams {
    /// Those that a `resolv.conf` names, except `own`: asking oneself would never end. A file that cannot be read names
    /// none.
    pub(crate) fn read(path: &Path, own: IpAddr) -> Self {
        Self::parse(&fs::read_to_string(path).unwrap_or_default(), own)
    }

    fn parse(text: &str, own: IpAddr) -> Self {
        let server = |line: &str| {
            let mut words = line.split_whitespace();
            let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
            address.parse::<IpAddr>().ok()
        };
        let servers = text.lines().filter_map(server).filter(|ip| *ip != own);
        Self(servers.map(|ip| SocketAddr::new(ip, PORT)).collect())
    }

    /// The answer of the first that gives one.
    pub(crate) async fn ask(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        for server in &self.0 {
            let answer = async {
                match transport {
                    Transport::Udp => over_udp(*server, query).await,
                    Transport::Tcp => over_tcp(*server, query).await,
                }
            };
            match timeout(PATIENCE, answer).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a name server did not answer"),
                Err(_) => tracing::debug!(%server, "a name server did not answer in time"),
            }
        }
        None
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

    #[test]
    fn servers_are_read_in_order_and_one_never_asks_oneself() {
        let text = "# comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver 10.96.0.10\n nameserver  fd00::1 \n\
                    nameserver\nnameserver nonsense\n";
        let upstreams = Upstreams::parse(text, "10.96.0.10".parse().unwrap());
        let servers: Vec<String> = upstreams.0.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[fd00::1]:53"]);
        let missing = Upstreams::read(Path::new("/nonexistent/resolv.conf"), "10.96.0.10".parse().unwrap());
        assert_eq!(missing, Upstreams::default());
    }

    #[tokio::test]
    async fn answers_to_other_queries_are_not_taken() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let upstreams = Upstreams(vec![server.local_addr().unwrap()]);
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
        let upstreams = Upstreams(vec![gone, listener.local_addr().unwrap()]);
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
    }
}
