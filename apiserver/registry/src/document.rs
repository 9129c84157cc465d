//! A document that is written once and served many times, and the `ETag` that goes with it.
//!
//! Deliberately absent: conditional requests and caching headers: they are HTTP's.

use base64::Engine as _;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A document that depends on nothing but the resource table.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its `Content-Type`.
    pub media_type: &'static str,
    /// Its content.
    pub body: Bytes,
    /// A hash of its content, in hexadecimal capitals, without the quotes of an `ETag`.
    pub hash: String,
}

impl Document {
    /// A document with its hash.
    pub(crate) fn new(media_type: &'static str, body: Bytes) -> Self {
        let hash = sha256(&body).iter().map(|byte| format!("{byte:02X}")).collect();
        Self { media_type, body, hash }
    }

    /// Its `ETag`, quotes included.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Base64 with the standard alphabet and padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
