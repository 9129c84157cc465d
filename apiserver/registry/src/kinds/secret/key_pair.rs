//! Whether a private key is that of a certificate.
//!
//! In: two texts in PEM. Out: what Go's TLS library says of them, which upstream passes on.
//!
//! Deliberately absent: working out the public half of a key on a curve that comes without it: such a key counts as
//! the certificate's. What exactly is wrong with a certificate that cannot be read.
//!
//! Source: `crypto/tls.X509KeyPair`.

use x509_parser::{
    asn1_rs::{Any, Class, FromDer, Tag},
    oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519, Oid},
    pem::Pem,
    prelude::X509Certificate,
    public_key::PublicKey,
};

/// What tells one key of an algorithm from another: the modulus, or the public half where it is there.
#[derive(Debug, PartialEq, Eq)]
enum Key<'k> {
    Rsa(&'k [u8]),
    Ec(Option<&'k [u8]>),
    Ed25519(Option<&'k [u8]>),
}

/// What is wrong with a certificate and its key, if anything is.
pub(super) fn check(certificates: &[u8], key: &[u8]) -> Result<(), String> {
    let leaf = leaf(certificates)?;
    let key = private(key)?;
    let (_, leaf) = X509Certificate::from_der(&leaf).map_err(|_| "x509: malformed certificate".to_owned())?;
    let own = public(&leaf).ok_or("tls: unknown public key algorithm")?;
    let key = read(&key).ok_or("tls: failed to parse private key")?;
    let same = match (own, key) {
        (Key::Rsa(own), Key::Rsa(key)) => own == key,
        (Key::Ec(own), Key::Ec(key)) | (Key::Ed25519(own), Key::Ed25519(key)) => key.is_none() || own == key,
        (Key::Rsa(_) | Key::Ec(_) | Key::Ed25519(_), _) => {
            return Err("tls: private key type does not match public key type".to_owned());
        }
    };
    if same { Ok(()) } else { Err("tls: private key does not match public key".to_owned()) }
}

/// The first certificate of a text.
fn leaf(text: &[u8]) -> Result<Vec<u8>, String> {
    first(text, |label| label == "CERTIFICATE").map_err(|skipped| match skipped.as_slice() {
        [] => "tls: failed to find any PEM data in certificate input".to_owned(),
        [one] if one.ends_with("PRIVATE KEY") => "tls: failed to find certificate PEM data in certificate input, \
                                                  but did find a private key; PEM inputs may have been switched"
            .to_owned(),
        others => format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the \
             following types: [{}]",
            others.join(" ")
        ),
    })
}

/// The first private key of a text.
fn private(text: &[u8]) -> Result<Vec<u8>, String> {
    let is_key = |label: &str| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY");
    first(text, is_key).map_err(|skipped| match skipped.as_slice() {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [one] if one == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        others => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM \
             blocks of the following types: [{}]",
            others.join(" ")
        ),
    })
}

/// The first block whose label is right, or the labels of all those that are there.
fn first(text: &[u8], is_right: impl Fn(&str) -> bool) -> Result<Vec<u8>, Vec<String>> {
    let mut skipped = Vec::new();
    for block in Pem::iter_from_buffer(text).filter_map(Result::ok) {
        if is_right(&block.label) {
            return Ok(block.contents);
        }
        skipped.push(block.label);
    }
    Err(skipped)
}

fn public<'c>(certificate: &'c X509Certificate<'_>) -> Option<Key<'c>> {
    let info = certificate.public_key();
    let bits: &[u8] = &info.subject_public_key.data;
    if info.algorithm.algorithm == OID_SIG_ED25519 {
        return Some(Key::Ed25519(Some(bits)));
    }
    match info.parsed().ok()? {
        PublicKey::RSA(key) => Some(Key::Rsa(key.modulus)),
        PublicKey::EC(_) => Some(Key::Ec(Some(bits))),
        _ => None,
    }
}

/// A key in the form of PKCS#1, PKCS#8 or SEC 1, whatever its label says.
fn read(der: &[u8]) -> Option<Key<'_>> {
    let parts = sequence(der)?;
    match parts.iter().map(Any::tag).collect::<Vec<_>>().as_slice() {
        [Tag::Integer, Tag::Integer, ..] => modulus(&parts),
        [Tag::Integer, Tag::OctetString, ..] => Some(Key::Ec(sec1_public(&parts))),
        [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => pkcs8(&parts),
        _ => None,
    }
}

fn pkcs8<'k>(parts: &[Any<'k>]) -> Option<Key<'k>> {
    let (_, algorithm) = Oid::from_der(parts[1].data).ok()?;
    let inner = parts[2].data;
    if algorithm == OID_PKCS1_RSAENCRYPTION {
        modulus(&sequence(inner)?)
    } else if algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        Some(Key::Ec(sec1_public(&sequence(inner)?)))
    } else if algorithm == OID_SIG_ED25519 {
        // Implicitly tagged: the bits begin at once, after the number of those that do not count.
        Some(Key::Ed25519(tagged(parts, 1).and_then(|bits| bits.get(1..))))
    } else {
        None
    }
}

/// The second of the nine or more numbers of an RSA key.
fn modulus<'k>(parts: &[Any<'k>]) -> Option<Key<'k>> {
    let numbers = parts.iter().take_while(|part| part.tag() == Tag::Integer).count();
    (numbers >= 9).then(|| Key::Rsa(parts[1].data))
}

/// The public half of a key on a curve: a bit string, explicitly tagged.
fn sec1_public<'k>(parts: &[Any<'k>]) -> Option<&'k [u8]> {
    let (_, bits) = Any::from_der(tagged(parts, 1)?).ok()?;
    bits.data.get(1..)
}

fn tagged<'k>(parts: &[Any<'k>], number: u32) -> Option<&'k [u8]> {
    let is_it = |part: &&Any<'k>| part.class() == Class::ContextSpecific && part.tag().0 == number;
    parts.iter().find(is_it).map(|part| part.data)
}

/// The parts of a sequence, which is all there is.
fn sequence(der: &[u8]) -> Option<Vec<Any<'_>>> {
    let (after, whole) = Any::from_der(der).ok()?;
    if whole.tag() != Tag::Sequence || !after.is_empty() {
        return None;
    }
    let (mut rest, mut parts) = (whole.data, Vec::new());
    while !rest.is_empty() {
        let (after, part) = Any::from_der(rest).ok()?;
        parts.push(part);
        rest = after;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    /// One with a key on a curve.
    const AUTHORITY: &str = include_str!("../certificates/testing/authority.pem");
    const REQUEST: &str = include_str!("../certificates/testing/request.pem");

    fn key(der: &[u8]) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    }

    fn wrong(certificates: &str, key: &str) -> String {
        check(certificates.as_bytes(), key.as_bytes()).unwrap_err()
    }

    /// An RSA key of small numbers.
    fn rsa() -> Vec<u8> {
        let mut der = vec![0x30, 27];
        der.extend([0u8, 35, 3, 7, 5, 7, 1, 1, 1].iter().flat_map(|number| [2, 1, *number]));
        der
    }

    #[test]
    fn texts_without_a_certificate_or_a_key() {
        assert_eq!(wrong("", ""), "tls: failed to find any PEM data in certificate input");
        assert_eq!(
            wrong(&key(&rsa()), AUTHORITY),
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs \
             may have been switched"
        );
        assert_eq!(
            wrong(&format!("{REQUEST}{REQUEST}"), ""),
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the \
             following types: [CERTIFICATE REQUEST CERTIFICATE REQUEST]"
        );
        assert_eq!(wrong(AUTHORITY, "x"), "tls: failed to find any PEM data in key input");
        assert_eq!(
            wrong(AUTHORITY, AUTHORITY),
            "tls: found a certificate rather than a key in the PEM for the private key"
        );
        assert_eq!(
            wrong(AUTHORITY, REQUEST),
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM \
             blocks of the following types: [CERTIFICATE REQUEST]"
        );
    }

    #[test]
    fn keys_that_are_none_or_of_another_kind() {
        assert_eq!(wrong(AUTHORITY, &key(&[0x30, 0])), "tls: failed to parse private key");
        let kind = "tls: private key type does not match public key type";
        assert_eq!(wrong(AUTHORITY, &key(&rsa())), kind);
        let labelled = key(&rsa()).replace("PRIVATE KEY", "RSA PRIVATE KEY");
        assert_eq!(wrong(AUTHORITY, &labelled), kind);
        let broken = AUTHORITY.replace("MIIBgD", "MIIBgE");
        assert_eq!(wrong(&broken, &key(&rsa())), "x509: malformed certificate");
    }

    #[test]
    fn a_key_on_a_curve_is_told_by_its_public_half() {
        let mut sec1 = vec![0x30, 11, 2, 1, 1, 4, 1, 9, 0xa1, 3, 3, 1, 0];
        assert_eq!(wrong(AUTHORITY, &key(&sec1)), "tls: private key does not match public key");
        sec1.truncate(8);
        sec1[1] = 6;
        assert_eq!(check(AUTHORITY.as_bytes(), key(&sec1).as_bytes()), Ok(()));
    }

    #[test]
    fn an_rsa_key_is_told_by_its_modulus() {
        let bare = rsa();
        assert_eq!(read(&bare), Some(Key::Rsa(&[35])));
        let oid = [0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        let octets = [&[4, u8::try_from(bare.len()).unwrap()][..], &bare].concat();
        let inner = [&[2, 1, 0][..], &oid, &octets].concat();
        let wrapped = [&[0x30, u8::try_from(inner.len()).unwrap()][..], &inner].concat();
        assert_eq!(read(&wrapped), Some(Key::Rsa(&[35])));
        assert_eq!(read(&[0x30, 6, 2, 1, 0, 2, 1, 35]), None);
    }
}
