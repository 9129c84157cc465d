//! Sockets: datagrams and streams in, answers out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use hickory_proto::rr::Name;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keelson_controller_runtime::Informer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::address;
use crate::answer::Zone;
use crate::cluster::Cluster;
use crate::query::Resolver;
use crate::upstream::{Transport, Upstreams};

/// Where and for what the DNS answers.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address that pods ask. It becomes one of this machine's.
    pub address: IpAddr,
    /// The port; 53, except in tests.
    pub port: u16,
    /// The cluster's zone, for instance `cluster.local`.
    pub domain: String,
    /// The file that names the servers for all other names.
    pub resolv_conf: PathBuf,
}

/// Names cannot be answered on this machine.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The zone is no name.
    #[error("the cluster's domain {0:?} is no domain name: write one like cluster.local")]
    Domain(String),
    /// The address cannot be this machine's.
    #[error("cannot make the cluster's DNS address {address} one of this machine's: {source}")]
    Address {
        /// The address.
        address: IpAddr,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else listens there.
    #[error("cannot listen for names at {address}: {source}. Only one DNS server can have that address")]
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// How long a stream may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// How long queries wait after a start for what exists to be known; afterwards other names at least are answered.
const LEARNING: Duration = Duration::from_secs(5);

/// How many queries by datagram may be under way at once; further ones wait in the socket, or are dropped by it.
const QUERIES: usize = 1024;

/// How many streams may be open at once: one that is silent keeps its place for long, so they have room of their own.
const STREAMS: usize = 256;

/// Pause after an error of a socket that is not about one client.
const PAUSE: Duration = Duration::from_millis(100);

/// The largest datagram that is a query. None needs more.
const QUERY_BYTES: usize = 4096;

/// Answers until dropped; the caller runs the informers. Before these know what exists, queries wait, and after a while
/// fail: "no such name" would be a lie.
///
/// # Errors
/// At once, where this machine cannot answer.
pub async fn run(
    services: &Informer<Service>,
    slices: &Informer<EndpointSlice>,
    options: Options,
) -> Result<std::convert::Infallible, StartError> {
    let domain = Name::from_ascii(&options.domain).map_err(|_| StartError::Domain(options.domain.clone()))?;
    let own = options.address;
    address::own(own).await.map_err(|source| StartError::Address { address: own, source })?;
    let at = SocketAddr::new(own, options.port);
    let refused = |source| StartError::Listen { address: at, source };
    let socket = UdpSocket::bind(at).await.map_err(refused)?;
    let listener = TcpListener::bind(at).await.map_err(refused)?;
    let cluster = Cluster::new(services.clone(), slices.clone());
    if timeout(LEARNING, cluster.synced()).await.is_err() {
        tracing::warn!(
            "no API server says what exists: names of the cluster are not answered until one does"
        );
    }
    let upstreams = Upstreams::read(&options.resolv_conf, own);
    tracing::info!(address = %at, domain = options.domain, "answering names");
    let resolver = Arc::new(Resolver { zone: Zone::new(domain), cluster, upstreams });
    serve(socket, listener, resolver).await
}

pub(crate) async fn serve(
    socket: UdpSocket,
    listener: TcpListener,
    resolver: Arc<Resolver>,
) -> Result<std::convert::Infallible, StartError> {
    let datagrams = datagrams(Arc::new(socket), resolver.clone(), Arc::new(Semaphore::new(QUERIES)));
    let streams = streams(listener, resolver, Arc::new(Semaphore::new(STREAMS)));
    let (never, _) = future::join(datagrams, streams).await;
    match never {}
}

async fn datagrams(
    socket: Arc<UdpSocket>,
    resolver: Arc<Resolver>,
    room: Arc<Semaphore>,
) -> std::convert::Infallible {
    let mut buffer = vec![0; QUERY_BYTES];
    loop {
        // The semaphore is never closed.
        let Ok(place) = room.clone().acquire_owned().await else { continue };
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let query = buffer[..length].to_vec();
                let (socket, resolver) = (socket.clone(), resolver.clone());
                tokio::spawn(async move {
                    if let Some(answer) = resolver.resolve(&query, Transport::Udp).await {
                        // A client that is gone asks no more.
                        let _ = socket.send_to(&answer, from).await;
                    }
                    drop(place);
                });
            }
            // An earlier answer could not be delivered; the next query can.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => {
                tracing::warn!(%error, "cannot take queries");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn streams(
    listener: TcpListener,
    resolver: Arc<Resolver>,
    room: Arc<Semaphore>,
) -> std::convert::Infallible {
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, _)) => {
                let resolver = resolver.clone();
                tokio::spawn(async move {
                    if let Err(error) = stream_of_queries(stream, &resolver).await {
                        tracing::debug!(%error, "a stream of queries broke");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take a stream");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Each query and answer has its length in front (RFC 1035, 4.2.2).
async fn stream_of_queries(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    resolver: &Resolver,
) -> io::Result<()> {
    loop {
        let Ok(length) = timeout(SILENCE, stream.read_u16()).await else { return Ok(()) };
        let length = match length {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut query = vec![0; usize::from(length)];
        timeout(SILENCE, stream.read_exact(&mut query)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let Some(answer) = resolver.resolve(&query, Transport::Tcp).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let send = async {
            stream.write_u16(length).await?;
            stream.write_all(&answer).await
        };
        // A client that asks and does not read would keep its place for ever.
        timeout(SILENCE, send).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RecordType;

    use super::*;
    use crate::query::tests::{query, resolver};

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_does_not_keep_its_place() {
        let (mut client, server) = tokio::io::duplex(64);
        let resolver = resolver();
        let serving = stream_of_queries(server, &resolver);
        let asking = async {
            let bytes = query("web.shop.svc.cluster.local", RecordType::A).to_vec().unwrap();
            for _ in 0..3 {
                client.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
                client.write_all(&bytes).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = serving => ended,
            () = asking => unreachable!("it waits for ever"),
        };
        assert_eq!(ended.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    }
}
