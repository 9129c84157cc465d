//! Connections: from a socket to requests of somebody.
//!
//! In: listening sockets and a TLS configuration. Out: for every connection the [`Peer`] at its other end, and
//! every request of it handed to [`crate::chain`], over HTTP/2 or HTTP/1.1.
//!
//! A server that is asked to stop says first that it is no longer ready, and ends kept connections with the next answer on
//! them; then it takes the connections that wait already and no more, tells those it has to go away, and ends when their
//! requests are answered or the patience for that is over.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{authn::Peer, chain, keep_alive::keep_alive, server::Server, tls};

/// How many connections may wait to be taken.
const BACKLOG: u32 = 1024;

/// How long a client may take to shake hands.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// How long an HTTP/1.1 client may take to send a request's head, the idle time before it included.
const HEAD_PATIENCE: Duration = Duration::from_secs(90);

/// How long a new connection is served before it may be told to go away: so long a client may take to ask something, and
/// one that has been let in is answered.
const YOUTH: Duration = Duration::from_secs(1);

/// How often an HTTP/2 client is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long it may take to answer that.
const PING_PATIENCE: Duration = Duration::from_secs(15);

/// How many requests one HTTP/2 connection may have under way; upstream's number.
const MAX_STREAMS: u32 = 100;

/// Bytes of a request's head: tokens and selectors are long, but not that long.
const MAX_HEAD_BYTES: u32 = 1 << 20;

/// Fields of an HTTP/1.1 request's head: who acts for somebody of many groups names each in a field of its own.
const MAX_HEADERS: usize = 1000;

/// Pause after a connection could not be taken for want of resources, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether other processes may listen at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The address is this server's own.
    Exclusive,
    /// All servers of a machine share it, and the system spreads connections over them.
    Shared,
}

/// Listens at an address.
///
/// # Errors
/// The address is taken or not this machine's.
pub fn listen(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted server need not wait for connections of the last one to time out.
    socket.set_reuseaddr(true)?;
    if sharing == Sharing::Shared {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` completes and what is under way then is answered.
pub async fn serve(
    server: Arc<Server>,
    listeners: Vec<TcpListener>,
    tls: Arc<ServerConfig>,
    stop: impl Future<Output = ()>,
) {
    // Every connection holds a receiver as long as it lives, and finishes when the value becomes true.
    let (closing, connection) = watch::channel(false);
    let acceptor = TlsAcceptor::from(tls);
    let accepting =
        join_all(listeners.iter().map(|listener| accept(&server, listener, &acceptor, &connection)));
    let stopping = async {
        stop.await;
        server.begin_leave();
        tokio::time::sleep(server.options.shutdown_delay).await;
        server.begin_stop();
    };
    tokio::select! {
        _ = accepting => {}
        () = stopping => {}
    }
    listeners.iter().for_each(|listener| take_waiting(&server, listener, &acceptor, &connection));
    drop((listeners, connection));
    closing.send_replace(true);
    if timeout(server.options.request_timeout, closing.closed()).await.is_err() {
        tracing::warn!("some connections did not end in time; they are torn");
    }
}

/// Takes connections, for ever.
async fn accept(
    server: &Arc<Server>,
    listener: &TcpListener,
    acceptor: &TlsAcceptor,
    closing: &watch::Receiver<bool>,
) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let connection = Connection { server: server.clone(), from, closing: closing.clone() };
                connection.begin(stream, acceptor);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot take connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Takes the connections that the system has made already: when the listener goes, it would reset them.
fn take_waiting(
    server: &Arc<Server>,
    listener: &TcpListener,
    acceptor: &TlsAcceptor,
    closing: &watch::Receiver<bool>,
) {
    while let Some(Ok((stream, from))) = listener.accept().now_or_never() {
        let connection = Connection { server: server.clone(), from, closing: closing.clone() };
        connection.begin(stream, acceptor);
    }
}

/// Whether an error concerns the connection that was to be taken, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection.
struct Connection {
    server: Arc<Server>,
    from: SocketAddr,
    closing: watch::Receiver<bool>,
}

impl Connection {
    fn begin(self, stream: TcpStream, acceptor: &TlsAcceptor) {
        tokio::spawn(self.run(stream, acceptor.clone()));
    }

    async fn run(self, stream: TcpStream, acceptor: TlsAcceptor) {
        let from = self.from;
        // Small answers must not wait for acknowledgements of earlier ones.
        if let Err(error) = stream.set_nodelay(true).and_then(|()| keep_alive(&stream)) {
            tracing::debug!(%from, %error, "the connection is gone");
            return;
        }
        match timeout(HANDSHAKE_PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!(%from, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%from, "TLS handshake took too long"),
        }
    }

    /// The protocol is what the handshake agreed on; it is not guessed from the first bytes.
    async fn serve(self, stream: TlsStream<TcpStream>) {
        let Self { server, from, mut closing } = self;
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates();
        let peer = Arc::new(server.authenticator.greet(chain, server.now()));
        let is_h2 = session.alpn_protocol() == Some(tls::H2);
        let service = service_fn(move |request| answer(server.clone(), peer.clone(), request));
        let stream = TokioIo::new(stream);
        let result = if is_h2 {
            let connection = http2_builder().serve_connection(stream, service);
            finish_when(&mut closing, connection, |connection| connection.graceful_shutdown()).await
        } else {
            let connection = http1_builder().serve_connection(stream, service).with_upgrades();
            finish_when(&mut closing, connection, |connection| connection.graceful_shutdown()).await
        };
        if let Err(error) = result {
            tracing::debug!(%from, %error, "a connection broke");
        }
    }
}

/// Serves a connection; once `closing` is true, only until the requests under way are answered.
async fn finish_when<C>(
    closing: &mut watch::Receiver<bool>,
    connection: C,
    finish: impl FnOnce(Pin<&mut C>),
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let old = Instant::now() + YOUTH;
    let time_to_go = async {
        // A sender that is gone has nothing more to serve either.
        let _ = closing.wait_for(|closing| *closing).await;
        sleep_until(old).await;
    };
    tokio::select! {
        result = connection.as_mut() => return result,
        () = time_to_go => {}
    }
    finish(connection.as_mut());
    connection.await
}

async fn answer(
    server: Arc<Server>,
    peer: Arc<Peer>,
    request: http::Request<hyper::body::Incoming>,
) -> Result<crate::answer::Response, Infallible> {
    Ok(Box::pin(chain::answer(server, peer, request)).await)
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MAX_HEAD_BYTES as usize)
        .max_headers(MAX_HEADERS);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES);
    builder
}

#[cfg(test)]
mod tests;
