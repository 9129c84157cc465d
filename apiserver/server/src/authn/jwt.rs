//! Service account tokens: signed with ES256, claims as upstream writes them. Pure but for the signature's
//! randomness.
//!
//! In: keys; claims to sign, or a text that claims to be a token. Out: a token, or the claims of one whose
//! signature, issuer, audience and time are right. Whether what it names still exists is not known here.
//!
//! Deliberately absent: every other algorithm. A token says which one it uses, but it is not asked.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
    },
};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::KeyError;

/// The DER of a P-256 `SubjectPublicKeyInfo` up to the key itself, which is an uncompressed point (RFC 5480).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// An uncompressed point: a mark and two coordinates.
const POINT_BYTES: usize = 65;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For whom it is meant.
    #[serde(default)]
    pub aud: Audiences,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it was made.
    #[serde(default)]
    pub iat: i64,
    /// Who made it.
    pub iss: String,
    /// Its id.
    #[serde(default)]
    pub jti: String,
    /// Whose it is, in Kubernetes' words.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Holder,
    /// When it begins.
    #[serde(default)]
    pub nbf: i64,
    /// Whose it is, as the name of a user.
    pub sub: String,
}

/// Whose a token is, and what it ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The namespace of everything that is named here, but the node.
    pub namespace: String,
    /// The node on which the pod runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// The service account.
    pub serviceaccount: Reference,
}

/// An object and its uid: not another one that has its name today.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Its uid.
    #[serde(default)]
    pub uid: String,
}

/// For whom a token is meant. JWT allows a text in place of a list of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct Audiences(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Audiences {
    fn from(audiences: OneOrMany) -> Self {
        match audiences {
            OneOrMany::One(audience) => Self(vec![audience]),
            OneOrMany::Many(audiences) => Self(audiences),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

/// Why a token proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is no token, or none of ours.
    #[error("invalid bearer token")]
    Malformed,
    /// Somebody else signed it, or it was changed.
    #[error("invalid bearer token, the signature is not valid")]
    Signature,
    /// It is meant for somebody else; upstream's text.
    #[error("token audiences {token:?} is invalid for the target audiences {wanted:?}")]
    Audience {
        /// For whom it is meant.
        token: Vec<String>,
        /// Who asked.
        wanted: Vec<String>,
    },
    /// Its time is over.
    #[error("service account token has expired")]
    Expired,
    /// Its time has not come.
    #[error("service account token is not valid yet")]
    NotYet,
    /// What it names does not exist any more.
    #[error("{0}")]
    Gone(String),
}

/// The key that signs tokens, and all keys whose tokens are good.
pub struct TokenKeys {
    signing: EcdsaKeyPair,
    key_id: String,
    public: Vec<PublicKey>,
}

/// A key whose tokens are good.
#[derive(Clone, Debug)]
struct PublicKey {
    id: String,
    point: Vec<u8>,
}

impl TokenKeys {
    /// Reads the private key that signs (PKCS #8, P-256), and public keys (`PUBLIC KEY`, P-256) of earlier or
    /// other signers, in PEM.
    ///
    /// # Errors
    /// A text holds something else.
    pub fn from_pem(private: &str, earlier_public: &str) -> Result<Self, KeyError> {
        let bad = |error: String| KeyError::ServiceAccount(error);
        let private = PrivatePkcs8KeyDer::from_pem_slice(private.as_bytes())
            .map_err(|error| bad(format!("a private key in PKCS #8 is needed: {error}")))?;
        let signing = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private.secret_pkcs8_der(),
            &SystemRandom::new(),
        )
        .map_err(|error| bad(format!("a P-256 key is needed: {error}")))?;
        let own = PublicKey::of(signing.public_key().as_ref());
        let key_id = own.id.clone();
        let mut public = vec![own];
        for key in SubjectPublicKeyInfoDer::pem_slice_iter(earlier_public.as_bytes()) {
            let key = key.map_err(|error| bad(error.to_string()))?;
            public.push(PublicKey::from_der(&key).ok_or_else(|| bad("a P-256 key is needed".to_owned()))?);
        }
        Ok(Self { signing, key_id, public })
    }

    /// Makes a token that says this.
    pub fn sign(&self, claims: &Claims) -> String {
        let header = json!({"alg": "ES256", "kid": self.key_id});
        let message = format!("{}.{}", part(&header), part(&json!(claims)));
        let signature = self.signing.sign(&SystemRandom::new(), message.as_bytes());
        // It fails only where the operating system has no randomness.
        let signature = signature.expect("the operating system gives random bytes");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a token says, if one of the keys signed it.
    ///
    /// # Errors
    /// See [`InvalidToken`].
    pub fn verify(&self, token: &str) -> Result<Claims, InvalidToken> {
        let (message, signature) = token.rsplit_once('.').ok_or(InvalidToken::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(InvalidToken::Malformed)?;
        let header: Header = read(header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| InvalidToken::Malformed)?;
        let signed =
            self.public.iter().filter(|key| header.kid.is_empty() || key.id == header.kid).any(|key| {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point);
                key.verify(message.as_bytes(), &signature).is_ok()
            });
        if header.alg != "ES256" || !signed {
            return Err(InvalidToken::Signature);
        }
        read(claims)
    }

    /// The public keys as a JSON Web Key Set.
    pub fn key_set(&self) -> Value {
        let keys: Vec<_> = self.public.iter().map(PublicKey::web_key).collect();
        json!({"keys": keys})
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl PublicKey {
    fn of(point: &[u8]) -> Self {
        let info = [&P256_PREFIX, point].concat();
        let id = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &info));
        Self { id, point: point.to_vec() }
    }

    fn from_der(info: &[u8]) -> Option<Self> {
        info.strip_prefix(&P256_PREFIX).filter(|point| point.len() == POINT_BYTES).map(Self::of)
    }

    fn web_key(&self) -> Value {
        let coordinate = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&self.point[range]);
        json!({
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256",
            "x": coordinate(1..33), "y": coordinate(33..POINT_BYTES),
        })
    }
}

impl Claims {
    /// Whether they hold for one of these audiences, from this issuer, now. Answers the audiences in common.
    ///
    /// # Errors
    /// See [`InvalidToken`].
    pub fn check(
        &self,
        issuer: &str,
        audiences: &[String],
        now: OffsetDateTime,
    ) -> Result<Vec<String>, InvalidToken> {
        if self.iss != issuer {
            return Err(InvalidToken::Malformed);
        }
        let shared: Vec<_> = audiences.iter().filter(|wanted| self.aud.0.contains(wanted)).cloned().collect();
        if shared.is_empty() {
            return Err(InvalidToken::Audience { token: self.aud.0.clone(), wanted: audiences.to_vec() });
        }
        if now.unix_timestamp() > self.exp {
            return Err(InvalidToken::Expired);
        }
        if now.unix_timestamp() < self.nbf {
            return Err(InvalidToken::NotYet);
        }
        Ok(shared)
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn read<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, InvalidToken> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidToken::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| InvalidToken::Malformed)
}

#[cfg(test)]
mod tests;
