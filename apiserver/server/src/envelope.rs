//! What lies around an object in the store.
//!
//! In: an object's canonical JSON. Out: a stored value, and from it the JSON with its `resourceVersion` in place,
//! without parsing. The store gives a value its revision only when it applies it, so the stored JSON has none; the
//! envelope remembers where it belongs.
//!
//! ```text
//! format 1: 1 byte   1
//!           1 byte   length of the API version
//!           n bytes  the API version that the JSON is written in, `apps/v1`
//!           12 bytes three big-endian u32, offsets into the JSON: start and end of the metadata, and the place
//!                    of the resourceVersion inside
//!           rest     canonical JSON: no space between tokens
//! ```

use std::ops::Range;

use bytes::Bytes;
use keelson_store_core::id::Revision;

mod layout;

use layout::Layout;

/// The format that is written. Formats that are not known are refused, never guessed.
const FORMAT: u8 = 1;
const OFFSETS: usize = 12;

/// A stored value, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The API version that the JSON is written in.
    pub api_version: String,
    /// The object, without a resourceVersion.
    pub json: Bytes,
    metadata: Range<usize>,
    splice: usize,
}

/// An object's JSON as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The object, with its resourceVersion.
    pub json: Bytes,
    /// Where in it the value of `metadata` stands.
    pub metadata: Range<usize>,
    /// Where in it the digits of the resourceVersion stand.
    revision: Range<usize>,
}

/// Why bytes are no stored object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It was written by a later version of this program, or by another one.
    #[error("format {0} of stored objects is not known to this version")]
    Format(u8),
    /// It ends too early, or contradicts itself.
    #[error("the stored object is damaged: {0}")]
    Damaged(&'static str),
}

/// Wraps an object's canonical JSON. A resourceVersion in it is left out.
///
/// # Errors
/// [`EnvelopeError::Damaged`] for what is no canonical JSON object with metadata.
pub fn encode(api_version: &str, json: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let layout = Layout::find(json).ok_or(EnvelopeError::Damaged("no object with metadata"))?;
    let version_len =
        u8::try_from(api_version.len()).map_err(|_| EnvelopeError::Damaged("the API version is too long"))?;
    let dropped = layout.revision.clone();
    let end = layout.metadata.end - dropped.len();
    let mut out = Vec::with_capacity(2 + api_version.len() + OFFSETS + json.len());
    out.push(FORMAT);
    out.push(version_len);
    out.extend_from_slice(api_version.as_bytes());
    for offset in [layout.metadata.start, end, dropped.start] {
        let offset = u32::try_from(offset).map_err(|_| EnvelopeError::Damaged("larger than 4 GiB"))?;
        out.extend_from_slice(&offset.to_be_bytes());
    }
    out.extend_from_slice(&json[..dropped.start]);
    out.extend_from_slice(&json[dropped.end..]);
    Ok(out)
}

/// Takes a stored value apart.
///
/// # Errors
/// See [`EnvelopeError`].
pub fn decode(bytes: &Bytes) -> Result<Envelope, EnvelopeError> {
    const SHORT: EnvelopeError = EnvelopeError::Damaged("it ends too early");
    let (format, rest) = bytes.split_first().ok_or(SHORT)?;
    if *format != FORMAT {
        return Err(EnvelopeError::Format(*format));
    }
    let (length, rest) = rest.split_first().ok_or(SHORT)?;
    let (version, rest) = rest.split_at_checked(usize::from(*length)).ok_or(SHORT)?;
    let (offsets, json) = rest.split_first_chunk::<OFFSETS>().ok_or(SHORT)?;
    let offset = |at: usize| {
        let bytes = [offsets[at], offsets[at + 1], offsets[at + 2], offsets[at + 3]];
        // An object is far smaller than the address space of any machine this runs on.
        u32::from_be_bytes(bytes) as usize
    };
    let (start, end, splice) = (offset(0), offset(4), offset(8));
    let inside = start < splice && splice < end && end <= json.len();
    if !inside || json[start] != b'{' || json[end - 1] != b'}' {
        return Err(EnvelopeError::Damaged("its metadata is not where it should be"));
    }
    let version =
        std::str::from_utf8(version).map_err(|_| EnvelopeError::Damaged("its API version is no text"))?;
    Ok(Envelope {
        api_version: version.to_owned(),
        json: bytes.slice(bytes.len() - json.len()..),
        metadata: start..end,
        splice,
    })
}

impl Envelope {
    /// The object as it is at `revision`.
    pub fn at(&self, revision: Revision) -> Spliced {
        let (before, after) = self.json.split_at(self.splice);
        let digits = revision.to_string();
        let first = before.ends_with(b"{");
        let last = after.starts_with(b"}");
        let start: &[u8] = if first { b"\"resourceVersion\":\"" } else { b",\"resourceVersion\":\"" };
        let end: &[u8] = if first && !last { b"\"," } else { b"\"" };
        let json = [before, start, digits.as_bytes(), end, after].concat();
        let added = json.len() - self.json.len();
        let digits_start = self.splice + start.len();
        Spliced {
            json: json.into(),
            metadata: self.metadata.start..self.metadata.end + added,
            revision: digits_start..digits_start + digits.len(),
        }
    }
}

impl Spliced {
    /// The same object with another resourceVersion: a deletion is told with the revision that it made.
    pub fn moved_to(&self, revision: Revision) -> Self {
        let digits = revision.to_string();
        let (before, after) = (&self.json[..self.revision.start], &self.json[self.revision.end..]);
        let json: Bytes = [before, digits.as_bytes(), after].concat().into();
        let end = json.len() - (self.json.len() - self.metadata.end);
        Self {
            json,
            metadata: self.metadata.start..end,
            revision: self.revision.start..self.revision.start + digits.len(),
        }
    }

    /// The JSON of `metadata`.
    pub fn metadata(&self) -> Bytes {
        self.json.slice(self.metadata.clone())
    }
}

#[cfg(test)]
mod tests;
