//! Mutual TLS between replicas: both sides show a certificate of the peers' CA.

use std::{io, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, ServerConfig, pki_types::ServerName, server::WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::pem;

/// The files that make up one side of a TLS connection.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// The CA that the other side's certificate must come from, PEM.
    pub ca: PathBuf,
}

/// Both directions of peer TLS.
pub struct PeerTls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl PeerTls {
    /// Reads the files. The process must have installed rustls' crypto provider.
    ///
    /// # Errors
    /// A file is missing, holds no PEM of its kind, or key and certificate do not belong together; the text
    /// names the file.
    pub fn load(files: &TlsFiles) -> io::Result<Self> {
        let roots = pem::roots(&files.ca)?;
        let chain = pem::certificates(&files.cert)?;
        let key = pem::private_key(&files.key)?;
        let verifier = WebPkiClientVerifier::builder(roots.clone())
            .build()
            .map_err(|error| pem::in_file(&files.ca, error))?;
        let server = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(|error| pem::in_file(&files.key, error))?;
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|error| pem::in_file(&files.key, error))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
        })
    }

    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }

    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}
