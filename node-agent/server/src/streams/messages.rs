//! What comes piece by piece, as the messages of a WebSocket: logs for clients that cannot read a body as it comes.

use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt};
use http::{HeaderMap, Request};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio_tungstenite::tungstenite::{self, Message};

use super::websocket::{self, Accepted};
use crate::{
    answer::{Refusal, Response},
    chain::Node,
};

/// The protocol whose messages are the pieces as they are; it may go without a name.
const KNOWN: &[&str] = &["binary.k8s.io", ""];

/// Whether a request wants a WebSocket.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    websocket::is_wanted(headers)
}

/// Answers a request, and sends the pieces afterwards.
pub(crate) fn answer(
    node: &Node,
    mut request: Request<Incoming>,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<Response, Refusal> {
    let accepted = Accepted::of(request.headers(), KNOWN)?;
    let client = hyper::upgrade::on(&mut request);
    node.spawn(async move {
        if let Err(error) = send(client, pieces).await {
            tracing::debug!(%error, "a client has gone");
        }
    });
    Ok(accepted.response())
}

async fn send(client: OnUpgrade, pieces: impl Stream<Item = Bytes> + Send) -> tungstenite::Result<()> {
    let Some(socket) = websocket::open(client).await else { return Ok(()) };
    let (mut to_client, mut from_client) = socket.split();
    let sending = async {
        // Says that the connection stands, as upstream does.
        to_client.send(Message::Binary(Bytes::new())).await?;
        let mut pieces = std::pin::pin!(pieces);
        while let Some(piece) = pieces.next().await {
            to_client.send(Message::Binary(piece)).await?;
        }
        Ok::<_, tungstenite::Error>(())
    };
    // Nothing that a client says matters, but that it goes does.
    let gone = async { while let Some(Ok(_)) = from_client.next().await {} };
    tokio::select! {
        sent = sending => sent?,
        () = gone => return Ok(()),
    }
    websocket::close(&mut to_client, &mut from_client).await
}
