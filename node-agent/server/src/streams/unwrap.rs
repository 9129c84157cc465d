//! SPDY that comes wrapped in the messages of a WebSocket: how current clients forward ports. What is in the messages is
//! for the runtime; the boundaries between them mean nothing.

use bytes::{Bytes, BytesMut};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{self, Message};

use super::websocket::{self, Accepted, WebSocket};
use crate::answer::Refusal;

/// How much is read at once.
const BLOCK: usize = 32 << 10;

/// Agrees with a client that wants to forward ports.
pub(super) fn accept_port_forward(headers: &HeaderMap) -> Result<Accepted, Refusal> {
    Accepted::of(headers, &["SPDY/3.1+portforward.k8s.io"])
}

/// Carries bytes until one of the two has gone.
pub(super) async fn run(client: OnUpgrade, runtime: impl AsyncRead + AsyncWrite + Send) {
    let Some(socket) = websocket::open(client).await else { return };
    let (mut to_client, mut from_client) = socket.split();
    let (reader, writer) = tokio::io::split(runtime);
    let ended = tokio::select! {
        ended = wrap(reader, &mut to_client) => ended,
        () = unwrap(&mut from_client, writer) => return,
    };
    let closed = match ended {
        Ok(()) => websocket::close(&mut to_client, &mut from_client).await,
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        tracing::debug!(%error, "a client that forwards ports has gone");
    }
}

async fn wrap(
    mut runtime: impl AsyncRead + Unpin,
    to_client: &mut SplitSink<WebSocket, Message>,
) -> tungstenite::Result<()> {
    let mut block = BytesMut::new();
    loop {
        block.reserve(BLOCK);
        match runtime.read_buf(&mut block).await {
            Ok(1..) => to_client.send(Message::Binary(block.split().freeze())).await?,
            Ok(0) | Err(_) => return Ok(()),
        }
    }
}

async fn unwrap(from_client: &mut SplitStream<WebSocket>, mut runtime: impl AsyncWrite + Unpin) {
    loop {
        let bytes: Bytes = match from_client.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Text(text))) => text.into(),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
        };
        if runtime.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
