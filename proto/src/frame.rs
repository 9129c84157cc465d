//! The framing of peer messages: [`Frame`]s in, bytes for a stream out, and back.
//!
//! ```text
//! +-----------------+------------------+------------------------+
//! | length: u32 BE  | crc32c: u32 BE   | body: `length` bytes   |
//! +-----------------+------------------+------------------------+
//! ```
//!
//! Length and checksum are those of the body, which is an encoded [`Frame`]. The checksum is there because a
//! log entry that changed between two replicas' memories would be fsynced and voted for.
//!
//! Deliberately absent: sockets, and what to say when. An error means that the stream cannot be trusted any
//! more: the caller closes it. Nothing here panics, whatever the bytes.

use bytes::{Buf as _, BufMut as _, BytesMut};
use prost::Message as _;

use crate::peer::Frame;

/// The longest body, in bytes, that is sent or accepted unless configured otherwise.
pub const DEFAULT_MAX_LEN: usize = 8 << 20;

/// Length and checksum, in bytes.
const HEADER_LEN: usize = 8;

/// Why a frame could not be sent, or a stream not be understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The body is longer than this codec allows. Found by the sender: the message must be split. Found by
    /// the receiver: the peer is misconfigured, or what arrives is no frame.
    #[error("a frame of {len} bytes is longer than the {max} allowed")]
    TooLong {
        /// The body's length in bytes.
        len: usize,
        /// The longest allowed.
        max: usize,
    },
    /// The body is not the one whose checksum was sent.
    #[error("a frame's checksum is {found:#010x} but should be {expected:#010x}")]
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the body has.
        found: u32,
    },
    /// The body arrived as it was sent, but is not an encoded [`Frame`].
    #[error("a frame does not decode: {0}")]
    Malformed(#[from] prost::DecodeError),
}

/// Encodes and decodes frames up to a given length. Both sides of a connection need the same.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// In bytes; never above `u32::MAX`, so that the header can hold every length that passes.
    max_len: u32,
}

impl Default for Codec {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_LEN)
    }
}

impl Codec {
    /// A codec for bodies of at most `max_len` bytes, or of 4 GiB - 1 where that is less.
    pub fn new(max_len: usize) -> Self {
        Self { max_len: u32::try_from(max_len).unwrap_or(u32::MAX) }
    }

    /// Appends a frame to `out`.
    ///
    /// # Errors
    /// [`FrameError::TooLong`]; `out` is unchanged then.
    pub fn encode(&self, frame: &Frame, out: &mut BytesMut) -> Result<(), FrameError> {
        let body_len = frame.encoded_len();
        let header_len = self.check_len(body_len)?;
        out.reserve(HEADER_LEN + body_len);
        let checksum_at = out.len() + size_of::<u32>();
        out.put_u32(header_len);
        out.put_u32(0);
        frame.encode(out).expect("a BytesMut grows as needed");
        let checksum = crc32c::crc32c(&out[checksum_at + size_of::<u32>()..]);
        out[checksum_at..][..size_of::<u32>()].copy_from_slice(&checksum.to_be_bytes());
        Ok(())
    }

    /// Takes the first frame off `buffer`, or nothing while it is not complete: call again when more has
    /// arrived.
    ///
    /// The frame's bytes fields share the buffer's memory; whoever keeps one small field for long keeps the
    /// whole block that it was received in.
    ///
    /// # Errors
    /// Any [`FrameError`]. The stream is unusable from then on.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some((mut header, rest)) = buffer.split_at_checked(HEADER_LEN) else {
            return Ok(None);
        };
        let body_len = header.get_u32() as usize;
        let expected = header.get_u32();
        self.check_len(body_len)?;
        if rest.len() < body_len {
            // One allocation for what is known to come, instead of one per read.
            buffer.reserve(HEADER_LEN + body_len - buffer.len());
            return Ok(None);
        }
        buffer.advance(HEADER_LEN);
        let body = buffer.split_to(body_len).freeze();
        let found = crc32c::crc32c(&body);
        if found != expected {
            return Err(FrameError::Checksum { expected, found });
        }
        Ok(Some(Frame::decode(body)?))
    }

    /// The length as the header carries it.
    fn check_len(&self, len: usize) -> Result<u32, FrameError> {
        match u32::try_from(len) {
            Ok(fits) if fits <= self.max_len => Ok(fits),
            _ => Err(FrameError::TooLong { len, max: self.max_len as usize }),
        }
    }
}

#[cfg(test)]
mod tests;
