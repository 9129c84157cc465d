//! Client certificates.
//!
//! In: the chain that a client showed; the connection has proved that the client holds the key. Out: the user
//! whom the certificate names, if one of the client authorities signed it: the common name is the user's, the
//! organizations are the groups.
//!
//! A chain is judged once per connection, its validity in time at every request.

use std::{collections::BTreeMap, sync::Arc};

use ring::digest;
use rustls::{
    DistinguishedName, RootCertStore,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{KeyError, User};

/// Where upstream puts a user's uid into a certificate's subject.
const UID_OID: x509_parser::oid_registry::Oid<'static> = x509_parser::der_parser::oid!(1.3.6.1.4.1.57683.2);

/// The authorities whose client certificates are believed.
#[derive(Clone, Debug)]
pub struct ClientAuthorities {
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Whom a connection's certificate names, and from when until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedUser {
    user: User,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Nobody who is believed signed it for this purpose, or its time is not now.
    #[error("x509: {0}")]
    Chain(String),
    /// It cannot be read.
    #[error("x509: malformed certificate: {0}")]
    Malformed(String),
    /// It names nobody.
    #[error("x509: the certificate has no common name")]
    Nameless,
    /// Its time has not come or is over.
    #[error("x509: certificate has expired or is not yet valid")]
    NotNow,
}

impl ClientAuthorities {
    /// Believes these certificates.
    ///
    /// # Errors
    /// The text holds no certificate, or one that cannot be an authority.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let bad = |error: String| KeyError::ClientAuthority(error);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self { verifier })
    }

    /// Whose certificates a client is told to choose from.
    pub fn hints(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    /// Judges the chain that a client showed; the client's own certificate comes first.
    ///
    /// # Errors
    /// See [`Untrusted`]; the client must not be taken for anybody.
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        now: OffsetDateTime,
    ) -> Result<CertifiedUser, Untrusted> {
        let Some((leaf, intermediates)) = chain.split_first() else { return Err(Untrusted::Nameless) };
        let since_epoch = std::time::Duration::from_secs(now.unix_timestamp().try_into().unwrap_or(0));
        self.verifier
            .verify_client_cert(leaf, intermediates, UnixTime::since_unix_epoch(since_epoch))
            .map_err(|error| Untrusted::Chain(error.to_string()))?;
        let mut certified = read(leaf)?;
        for intermediate in intermediates {
            let certificate = parse(intermediate)?;
            certified.not_after = certified.not_after.min(certificate.validity().not_after.to_datetime());
        }
        Ok(certified)
    }
}

impl CertifiedUser {
    /// The user, if the certificate's time is now.
    ///
    /// # Errors
    /// [`Untrusted::NotNow`].
    pub fn at(&self, now: OffsetDateTime) -> Result<&User, Untrusted> {
        let is_valid = self.not_before <= now && now <= self.not_after;
        if is_valid { Ok(&self.user) } else { Err(Untrusted::NotNow) }
    }
}

fn parse<'d>(der: &'d CertificateDer<'_>) -> Result<X509Certificate<'d>, Untrusted> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|error| Untrusted::Malformed(error.to_string()))?;
    Ok(certificate)
}

fn read(leaf: &CertificateDer<'_>) -> Result<CertifiedUser, Untrusted> {
    let certificate = parse(leaf)?;
    let subject = certificate.subject();
    let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        attribute.as_str().map(str::to_owned).map_err(|error| Untrusted::Malformed(error.to_string()))
    };
    // Upstream's parser, too, keeps the last where there are several.
    let name = subject.iter_common_name().last().map(text).transpose()?.unwrap_or_default();
    if name.is_empty() {
        return Err(Untrusted::Nameless);
    }
    let groups = subject.iter_organization().map(text).collect::<Result<_, _>>()?;
    let uid = subject.iter_by_oid(&UID_OID).next().map(text).transpose()?.unwrap_or_default();
    let fingerprint = digest::digest(&digest::SHA256, leaf);
    let fingerprint: String = fingerprint.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let credential = ("authentication.kubernetes.io/credential-id", format!("X509SHA256={fingerprint}"));
    let validity = certificate.validity();
    Ok(CertifiedUser {
        user: User { name, uid, groups, extra: BTreeMap::from([(credential.0.into(), vec![credential.1])]) },
        not_before: validity.not_before.to_datetime(),
        not_after: validity.not_after.to_datetime(),
    })
}

#[cfg(test)]
mod tests;
