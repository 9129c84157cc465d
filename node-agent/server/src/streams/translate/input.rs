//! From the client to the runtime: what the process reads, and the size of its terminal.

use bytes::Bytes;
use futures_util::{StreamExt, stream::SplitStream};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_tungstenite::tungstenite::Message;

use super::Streams;
use crate::{
    spdy::Encoder,
    streams::{
        channels::{Protocol, Said},
        websocket::WebSocket,
    },
};

/// The input of a process.
pub(super) struct Input {
    pub(super) streams: Streams,
    pub(super) protocol: Protocol,
    pub(super) encoder: Encoder,
    /// Pings of the runtime that want an answer.
    pub(super) asked: mpsc::Receiver<u32>,
}

impl Input {
    /// Carries what the client sends, until it has gone.
    pub(super) async fn carry(
        mut self,
        from_client: &mut SplitStream<WebSocket>,
        mut runtime: impl AsyncWrite + Unpin,
    ) {
        // A runtime that has ended the process takes no more input, but the client may still send some.
        let mut takes_more = true;
        loop {
            let frame = tokio::select! {
                message = from_client.next() => match message {
                    Some(Ok(Message::Binary(message))) => self.frame(message),
                    Some(Ok(Message::Text(message))) => self.frame(message.into()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => None,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                },
                Some(id) = self.asked.recv() => Some(self.encoder.ping(id)),
            };
            if let Some(frame) = frame.filter(|_| takes_more) {
                takes_more = runtime.write_all(&frame).await.is_ok();
            }
        }
    }

    /// What a message is to the runtime; nothing, if it is about a stream that is not there.
    fn frame(&self, message: Bytes) -> Option<Vec<u8>> {
        match Said::of(self.protocol, message) {
            Said::Stdin(contents) => Some(self.encoder.data(self.streams.stdin?, &contents, false)),
            Said::StdinEnd => Some(self.encoder.data(self.streams.stdin?, b"", true)),
            Said::Resize(size) => Some(self.encoder.data(self.streams.resize?, &size, false)),
            Said::Nothing => None,
        }
    }
}
