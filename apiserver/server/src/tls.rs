//! How connections are encrypted, and what a client must show.
//!
//! In: the server's certificate and key. Out: a TLS configuration that asks for a client certificate, takes
//! whichever comes, and checks one thing: that the client holds its key. Whether anybody believes the certificate
//! is [`crate::authn`]'s to judge, so that a foreign or expired one is answered 401, as upstream does, and not by
//! a torn connection.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature_with_raw_key},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::authn::x509::ClientAuthorities;

/// HTTP/2, as ALPN names it.
pub const H2: &[u8] = b"h2";

/// HTTP/1.1, as ALPN names it.
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// A server's certificate or key that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the server's certificate or key cannot be used: {0}")]
pub struct BadCertificate(String);

/// A configuration with the server's certificate chain and its key, in PEM.
///
/// # Errors
/// They are malformed or do not belong together.
pub fn server_config(
    certificates_pem: &str,
    key_pem: &str,
    authorities: &ClientAuthorities,
) -> Result<Arc<ServerConfig>, BadCertificate> {
    let bad = |error: &dyn std::fmt::Display| BadCertificate(error.to_string());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates_pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| bad(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let possession = Possession { provider: provider.clone(), hints: authorities.hints().to_vec() };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_client_cert_verifier(Arc::new(possession))
        .with_single_cert(chain.map_err(|error| bad(&error))?, key)
        .map_err(|error| bad(&error))?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

/// The key in a certificate of any version: one that nobody can believe proves possession, too.
fn key_of<'a>(certificate: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    let malformed = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(malformed)?;
    Ok(SubjectPublicKeyInfoDer::from(certificate.tbs_certificate.subject_pki.raw))
}

/// Checks that a client holds the key of the certificate that it shows, and nothing else.
#[derive(Debug)]
struct Possession {
    provider: Arc<CryptoProvider>,
    hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key_of(certificate)?, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
