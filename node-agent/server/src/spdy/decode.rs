//! Bytes as frames.
//!
//! ```text
//!   Head ──► Control ──► Head      a whole control frame
//!     └────► Data ─────► Head      contents as they come
//! ```

use bytes::{Buf, Bytes, BytesMut};

use super::{FIN, HEAD, StreamId, VERSION, headers::HeaderReader, kind};

/// The longest control frame. Those of runtimes have a few dozen bytes.
pub(super) const MAX_CONTROL: usize = 16 << 10;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// It has taken a stream.
    Reply {
        /// Which.
        stream: StreamId,
        /// Whether it will send nothing on it.
        is_last: bool,
    },
    /// Contents of a stream, or a part of what one frame holds.
    Data {
        /// Which.
        stream: StreamId,
        /// What.
        contents: Bytes,
        /// Whether it was the last.
        is_last: bool,
    },
    /// It wants nothing more to do with a stream.
    Reset {
        /// Which.
        stream: StreamId,
    },
    /// It asks whether anybody is there, or has answered that.
    Ping(u32),
    /// It takes no more streams.
    GoAway,
    /// Something that does not matter here.
    Other,
}

/// What comes in is not SPDY, or out of bounds. The connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpdyError {
    /// A control frame of another version.
    #[error("a frame of SPDY version {0}, where 3 is spoken")]
    Version(u16),
    /// A control frame that is too long.
    #[error("a control frame of {0} bytes is too long")]
    TooLong(usize),
    /// A control frame that is too short for what it is.
    #[error("a control frame of kind {0} is too short")]
    TooShort(u16),
    /// Headers that cannot be unpacked, or are too long.
    #[error("a block of headers cannot be unpacked")]
    Headers,
}

/// Reads the frames of a server.
pub(crate) struct Decoder {
    bytes: BytesMut,
    state: State,
    headers: HeaderReader,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Control { kind: u16, flags: u8, length: usize },
    Data { stream: StreamId, is_last: bool, left: usize },
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { bytes: BytesMut::new(), state: State::Head, headers: HeaderReader::new() }
    }

    /// Where further bytes go. All frames are to be taken out before more is added: that bounds what is held.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// The next frame; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, SpdyError> {
        loop {
            match self.state {
                State::Head => {
                    if self.bytes.len() < HEAD {
                        return Ok(None);
                    }
                    self.state = self.head()?;
                }
                State::Control { kind, flags, length } => {
                    if self.bytes.len() < length {
                        return Ok(None);
                    }
                    let body = self.bytes.split_to(length).freeze();
                    self.state = State::Head;
                    return self.control(kind, flags, body).map(Some);
                }
                State::Data { stream, is_last, left } => {
                    if left > 0 && self.bytes.is_empty() {
                        return Ok(None);
                    }
                    let contents = self.bytes.split_to(left.min(self.bytes.len())).freeze();
                    let left = left - contents.len();
                    self.state = if left == 0 { State::Head } else { State::Data { stream, is_last, left } };
                    return Ok(Some(Frame::Data { stream, contents, is_last: is_last && left == 0 }));
                }
            }
        }
    }

    fn head(&mut self) -> Result<State, SpdyError> {
        let (first, second) = (self.bytes.get_u32(), self.bytes.get_u32());
        let [flags, length @ ..] = second.to_be_bytes();
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        if first >> 31 == 0 {
            return Ok(State::Data { stream: StreamId(first), is_last: flags & FIN != 0, left: length });
        }
        let version = (first >> 16) as u16 & 0x7fff;
        if version != VERSION {
            return Err(SpdyError::Version(version));
        }
        if length > MAX_CONTROL {
            return Err(SpdyError::TooLong(length));
        }
        Ok(State::Control { kind: first as u16, flags, length })
    }

    fn control(&mut self, kind: u16, flags: u8, mut body: Bytes) -> Result<Frame, SpdyError> {
        // Every kind that matters begins with a number, mostly a stream's.
        let number = body.try_get_u32().map_err(|_| SpdyError::TooShort(kind))?;
        let stream = StreamId(number & 0x7fff_ffff);
        match kind {
            kind::SYN_REPLY => {
                self.headers.unpack(&body)?;
                Ok(Frame::Reply { stream, is_last: flags & FIN != 0 })
            }
            kind::RST_STREAM => Ok(Frame::Reset { stream }),
            kind::PING => Ok(Frame::Ping(number)),
            kind::GOAWAY => Ok(Frame::GoAway),
            // Streams that a server opens and headers that it adds mean nothing here, but later blocks build on theirs.
            kind::SYN_STREAM => self.skip_headers(&body, 6),
            kind::HEADERS => self.skip_headers(&body, 0),
            // Settings and windows have no effect.
            _ => Ok(Frame::Other),
        }
    }

    fn skip_headers(&mut self, after_stream: &[u8], skipped: usize) -> Result<Frame, SpdyError> {
        self.headers.unpack(after_stream.get(skipped..).unwrap_or_default())?;
        Ok(Frame::Other)
    }
}
