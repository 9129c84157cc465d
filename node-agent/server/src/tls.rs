//! How connections are encrypted, and whom a client certificate names.
//!
//! In: PEM. Out: a TLS configuration that believes the client certificates of some authorities, and tears the
//! connection of whoever shows another. To show none is no offence here: a token may come with the request.

use std::sync::Arc;

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::access::User;

/// The only protocol that is spoken: upgrades are HTTP/1.1's.
const HTTP_1_1: &[u8] = b"http/1.1";

/// What the server shows, and whom it believes. All in PEM.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate that names the node, and those that lead from it to its authority.
    pub certificate: &'a str,
    /// Its private key.
    pub key: &'a str,
    /// The authorities whose client certificates are believed.
    pub client_authorities: &'a str,
}

/// A certificate or key that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what} cannot be used: {why}")]
pub struct BadCertificate {
    what: &'static str,
    why: String,
}

/// The configuration for an identity.
pub(crate) fn server_config(identity: &Identity<'_>) -> Result<ServerConfig, BadCertificate> {
    let own = |why: String| BadCertificate { what: "the node's serving certificate or its key", why };
    let clients = |why: String| BadCertificate { what: "the authorities of the node's clients", why };
    let mut roots = RootCertStore::empty();
    for authority in certificates(identity.client_authorities).map_err(clients)? {
        roots.add(authority).map_err(|error| clients(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| clients(error.to_string()))?;
    let chain = certificates(identity.certificate).map_err(own)?;
    let key =
        PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(|error| own(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| own(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| own(error.to_string()))?;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(config)
}

/// The name of the node as its certificate bears it: `system:node:<name>`, as upstream's signer demands. Whoever has
/// another certificate is called by what it says.
pub(crate) fn node_name(identity: &Identity<'_>) -> String {
    let chain = certificates(identity.certificate).unwrap_or_default();
    let user = chain.first().and_then(CertifiedUser::read).map(|certified| certified.user.name);
    let user = user.unwrap_or_default();
    user.strip_prefix("system:node:").unwrap_or(&user).to_owned()
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// Whom a client certificate names, and until when. The handshake has judged it already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertifiedUser {
    user: User,
    not_after: OffsetDateTime,
}

impl CertifiedUser {
    /// Reads the certificate that a client showed; `None` where it names nobody.
    pub(crate) fn read(leaf: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().last()?.as_str().ok()?;
        let groups = subject.iter_organization().map(|group| group.as_str().map(str::to_owned));
        let groups: Vec<String> = groups.collect::<Result<_, _>>().ok()?;
        let user = User { name: name.to_owned(), uid: String::new(), groups };
        let is_named = !user.name.is_empty();
        is_named.then(|| Self { user, not_after: certificate.validity().not_after.to_datetime() })
    }

    /// The user, unless the certificate has expired since the handshake.
    pub(crate) fn at(&self, now: OffsetDateTime) -> Option<&User> {
        (now <= self.not_after).then_some(&self.user)
    }
}
