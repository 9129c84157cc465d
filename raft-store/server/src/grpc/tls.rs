//! TLS towards clients.
//!
//! In: the files of this replica's certificate, and of the authority that signs its clients, where they must
//! show a certificate. Out: an acceptor for connections that speak HTTP/2 inside TLS.

use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

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
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| in_file(&files.key, error))?;
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&files.cert)?, key)
            .map_err(|error| in_file(&files.key, error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

fn client_verifier(ca: &Path) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for cert in certificates(ca)? {
        roots.add(cert).map_err(|error| in_file(ca, error))?;
    }
    WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|error| in_file(ca, error))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| in_file(path, error))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| in_file(path, error))?;
    if found.is_empty() {
        return Err(in_file(path, "it holds no certificate in PEM form"));
    }
    Ok(found)
}

fn in_file(path: &Path, error: impl Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
