//! Connections of this server to nodes: for logs, commands, streams and ports of pods.
//!
//! In: where a node is and a request to its own API. Out: its answer; and, where both sides change to another
//! protocol, the bytes of either handed to the other.
//!
//! Every request has a connection of its own: most of them last, and a node that has gone is noticed at once.
//! Deliberately absent: what is asked and who may ask it (`handlers::pod_streams`).

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use keelson_api_registry::{pod_streams::NodePlace, status::ApiError};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::keep_alive::keep_alive;

pub(crate) mod refusal;

pub(crate) mod upgrade;

/// How long it may take to connect to a node; upstream's.
const DIAL_PATIENCE: Duration = Duration::from_secs(30);

/// How long a node may think before it answers. It asks its container runtime meanwhile.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// Calls nodes in this server's name.
#[derive(Clone)]
pub struct NodeClient {
    tls: TlsConnector,
}

/// A certificate or key that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what} cannot be used: {why}")]
pub struct BadNodeIdentity {
    what: &'static str,
    why: String,
}

impl std::fmt::Debug for NodeClient {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeClient").finish_non_exhaustive()
    }
}

impl NodeClient {
    /// Shows this certificate to nodes, and believes nodes whose certificates these authorities signed. All in PEM.
    ///
    /// # Errors
    /// One of them is malformed, or they do not belong together.
    pub fn from_pem(certificate: &str, key: &str, authorities: &str) -> Result<Self, BadNodeIdentity> {
        let own = |why: String| BadNodeIdentity { what: "the certificate or key for calls to nodes", why };
        let theirs = |why: String| BadNodeIdentity { what: "the authority of the nodes' certificates", why };
        let mut roots = RootCertStore::empty();
        for authority in certificates(authorities).map_err(theirs)? {
            roots.add(authority).map_err(|error| theirs(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(theirs("there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| own(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| own(error.to_string()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(certificate).map_err(own)?, key)
            .map_err(|error| own(error.to_string()))?;
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Sends a request to a node.
    ///
    /// # Errors
    /// 500 in upstream's words when the node cannot be reached or is another one; 504 when it does not answer.
    pub(crate) async fn send<B>(
        &self,
        place: &NodePlace,
        request: Request<B>,
    ) -> Result<Response<Incoming>, ApiError>
    where
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let stream = match timeout(DIAL_PATIENCE, self.dial(place)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(place, &in_upstreams_words(&error))),
            Err(_) => return Err(unreachable(place, "i/o timeout")),
        };
        let broken = |error: hyper::Error| unreachable(place, &error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the answer, or with whoever reads it; after an upgrade it hands the socket on.
        tokio::spawn(connection.with_upgrades());
        match timeout(ANSWER_PATIENCE, sender.send_request(request)).await {
            Ok(answer) => answer.map_err(broken),
            Err(_) => Err(ApiError::timeout(format!("node {:?} does not answer", place.name))),
        }
    }

    /// The certificate has to bear the node's name: the address is only what somebody wrote into the Node.
    async fn dial(&self, place: &NodePlace) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(place.name.clone()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(place.authority()).await?;
        stream.set_nodelay(true)?;
        keep_alive(&stream)?;
        self.tls.connect(name, stream).await
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// People and programs know these by heart.
fn in_upstreams_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

fn unreachable(place: &NodePlace, why: &str) -> ApiError {
    let text = format!("error dialing backend: dial tcp {}: {why}", place.authority());
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "", text)
}
