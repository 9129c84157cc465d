//! From the runtime to the client: what the process writes, and how it ended.

use bytes::BytesMut;
use futures_util::{SinkExt, stream::SplitSink};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};
use tokio_tungstenite::tungstenite::{self, Message};

use super::Streams;
use crate::{
    spdy::{Decoder, Frame, StreamId},
    streams::{channels, websocket::WebSocket},
};

/// How much is read at once.
const BLOCK: usize = 32 << 10;

/// The longest Status of a runtime; what is longer is none.
const MAX_STATUS: usize = 64 << 10;

/// The outputs of a process.
pub(super) struct Output {
    streams: Streams,
    /// Those that have not ended.
    open: Vec<StreamId>,
    /// What the runtime has said of the end so far.
    status: BytesMut,
    /// Where the runtime's pings are answered.
    pings: mpsc::Sender<u32>,
}

impl Output {
    pub(super) fn new(streams: Streams, pings: mpsc::Sender<u32>) -> Self {
        let open = [Some(streams.error), streams.stdout, streams.stderr].into_iter().flatten().collect();
        Self { streams, open, status: BytesMut::new(), pings }
    }

    /// Carries what the runtime sends, until there is nothing more. What it has said of the end, which is nothing if
    /// it broke off.
    ///
    /// # Errors
    /// The client has gone.
    pub(super) async fn carry(
        mut self,
        mut runtime: impl AsyncRead + Unpin,
        to_client: &mut SplitSink<WebSocket, Message>,
    ) -> tungstenite::Result<BytesMut> {
        self.greet(to_client).await?;
        let mut decoder = Decoder::new();
        while !self.open.is_empty() {
            match decoder.next() {
                Ok(Some(frame)) => self.take(frame, to_client).await?,
                Ok(None) => {
                    decoder.buffer().reserve(BLOCK);
                    match runtime.read_buf(decoder.buffer()).await {
                        Ok(1..) => {}
                        Ok(0) | Err(_) => break,
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the container runtime does not speak SPDY as expected");
                    break;
                }
            }
        }
        Ok(self.status)
    }

    /// An empty message says that the connection stands; upstream's servers send it, and clients wait for it.
    async fn greet(&self, to_client: &mut SplitSink<WebSocket, Message>) -> tungstenite::Result<()> {
        let outputs = [self.streams.stdout, self.streams.stderr].into_iter().flatten();
        let channel = outputs.filter_map(|stream| self.streams.output(stream)).next();
        let channel = channel.unwrap_or(channels::ERROR);
        to_client.send(Message::Binary(channels::message(channel, b""))).await
    }

    async fn take(
        &mut self,
        frame: Frame,
        to_client: &mut SplitSink<WebSocket, Message>,
    ) -> tungstenite::Result<()> {
        match frame {
            Frame::Data { stream, contents, is_last } => {
                if let Some(channel) = self.streams.output(stream)
                    && !contents.is_empty()
                {
                    to_client.send(Message::Binary(channels::message(channel, &contents))).await?;
                }
                if stream == self.streams.error && self.status.len() + contents.len() <= MAX_STATUS {
                    self.status.extend_from_slice(&contents);
                }
                if is_last {
                    self.end(stream);
                }
            }
            Frame::Reply { stream, is_last: true } | Frame::Reset { stream } => self.end(stream),
            // One that finds no room is missed by nobody but a runtime whose earlier ones are still to be answered.
            Frame::Ping(id) => drop(self.pings.try_send(id)),
            Frame::Reply { is_last: false, .. } | Frame::GoAway | Frame::Other => {}
        }
        Ok(())
    }

    fn end(&mut self, stream: StreamId) {
        self.open.retain(|open| *open != stream);
    }
}
