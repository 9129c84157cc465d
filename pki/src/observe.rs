//! What the folder holds now.
//!
//! In: the folder and the inventory. Out: [`Observed`] facts, or an error for a file whose contents
//! are damaged. Nothing is judged here beyond "readable": whether a certificate will do is the plan's matter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

use crate::error::PkiError;
use crate::file;
use crate::identity::{
    Authority, Identity, Inventory, Kubeconfig, SigningKey, Usage, certificate_path, key_path,
    kubeconfig_path, public_key_path,
};
use crate::kubeconfig;
use crate::name::Host;

const AUTHORITY_CURE: &str = "put it back from a backup. Without one the cluster needs new authorities: stop it, \
    remove the whole PKI folder, and run the command again";
const CERTIFICATE_CURE: &str = "remove it and run the command again; it is made anew for the present key";
const SIGNING_KEY_CURE: &str = "put it back from a backup. Without one remove it and the .pub file beside it, and run \
    the command again: a new key is made, and what the old one signed is no longer believed";
const KEY_CURE: &str = "remove it and run the command again; a new key and a new certificate are made";

/// What the folder holds.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) authorities: BTreeMap<Authority, Pair>,
    /// By [`Identity::stem`].
    pub(crate) identities: BTreeMap<String, Pair>,
    /// By [`SigningKey::stem`].
    pub(crate) signing_keys: BTreeMap<String, SigningPair>,
    /// By [`Kubeconfig::identity`].
    pub(crate) kubeconfigs: BTreeMap<String, KubeconfigFacts>,
    /// Private files that others than their owner may read or write.
    pub(crate) exposed: Vec<PathBuf>,
}

/// What is there of a key and its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The key's public half.
    pub(crate) key: Option<PublicKey>,
    pub(crate) certificate: Option<CertificateFacts>,
}

/// What is there of a signing key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SigningPair {
    /// The private key's public half.
    pub(crate) key: Option<PublicKey>,
    /// What the file of the public half holds.
    pub(crate) published: Option<PublicKey>,
}

/// What is there of a kubeconfig file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KubeconfigFacts {
    /// Nothing.
    Absent,
    /// A file that holds the present key, certificate, authority and URL.
    Current,
    /// A file that does not.
    Outdated,
}

/// A public key as DER-encoded `SubjectPublicKeyInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey(pub(crate) Vec<u8>);

/// Everything about a certificate that the plan looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateFacts {
    pub(crate) key: PublicKey,
    pub(crate) common_name: String,
    pub(crate) organization: String,
    pub(crate) usages: BTreeSet<Usage>,
    pub(crate) hosts: BTreeSet<Host>,
    pub(crate) is_authority: bool,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    /// Whether its signature is that of the authority in the same folder (for an authority: its own).
    pub(crate) signed_by_present_authority: bool,
}

/// Reads all files of the inventory and of the authorities that it names.
pub(crate) fn observe(dir: &Path, inventory: &Inventory) -> Result<Observed, PkiError> {
    let mut observed = Observed::default();
    for authority in inventory.authorities() {
        let pair = observe_authority(dir, authority, &mut observed.exposed)?;
        observed.authorities.insert(authority, pair);
    }
    for identity in &inventory.identities {
        let pair = observe_identity(dir, identity, &mut observed)?;
        observed.identities.insert(identity.stem.clone(), pair);
    }
    for SigningKey { stem } in &inventory.signing_keys {
        let key = read_key(dir, stem, SIGNING_KEY_CURE, &mut observed.exposed)?;
        let published = read_public_key(&public_key_path(dir, stem))?;
        observed.signing_keys.insert(stem.clone(), SigningPair { key, published });
    }
    for kubeconfig in &inventory.kubeconfigs {
        let facts = observe_kubeconfig(dir, kubeconfig, &mut observed.exposed)?;
        observed.kubeconfigs.insert(kubeconfig.identity.clone(), facts);
    }
    Ok(observed)
}

fn observe_authority(dir: &Path, authority: Authority, exposed: &mut Vec<PathBuf>) -> Result<Pair, PkiError> {
    let path = certificate_path(dir, authority.stem());
    let certificate = match read_certificate(&path, AUTHORITY_CURE)? {
        Some(der) => {
            let own_key = subject_key(&path, &der, AUTHORITY_CURE)?;
            Some(facts(&path, &der, Some(&own_key), AUTHORITY_CURE)?)
        }
        None => None,
    };
    Ok(Pair { key: read_key(dir, authority.stem(), AUTHORITY_CURE, exposed)?, certificate })
}

fn observe_identity(dir: &Path, identity: &Identity, observed: &mut Observed) -> Result<Pair, PkiError> {
    let path = certificate_path(dir, &identity.stem);
    let signer = observed.authorities.get(&identity.authority).and_then(Pair::public_key);
    let certificate = match read_certificate(&path, CERTIFICATE_CURE)? {
        Some(der) => Some(facts(&path, &der, signer, CERTIFICATE_CURE)?),
        None => None,
    };
    Ok(Pair { key: read_key(dir, &identity.stem, KEY_CURE, &mut observed.exposed)?, certificate })
}

fn observe_kubeconfig(
    dir: &Path,
    wanted: &Kubeconfig,
    exposed: &mut Vec<PathBuf>,
) -> Result<KubeconfigFacts, PkiError> {
    let path = kubeconfig_path(dir, &wanted.identity);
    let Some(text) = file::read_text(&path)? else { return Ok(KubeconfigFacts::Absent) };
    if file::is_exposed(&path)? {
        exposed.push(path);
    }
    let is_current = match kubeconfig::Credentials::read(dir, wanted)? {
        Some(credentials) => credentials.are_in(&text, wanted),
        None => false,
    };
    Ok(if is_current { KubeconfigFacts::Current } else { KubeconfigFacts::Outdated })
}

impl Pair {
    /// The key that its certificate speaks of, or else the key in the folder.
    fn public_key(&self) -> Option<&PublicKey> {
        self.certificate.as_ref().map(|facts| &facts.key).or(self.key.as_ref())
    }
}

fn read_public_key(path: &Path) -> Result<Option<PublicKey>, PkiError> {
    let Some(text) = file::read_text(path)? else { return Ok(None) };
    let key = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
    key.map(|key| Some(PublicKey(key.to_vec()))).map_err(|error| PkiError::Damaged {
        path: path.to_owned(),
        problem: format!("not a public key in PEM form ({error})"),
        cure: "remove it and run the command again; it is made anew from the private key",
    })
}

fn read_key(
    dir: &Path,
    stem: &str,
    cure: &'static str,
    exposed: &mut Vec<PathBuf>,
) -> Result<Option<PublicKey>, PkiError> {
    let path = key_path(dir, stem);
    let Some(text) = file::read_text(&path)? else { return Ok(None) };
    let key = KeyPair::from_pem(&text).map_err(|error| PkiError::Damaged {
        path: path.clone(),
        problem: format!("not a private key in PEM form ({error})"),
        cure,
    })?;
    if file::is_exposed(&path)? {
        exposed.push(path);
    }
    Ok(Some(PublicKey(key.subject_public_key_info())))
}

fn read_certificate(path: &Path, cure: &'static str) -> Result<Option<CertificateDer<'static>>, PkiError> {
    let Some(text) = file::read_text(path)? else { return Ok(None) };
    CertificateDer::from_pem_slice(text.as_bytes()).map(Some).map_err(|error| PkiError::Damaged {
        path: path.to_owned(),
        problem: format!("not a certificate in PEM form ({error})"),
        cure,
    })
}

fn parse<'a>(
    path: &Path,
    der: &'a CertificateDer<'_>,
    cure: &'static str,
) -> Result<X509Certificate<'a>, PkiError> {
    match X509Certificate::from_der(der) {
        Ok((_rest, certificate)) => Ok(certificate),
        Err(error) => Err(PkiError::Damaged {
            path: path.to_owned(),
            problem: format!("not a certificate ({error})"),
            cure,
        }),
    }
}

fn subject_key(path: &Path, der: &CertificateDer<'_>, cure: &'static str) -> Result<PublicKey, PkiError> {
    Ok(PublicKey(parse(path, der, cure)?.public_key().raw.to_vec()))
}

fn facts(
    path: &Path,
    der: &CertificateDer<'_>,
    signer: Option<&PublicKey>,
    cure: &'static str,
) -> Result<CertificateFacts, PkiError> {
    let certificate = parse(path, der, cure)?;
    let damaged = |problem: String| PkiError::Damaged { path: path.to_owned(), problem, cure };
    let subject = certificate.subject();
    Ok(CertificateFacts {
        key: PublicKey(certificate.public_key().raw.to_vec()),
        common_name: text(subject.iter_common_name().next()),
        organization: text(subject.iter_organization().next()),
        usages: usages(&certificate),
        hosts: hosts(&certificate),
        is_authority: certificate.is_ca(),
        not_before: instant(certificate.validity().not_before.timestamp()).map_err(damaged)?,
        not_after: instant(certificate.validity().not_after.timestamp()).map_err(damaged)?,
        signed_by_present_authority: signer.is_some_and(|key| is_signed_by(&certificate, key)),
    })
}

fn text(attribute: Option<&AttributeTypeAndValue<'_>>) -> String {
    attribute.and_then(|attribute| attribute.as_str().ok()).unwrap_or_default().to_owned()
}

fn instant(unix_seconds: i64) -> Result<OffsetDateTime, String> {
    OffsetDateTime::from_unix_timestamp(unix_seconds)
        .map_err(|error| format!("its validity is out of range ({error})"))
}

fn is_signed_by(certificate: &X509Certificate<'_>, key: &PublicKey) -> bool {
    match x509_parser::x509::SubjectPublicKeyInfo::from_der(&key.0) {
        Ok((_rest, key)) => certificate.verify_signature(Some(&key)).is_ok(),
        Err(_) => false,
    }
}

fn usages(certificate: &X509Certificate<'_>) -> BTreeSet<Usage> {
    let mut usages = BTreeSet::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::ExtendedKeyUsage(extended) = extension.parsed_extension() {
            usages.extend(extended.server_auth.then_some(Usage::Server));
            usages.extend(extended.client_auth.then_some(Usage::Client));
        }
    }
    usages
}

fn hosts(certificate: &X509Certificate<'_>) -> BTreeSet<Host> {
    let mut hosts = BTreeSet::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() {
            hosts.extend(alternative.general_names.iter().filter_map(host));
        }
    }
    hosts
}

/// Other kinds of names are of no use to TLS, and this crate issues none.
fn host(name: &GeneralName<'_>) -> Option<Host> {
    match name {
        GeneralName::DNSName(name) => Some(Host::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => Some(Host::Ip(IpAddr::from(v4))),
            (_, Ok(v6)) => Some(Host::Ip(IpAddr::from(v6))),
            (Err(_), Err(_)) => None,
        },
        _ => None,
    }
}
