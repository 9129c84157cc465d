//! TLS towards clients.
//!
//! In: the files of this replica's certificate, and of the authority that signs its clients, where they must
//! show a certificate. Out: an acceptor for connections that speak HTTP inside TLS.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::pem;

/// The files of the client-facing side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTlsFiles {
    /// The certificate chain that clients are shown, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authority of the clients' certificates, PEM. Without it anyone who can connect is served.
    pub client_ca: Option<PathBuf>,
}

/// TLS towards clients, ready to accept.
#[derive(Clone)]
pub struct ClientTls {
    acceptor: TlsAcceptor,
}

impl ClientTls {
    /// Reads the files. The process must have installed rustls' crypto provider.
    ///
    /// # Errors
    /// A file is missing, holds no PEM of its kind, or key and certificate do not belong together; the text
    /// names the file.
    pub fn load(files: &ClientTlsFiles) -> io::Result<Self> {
        let verifier = match &files.client_ca {
            Some(ca) => client_verifier(ca)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let key = pem::private_key(&files.key)?;
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(pem::certificates(&files.cert)?, key)
            .map_err(|error| pem::in_file(&files.key, error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

/// The common name in the certificate that a client has shown.
pub(super) fn client_name(stream: &TlsStream<TcpStream>) -> Option<Arc<str>> {
    let shown = stream.get_ref().1.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(shown).ok()?;
    certificate.subject().iter_common_name().last()?.as_str().ok().map(Arc::from)
}

fn client_verifier(ca: &Path) -> io::Result<Arc<dyn ClientCertVerifier>> {
    WebPkiClientVerifier::builder(pem::roots(ca)?).build().map_err(|error| pem::in_file(ca, error))
}
