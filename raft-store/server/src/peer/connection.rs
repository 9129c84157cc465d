//! Frames over one byte stream.

use std::{io, sync::Arc};

use super::scheme;
use crate::meters::Traffic;
use bytes::BytesMut;
use keelson_proto::{
    frame::Codec,
    peer::{Frame, frame::Body},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};

/// A byte stream to a peer: TLS over TCP in production, whatever the simulation makes of it there.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// The longest frame: an append of 1 MiB of entries, one entry of 1.5 MiB, or a snapshot chunk, with room.
const MAX_FRAME: usize = 8 << 20;

/// One connection, both ways.
pub(super) struct Connection {
    pub(super) reader: FrameReader,
    pub(super) writer: FrameWriter,
}

/// The receiving half.
pub(super) struct FrameReader {
    half: ReadHalf<Box<dyn Duplex>>,
    buffer: BytesMut,
    codec: Codec,
    traffic: Arc<Traffic>,
}

/// The sending half.
pub(super) struct FrameWriter {
    half: WriteHalf<Box<dyn Duplex>>,
    buffer: BytesMut,
    codec: Codec,
    traffic: Arc<Traffic>,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Duplex>) -> Self {
        let (read, write) = tokio::io::split(stream);
        let codec = Codec::new(MAX_FRAME);
        Self {
            reader: FrameReader { half: read, buffer: BytesMut::new(), codec, traffic: Arc::default() },
            writer: FrameWriter { half: write, buffer: BytesMut::new(), codec, traffic: Arc::default() },
        }
    }

    /// From now on its bytes are counted there: it is known whose they are.
    pub(super) fn count(&mut self, traffic: &Arc<Traffic>) {
        self.reader.traffic = traffic.clone();
        self.writer.traffic = traffic.clone();
    }

    /// Sends one message and waits for the next one. For conversations without pipelining.
    pub(super) async fn ask(&mut self, body: Body) -> io::Result<Body> {
        self.writer.send(0, body).await?;
        self.reader.expect().await.map(|(_, body)| body)
    }
}

impl FrameReader {
    /// The next message with its id, or `None` when the peer has closed between two messages.
    ///
    /// Cancel-safe: what has arrived stays in the buffer.
    pub(super) async fn next(&mut self) -> io::Result<Option<(u64, Body)>> {
        loop {
            if scheme::is_tls(&self.buffer) {
                return Err(scheme::dialled_plainly());
            }
            if let Some(frame) = self.codec.decode(&mut self.buffer).map_err(invalid)? {
                let body = frame.body.ok_or_else(|| invalid("a frame without a body"))?;
                return Ok(Some((frame.id, body)));
            }
            self.buffer.reserve(READ_BYTES);
            let read = self.half.read_buf(&mut self.buffer).await?;
            self.traffic.received(read);
            if read == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(closed()) };
            }
        }
    }

    /// The next message; a closed connection is an error.
    pub(super) async fn expect(&mut self) -> io::Result<(u64, Body)> {
        self.next().await?.ok_or_else(closed)
    }
}

impl FrameWriter {
    /// Encodes a message; [`Self::flush`] sends it.
    pub(super) fn feed(&mut self, id: u64, body: Body) -> io::Result<()> {
        self.codec.encode(&Frame { id, body: Some(body) }, &mut self.buffer).map_err(invalid)
    }

    /// Sends everything that was fed. Not cancel-safe: dropped half-way, the connection is lost.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.half.write_all(&self.buffer).await?;
        self.traffic.sent(self.buffer.len());
        self.buffer.clear();
        self.half.flush().await
    }

    /// Encodes and sends one message.
    pub(super) async fn send(&mut self, id: u64, body: Body) -> io::Result<()> {
        self.feed(id, body)?;
        self.flush().await
    }
}

/// A peer that broke the protocol.
pub(super) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A message that has no place at this point of the conversation.
pub(super) fn unexpected(when: &str) -> io::Error {
    invalid(format!("an unexpected message {when}"))
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
}
