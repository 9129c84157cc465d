//! Tokens as JSON Web Tokens, whose keys are files of the operator's, with the claims that etcd's have.
//!
//! In: key files, and a user; or a token. Out: a token; or whose it is, and in which state of users and roles it was
//! made. As in etcd such a token is void once anything in users and roles has changed.
//!
//! Deliberately absent: the method `none`, and ES512, whose curve the cryptographic library does not have.

use std::{fs, io, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keelson_store_core::{command::Caller, id::AuthRevision};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey},
};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo};

/// Where the keys of tokens are, and how they sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtOptions {
    /// How.
    pub method: JwtMethod,
    /// What tokens are read with, PEM. With it alone, this member makes none.
    pub public_key: Option<PathBuf>,
    /// What tokens are made with, PEM; for the methods `HS…` the secret itself.
    pub private_key: Option<PathBuf>,
    /// How long a token lives.
    pub lifetime: Duration,
}

macro_rules! methods {
    ($($name:ident),*) => {
        /// How tokens are signed, by the names of RFC 7518.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names are the standard's")]
        pub enum JwtMethod { $($name),* }

        impl JwtMethod {
            /// All names.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// The method of a name.
            pub fn named(name: &str) -> Option<Self> {
                $(if name == stringify!($name) { return Some(Self::$name); })*
                None
            }

            const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

methods!(HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA);

/// What a method does.
enum Scheme {
    Hmac(hmac::Algorithm),
    Rsa(&'static dyn signature::RsaEncoding, &'static dyn signature::VerificationAlgorithm),
    Ecdsa(&'static signature::EcdsaSigningAlgorithm, &'static dyn signature::VerificationAlgorithm),
    Ed25519,
}

impl JwtMethod {
    fn scheme(self) -> Scheme {
        use signature as s;
        match self {
            Self::HS256 => Scheme::Hmac(hmac::HMAC_SHA256),
            Self::HS384 => Scheme::Hmac(hmac::HMAC_SHA384),
            Self::HS512 => Scheme::Hmac(hmac::HMAC_SHA512),
            Self::RS256 => Scheme::Rsa(&s::RSA_PKCS1_SHA256, &s::RSA_PKCS1_2048_8192_SHA256),
            Self::RS384 => Scheme::Rsa(&s::RSA_PKCS1_SHA384, &s::RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => Scheme::Rsa(&s::RSA_PKCS1_SHA512, &s::RSA_PKCS1_2048_8192_SHA512),
            Self::PS256 => Scheme::Rsa(&s::RSA_PSS_SHA256, &s::RSA_PSS_2048_8192_SHA256),
            Self::PS384 => Scheme::Rsa(&s::RSA_PSS_SHA384, &s::RSA_PSS_2048_8192_SHA384),
            Self::PS512 => Scheme::Rsa(&s::RSA_PSS_SHA512, &s::RSA_PSS_2048_8192_SHA512),
            Self::ES256 => Scheme::Ecdsa(&s::ECDSA_P256_SHA256_FIXED_SIGNING, &s::ECDSA_P256_SHA256_FIXED),
            Self::ES384 => Scheme::Ecdsa(&s::ECDSA_P384_SHA384_FIXED_SIGNING, &s::ECDSA_P384_SHA384_FIXED),
            Self::EdDSA => Scheme::Ed25519,
        }
    }
}

/// Makes and reads tokens.
pub(in crate::grpc) struct Jwt {
    method: JwtMethod,
    lifetime: Duration,
    signer: Option<Signer>,
    verifier: Verifier,
}

enum Signer {
    Hmac(hmac::Key),
    Rsa(RsaKeyPair, &'static dyn signature::RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

enum Verifier {
    Hmac(hmac::Key),
    Public(UnparsedPublicKey<Vec<u8>>),
}

/// Why there can be no tokens.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// A file cannot be read.
    #[error("{file}: {error}", file = .0.display(), error = .1)]
    File(PathBuf, io::Error),
    /// A file holds something else.
    #[error("{file} holds no {what}: {why}", file = .0.display(), what = .1, why = .2)]
    Key(PathBuf, &'static str, String),
    /// No file is named.
    #[error("--auth-token: {0} needs {1}: name the file")]
    Missing(&'static str, &'static str),
    /// The files do not belong together.
    #[error("--auth-token: pub-key and priv-key are not of one pair: leave pub-key out")]
    Mismatch,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    username: String,
    revision: f64,
    exp: Option<f64>,
    #[serde(skip_serializing)]
    nbf: Option<f64>,
}

impl Jwt {
    /// Reads the key files.
    ///
    /// # Errors
    /// A file is missing, or holds something else; the text names it.
    pub(in crate::grpc) fn load(options: &JwtOptions) -> Result<Self, JwtError> {
        let JwtOptions { method, public_key, private_key, lifetime } = options;
        let public = public_key.as_ref().map(public).transpose()?;
        let signer = private_key.as_ref().map(|file| Signer::load(*method, file)).transpose()?;
        let algorithm: &'static dyn signature::VerificationAlgorithm = match method.scheme() {
            Scheme::Hmac(_) => {
                let Some(Signer::Hmac(key)) = &signer else {
                    return Err(JwtError::Missing(method.name(), "priv-key"));
                };
                let verifier = Verifier::Hmac(key.clone());
                return Ok(Self { method: *method, lifetime: *lifetime, signer, verifier });
            }
            Scheme::Rsa(_, algorithm) | Scheme::Ecdsa(_, algorithm) => algorithm,
            Scheme::Ed25519 => &signature::ED25519,
        };
        let own = signer.as_ref().and_then(Signer::public);
        let key = match (own, public) {
            (Some(own), Some(public)) if own != public => return Err(JwtError::Mismatch),
            (Some(key), _) | (None, Some(key)) => key,
            (None, None) => return Err(JwtError::Missing(method.name(), "pub-key or priv-key")),
        };
        let verifier = Verifier::Public(UnparsedPublicKey::new(algorithm, key));
        Ok(Self { method: *method, lifetime: *lifetime, signer, verifier })
    }

    /// A token, if this member can make any.
    pub(super) fn make(&self, name: &str, revision: AuthRevision, now_seconds: u64) -> Option<String> {
        let signer = self.signer.as_ref()?;
        let header = Header { alg: self.method.name().to_owned(), typ: Some("JWT".to_owned()) };
        // JSON has no other numbers; these are exact up to 2^53.
        let exp = Some((now_seconds + self.lifetime.as_secs()) as f64);
        let claims = Claims { username: name.to_owned(), revision: revision.get() as f64, exp, nbf: None };
        let part = |json: Result<Vec<u8>, _>| json.ok().map(|json: Vec<u8>| URL_SAFE_NO_PAD.encode(json));
        let signed = format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(&claims))?);
        let signature = URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes())?);
        Some(format!("{signed}.{signature}"))
    }

    /// Whose a token is.
    pub(super) fn read(&self, token: &str, now_seconds: u64) -> Option<Caller> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = part(header)?;
        // The method is this member's choice, never the token's.
        if header.alg != self.method.name() {
            return None;
        }
        self.verifier.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?)?;
        let Claims { username, revision, exp, nbf } = part(claims)?;
        let now = now_seconds as f64;
        if exp.is_some_and(|exp| now >= exp) || nbf.is_some_and(|nbf| now < nbf) || revision < 0.0 {
            return None;
        }
        Some(Caller::User { name: username, revision: AuthRevision::new(revision as u64) })
    }
}

fn part<T: serde::de::DeserializeOwned>(encoded: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

impl Signer {
    fn load(method: JwtMethod, file: &PathBuf) -> Result<Self, JwtError> {
        let read = fs::read(file).map_err(|error| JwtError::File(file.clone(), error))?;
        if let Scheme::Hmac(algorithm) = method.scheme() {
            return Ok(Self::Hmac(hmac::Key::new(algorithm, &read)));
        }
        let wrong = |why: String| JwtError::Key(file.clone(), "private key for this sign-method", why);
        let (kind, der) = first_section(&read).map_err(wrong)?;
        let rejected = |error: ring::error::KeyRejected| wrong(error.to_string());
        match (method.scheme(), kind) {
            (Scheme::Rsa(encoding, _), SectionKind::PrivateKey) => {
                RsaKeyPair::from_pkcs8(&der).map(|key| Self::Rsa(key, encoding)).map_err(rejected)
            }
            (Scheme::Rsa(encoding, _), SectionKind::RsaPrivateKey) => {
                RsaKeyPair::from_der(&der).map(|key| Self::Rsa(key, encoding)).map_err(rejected)
            }
            (Scheme::Ecdsa(algorithm, _), SectionKind::PrivateKey) => {
                let key = EcdsaKeyPair::from_pkcs8(algorithm, &der, &SystemRandom::new());
                key.map(Self::Ecdsa).map_err(rejected)
            }
            (Scheme::Ed25519, SectionKind::PrivateKey) => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self::Ed25519).map_err(rejected)
            }
            (_, kind) => Err(wrong(format!("it holds {kind:?}; `openssl pkcs8 -topk8 -nocrypt` makes one"))),
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ecdsa(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
        }
    }

    fn public(&self) -> Option<Vec<u8>> {
        match self {
            Self::Hmac(_) => None,
            Self::Rsa(key, _) => Some(key.public_key().as_ref().to_vec()),
            Self::Ecdsa(key) => Some(key.public_key().as_ref().to_vec()),
            Self::Ed25519(key) => Some(key.public_key().as_ref().to_vec()),
        }
    }
}

impl Verifier {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).ok(),
            Self::Public(key) => key.verify(message, signature).ok(),
        }
    }
}

/// The key in a public key's file, as signatures are checked with it.
fn public(file: &PathBuf) -> Result<Vec<u8>, JwtError> {
    let read = fs::read(file).map_err(|error| JwtError::File(file.clone(), error))?;
    let wrong = |why: String| JwtError::Key(file.clone(), "public key", why);
    let (kind, der) = first_section(&read).map_err(wrong)?;
    match kind {
        SectionKind::PublicKey => {
            let (_, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|error| wrong(error.to_string()))?;
            Ok(info.subject_public_key.data.to_vec())
        }
        kind => Err(wrong(format!("it holds {kind:?}"))),
    }
}

/// The first thing in a PEM file.
fn first_section(pem: &[u8]) -> Result<(SectionKind, Vec<u8>), String> {
    let found = <(SectionKind, Vec<u8>)>::from_pem_slice(pem);
    found.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn pem(kind: &str, der: &[u8]) -> String {
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
    }

    /// A key for each kind of method whose keys can be made here.
    fn keys() -> Vec<(JwtMethod, String)> {
        let random = SystemRandom::new();
        let ecdsa = |algorithm| EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let private = |der: &[u8]| pem("PRIVATE KEY", der);
        vec![
            (JwtMethod::HS256, "a secret".to_owned()),
            (JwtMethod::HS512, "a secret".to_owned()),
            (JwtMethod::ES256, private(ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).as_ref())),
            (JwtMethod::ES384, private(ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).as_ref())),
            (JwtMethod::EdDSA, private(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref())),
        ]
    }

    fn load(method: JwtMethod, key: &str) -> Result<Jwt, JwtError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, key).unwrap();
        let lifetime = Duration::from_secs(60);
        Jwt::load(&JwtOptions { method, public_key: None, private_key: Some(file), lifetime })
    }

    #[test]
    fn a_token_says_whose_it_is_until_it_is_old() {
        for (method, key) in keys() {
            let jwt = load(method, &key).unwrap();
            let token = jwt.make("alice", AuthRevision::new(9), 1000).unwrap();
            let alice = Caller::User { name: "alice".to_owned(), revision: AuthRevision::new(9) };
            assert_eq!(jwt.read(&token, 1059), Some(alice), "{method:?}");
            assert_eq!(jwt.read(&token, 1060), None, "{method:?}");
            let (signed, _) = token.rsplit_once('.').unwrap();
            assert_eq!(jwt.read(&format!("{signed}."), 1000), None, "{method:?}");
            assert_eq!(jwt.read(signed, 1000), None, "{method:?}");
        }
    }

    #[test]
    fn the_method_is_never_the_tokens_choice() {
        let (hs256, hs512) = (load(JwtMethod::HS256, "k").unwrap(), load(JwtMethod::HS512, "k").unwrap());
        let token = hs512.make("alice", AuthRevision::FIRST, 0).unwrap();
        assert_eq!(hs256.read(&token, 0), None);
        let unsigned =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), token.split('.').nth(1).unwrap());
        assert_eq!(hs256.read(&unsigned, 0), None);
    }

    #[test]
    fn a_key_that_does_not_fit_is_named() {
        let wrong = |method, key: &str| load(method, key).err().unwrap().to_string();
        assert!(wrong(JwtMethod::RS256, "no PEM").contains("key holds no private key"));
        let (_, ecdsa) = keys().remove(2);
        assert!(wrong(JwtMethod::EdDSA, &ecdsa).contains("key holds no private key"));
        let none = JwtOptions {
            method: JwtMethod::ES256,
            public_key: None,
            private_key: None,
            lifetime: Duration::from_secs(1),
        };
        assert!(matches!(Jwt::load(&none), Err(JwtError::Missing("ES256", _))));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(token in "[A-Za-z0-9._-]{0,80}") {
            proptest::prop_assert_eq!(load(JwtMethod::HS256, "k").unwrap().read(&token, 0), None);
        }
    }
}
