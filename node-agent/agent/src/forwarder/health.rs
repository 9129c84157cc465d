//! Whether a server is ready: `GET /readyz` over TLS, without credentials; anybody may ask.

use std::sync::Arc;

use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Server;

/// Authorities that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the authorities of the API servers cannot be used: {0}")]
pub struct BadAuthorities(String);

/// Asks servers.
pub(super) struct Health {
    connector: TlsConnector,
}

impl Health {
    /// Believes servers that these authorities (PEM) have signed.
    pub(super) fn new(authorities: &str) -> Result<Self, BadAuthorities> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
            let certificate = certificate.map_err(|error| BadAuthorities(error.to_string()))?;
            roots.add(certificate).map_err(|error| BadAuthorities(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(BadAuthorities("there are none".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| BadAuthorities(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Whether the server says that it is ready; the text says why not.
    pub(super) async fn ask(&self, server: &Server) -> Result<(), String> {
        let name = ServerName::try_from(server.host.clone()).map_err(|error| error.to_string())?;
        let stream =
            TcpStream::connect((server.host.as_str(), server.port)).await.map_err(|it| it.to_string())?;
        let stream = self.connector.connect(name, stream).await.map_err(|it| it.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|it| it.to_string())?;
        let request = Request::get("/readyz")
            .header(HOST, server.to_string())
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|it| it.to_string())?;
        let answer = sender.send_request(request);
        tokio::pin!(answer, connection);
        let answer = tokio::select! {
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        };
        match answer.map_err(|it| it.to_string())?.status() {
            StatusCode::OK => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    }
}
