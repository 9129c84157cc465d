//! Connections: from a socket to requests of somebody.
//!
//! In: a listening socket. Out: every request handed to [`crate::chain`], with whom the connection's certificate
//! names.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    access::Reviews,
    chain::{self, Caller, Node},
    containers::Containers,
    keep_alive::keep_alive,
    pods::Pods,
    tls::{self, BadCertificate, CertifiedUser, Identity},
};

/// How long a client may take to shake hands.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a client may take to send a request's head, the idle time before it included.
const HEAD_PATIENCE: Duration = Duration::from_secs(90);

/// Pause after a connection could not be taken for want of resources, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server.
pub struct Server {
    /// What connections are met with from now on.
    acceptor: watch::Sender<TlsAcceptor>,
    node: Arc<Node>,
    /// What runs for the server holds a receiver, and ends when this goes.
    alive: watch::Sender<()>,
}

impl Server {
    /// A server that is ready to serve.
    ///
    /// # Errors
    /// The certificate, the key or the authorities are malformed or do not belong together.
    pub fn new(
        identity: &Identity<'_>,
        pods: Arc<dyn Pods>,
        containers: Arc<dyn Containers>,
        reviews: Arc<dyn Reviews>,
    ) -> Result<Self, BadCertificate> {
        let acceptor = watch::Sender::new(acceptor(identity)?);
        let name = tls::node_name(identity);
        let (alive, serving) = watch::channel(());
        Ok(Self { acceptor, node: Arc::new(Node { name, pods, containers, reviews, serving }), alive })
    }

    /// Through which this server is given another certificate.
    pub fn renewal(&self) -> Renewal {
        Renewal(self.acceptor.clone())
    }

    /// Serves until `stop` completes. Then it takes no more connections and tears those that there are: logs that
    /// are followed and commands that run have no end of their own.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        tokio::select! {
            never = self.accept(&listener) => match never {},
            () = stop => {}
        }
        drop(self.alive);
    }

    async fn accept(&self, listener: &TcpListener) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    let connection = Connection { node: self.node.clone(), from };
                    let acceptor = self.acceptor.borrow().clone();
                    self.node.spawn(connection.run(stream, acceptor));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot take connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Gives a [`Server`] that serves another certificate, or other authorities of its clients.
pub struct Renewal(watch::Sender<TlsAcceptor>);

impl Renewal {
    /// Whoever connects from now on is met with this; connections that there are go on.
    ///
    /// # Errors
    /// As [`Server::new`]; then everything stays as it is.
    pub fn replace(&self, identity: &Identity<'_>) -> Result<(), BadCertificate> {
        self.0.send_replace(acceptor(identity)?);
        Ok(())
    }
}

fn acceptor(identity: &Identity<'_>) -> Result<TlsAcceptor, BadCertificate> {
    tls::server_config(identity).map(|config| TlsAcceptor::from(Arc::new(config)))
}

/// Whether an error concerns the connection that was to be taken, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection.
struct Connection {
    node: Arc<Node>,
    from: SocketAddr,
}

impl Connection {
    async fn run(self, stream: TcpStream, acceptor: TlsAcceptor) {
        let from = self.from;
        // Keystrokes and their echoes are small, and must not wait for each other's acknowledgements.
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

    async fn serve(self, stream: TlsStream<TcpStream>) {
        let Self { node, from } = self;
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        let caller = Arc::new(Caller { certified: leaf.and_then(CertifiedUser::read) });
        let service = service_fn(move |request| {
            let (node, caller) = (node.clone(), caller.clone());
            async move { Ok::<_, Infallible>(Box::pin(chain::answer(&node, &caller, request)).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%from, %error, "a connection broke");
        }
    }
}
