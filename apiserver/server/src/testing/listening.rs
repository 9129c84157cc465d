//! A server that listens on loopback, and clients of it.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};
use tokio_rustls::{TlsConnector, client};

use super::{Authority, Site, client_certificate};
use crate::{
    authn::x509::ClientAuthorities,
    authz::MASTERS,
    serve::{Sharing, listen, serve},
    tls,
};

/// The body of a request.
pub(crate) type Sent = Full<Bytes>;

/// A server that listens.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) serving: JoinHandle<()>,
}

/// The TLS of a server whose authority this is.
pub(crate) fn tls_of(authority: &Authority) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let authorities = ClientAuthorities::from_pem(&authority.pem()).unwrap();
    tls::server_config(&certificate.pem(), &key.serialize_pem(), &authorities).unwrap()
}

impl Listening {
    pub(crate) fn start(site: Site) -> Self {
        let Site { server, authority } = site;
        let tls = tls_of(&authority);
        let listener = listen("127.0.0.1:0".parse().unwrap(), Sharing::Exclusive).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve(server, vec![listener], tls, async { drop(stopped.await) }));
        Self { address, authority, stop, serving }
    }

    /// Connects, showing a certificate that `signed_by` signed, or none.
    pub(crate) async fn connect(
        &self,
        signed_by: Option<&Authority>,
        alpn: &[u8],
    ) -> client::TlsStream<TcpStream> {
        let shown = signed_by.map(|authority| {
            let (certificate, key) = client_certificate(authority, "root", &[MASTERS]);
            (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        });
        self.connect_showing(shown, alpn).await
    }

    /// Connects, showing this certificate, whatever it is.
    pub(crate) async fn connect_showing(
        &self,
        shown: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
        alpn: &[u8],
    ) -> client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shown {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = provider.key_provider.load_private_key(key).unwrap();
                let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
                config.with_client_cert_resolver(Arc::new(shown))
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    pub(crate) async fn connect_http1(&self, signed_by: Option<&Authority>) -> http1::SendRequest<Sent> {
        let stream = TokioIo::new(self.connect(signed_by, tls::HTTP_1_1).await);
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender
    }

    pub(crate) async fn connect_http2(&self, signed_by: Option<&Authority>) -> http2::SendRequest<Sent> {
        let stream = TokioIo::new(self.connect(signed_by, tls::H2).await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}
