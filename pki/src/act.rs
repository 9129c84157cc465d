//! Carries the plan out: generates keys, signs certificates, writes files.
//!
//! A key is written before its certificate, so whatever a crash leaves behind is a key without a certificate or
//! a certificate of another key, and the next run completes it.

use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::PkiError;
use crate::file;
use crate::identity::{
    Authority, Identity, Kubeconfig, SigningKey, Usage, certificate_path, key_path, kubeconfig_path,
    public_key_path,
};
use crate::kubeconfig::Credentials;
use crate::name::Host;
use crate::plan::{AUTHORITY_VALIDITY, BACKDATED, CERTIFICATE_VALIDITY, Key, Step};

/// The organization of authorities.
const AUTHORITIES: &str = "keelson";

/// Carries out `steps` in order.
pub(crate) fn act(dir: &Path, steps: &[Step], now: OffsetDateTime) -> Result<(), PkiError> {
    for step in steps {
        match step {
            Step::Protect(path) => file::protect(path)?,
            Step::MakeAuthority(authority, key) => make_authority(dir, *authority, *key, now)?,
            Step::Issue(identity, key, _reason) => issue(dir, identity, *key, now)?,
            Step::Publish(signing_key, key) => publish(dir, signing_key, *key)?,
            Step::WriteKubeconfig(kubeconfig, _reason) => write_kubeconfig(dir, kubeconfig)?,
        }
    }
    Ok(())
}

fn make_authority(dir: &Path, authority: Authority, key: Key, now: OffsetDateTime) -> Result<(), PkiError> {
    let stem = authority.stem();
    let failed = |source| PkiError::Issue { name: stem.to_owned(), source };
    let key = key_pair(dir, stem, key)?;
    let mut params = params(authority.common_name(), Some(AUTHORITIES), now);
    params.not_after = now + AUTHORITY_VALIDITY;
    // A path length of zero: it signs certificates for use, not further authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key).map_err(failed)?;
    file::write_public(&certificate_path(dir, stem), certificate.pem().as_bytes())
}

fn issue(dir: &Path, identity: &Identity, key: Key, now: OffsetDateTime) -> Result<(), PkiError> {
    let failed = |source| PkiError::Issue { name: identity.stem.clone(), source };
    let (issuer, authority_end) = issuer(dir, identity.authority)?;
    let key = key_pair(dir, &identity.stem, key)?;
    let mut params = params(&identity.common_name, identity.organization, now);
    params.not_after = authority_end.min(now + CERTIFICATE_VALIDITY);
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = identity.usages.iter().map(|usage| purpose(*usage)).collect();
    params.subject_alt_names =
        identity.hosts.iter().map(alternative_name).collect::<Result<_, _>>().map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    file::write_public(&certificate_path(dir, &identity.stem), certificate.pem().as_bytes())
}

fn publish(dir: &Path, signing_key: &SigningKey, key: Key) -> Result<(), PkiError> {
    let key = key_pair(dir, &signing_key.stem, key)?;
    file::write_public(&public_key_path(dir, &signing_key.stem), key.public_key_pem().as_bytes())
}

fn write_kubeconfig(dir: &Path, kubeconfig: &Kubeconfig) -> Result<(), PkiError> {
    let path = kubeconfig_path(dir, &kubeconfig.identity);
    // The steps before made or checked its files; that one is gone can only be another's doing.
    let credentials = Credentials::read(dir, kubeconfig)?
        .ok_or_else(|| PkiError::Write { path: path.clone(), source: io::ErrorKind::NotFound.into() })?;
    file::write_private(&path, credentials.render(kubeconfig).as_bytes())
}

/// The authority ready to sign, and the end of its validity. It exists: the plan made or checked it.
fn issuer(dir: &Path, authority: Authority) -> Result<(Issuer<'static, KeyPair>, OffsetDateTime), PkiError> {
    let failed = |source| PkiError::Issue { name: authority.stem().to_owned(), source };
    let key = key_pair(dir, authority.stem(), Key::Present)?;
    let pem = file::read_text(&certificate_path(dir, authority.stem()))?.unwrap_or_default();
    let unreadable = || failed(rcgen::Error::CouldNotParseCertificate);
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable())?;
    let (_rest, certificate) = X509Certificate::from_der(&der).map_err(|_| unreadable())?;
    let end = OffsetDateTime::from_unix_timestamp(certificate.validity().not_after.timestamp());
    Ok((Issuer::from_ca_cert_der(&der, key).map_err(failed)?, end.map_err(|_| unreadable())?))
}

fn key_pair(dir: &Path, stem: &str, key: Key) -> Result<KeyPair, PkiError> {
    let failed = |source| PkiError::Issue { name: stem.to_owned(), source };
    let path = key_path(dir, stem);
    match key {
        Key::Present => {
            let pem = file::read_text(&path)?.unwrap_or_default();
            KeyPair::from_pem(&pem).map_err(failed)
        }
        Key::New => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
            file::write_private(&path, key.serialize_pem().as_bytes())?;
            Ok(key)
        }
    }
}

fn params(common_name: &str, organization: Option<&str>, now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(random_serial());
    params.not_before = now - BACKDATED;
    params
}

/// Random, because renewal keeps the key and a serial number must be unique per authority (RFC 5280, 4.1.2.2:
/// positive, at most 20 bytes).
fn random_serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

const fn purpose(usage: Usage) -> ExtendedKeyUsagePurpose {
    match usage {
        Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }
}

fn alternative_name(host: &Host) -> Result<SanType, rcgen::Error> {
    match host {
        Host::Ip(address) => Ok(SanType::IpAddress(*address)),
        Host::Dns(name) => Ok(SanType::DnsName(name.as_str().try_into()?)),
    }
}
