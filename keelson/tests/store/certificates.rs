//! The certificates of one cluster, made by the binary under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::process;

/// A folder of `keelson pki init`.
pub(crate) struct Pki {
    folder: PathBuf,
}

/// The certificate that a client shows.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// The one made for clients.
    Client,
    /// None at all.
    Nothing,
    /// The one that this member shows to its peers.
    PeerOf(&'a str),
}

impl Pki {
    /// Makes certificates for members, each with its address.
    pub(crate) fn init(folder: PathBuf, members: &[(String, String)]) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let mut arguments = ["pki", "init", "--dir"].map(str::to_owned).to_vec();
        arguments.push(folder.display().to_string());
        for (name, address) in members {
            arguments.extend(["--member".to_owned(), format!("{name}={address}")]);
        }
        let made = process::run(&arguments);
        assert!(made.status.success(), "{made:?}");
        Self { folder }
    }

    /// A file in the folder.
    pub(crate) fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    /// TLS of a client of the store.
    pub(crate) fn client_tls(&self, shown: Shown<'_>) -> ClientTlsConfig {
        let read = |path: String| fs::read(self.file(path)).unwrap();
        let pair =
            |stem: String| Identity::from_pem(read(format!("{stem}.crt")), read(format!("{stem}.key")));
        let authority = Certificate::from_pem(read("client-ca.crt".to_owned()));
        let tls = ClientTlsConfig::new().ca_certificate(authority);
        match shown {
            Shown::Nothing => tls,
            Shown::Client => tls.identity(pair("clients/root".to_owned())),
            Shown::PeerOf(member) => tls.identity(pair(format!("members/{member}/peer"))),
        }
    }

    /// TLS of a client that speaks HTTP/2 by hand, or does not.
    pub(crate) fn raw_client_tls(&self) -> Arc<ClientConfig> {
        let mut config = self.trusting("client-ca.crt", Some(self.pair("clients/root")));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// TLS of whoever connects to a peer port of this cluster and shows what the member `shown` of `other` holds.
    pub(crate) fn peer_tls(&self, other: &Pki, shown: Option<&str>) -> Arc<ClientConfig> {
        let shown = shown.map(|member| other.pair(&format!("members/{member}/peer")));
        Arc::new(self.trusting("peer-ca.crt", shown))
    }

    fn trusting(&self, authority: &str, shown: Option<Pair>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file(authority)).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        match shown {
            None => config.with_no_client_auth(),
            Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        }
    }

    fn pair(&self, stem: &str) -> Pair {
        let chain = vec![CertificateDer::from_pem_file(self.file(format!("{stem}.crt"))).unwrap()];
        (chain, PrivateKeyDer::from_pem_file(self.file(format!("{stem}.key"))).unwrap())
    }
}

/// A certificate with its private key.
type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);
