//! WebSockets, as a server: their handshake and their end.

use std::time::Duration;

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
        UPGRADE,
    },
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::answer::{self, Refusal, Response};

/// A connection that carries messages.
pub(super) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// How long a client may take to close its side.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(10);

/// The longest message. Clients send input in pieces of 32 KiB.
const MAX_MESSAGE: usize = 4 << 20;

/// A handshake that is agreed on.
#[derive(Debug)]
pub(super) struct Accepted {
    key: String,
    protocol: &'static str,
}

/// Whether a request wants to change to a protocol; its name in lower case.
pub(super) fn wants(headers: &HeaderMap, protocol: &str) -> bool {
    has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, protocol)
}

/// Whether a request wants a WebSocket.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    wants(headers, "websocket")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

impl Accepted {
    /// Agrees on the first protocol of the client's that is known here. Whoever asks for none gets the one without a
    /// name, if there is one.
    pub(super) fn of(headers: &HeaderMap, known: &[&'static str]) -> Result<Self, Refusal> {
        if !has_token(headers, &SEC_WEBSOCKET_VERSION, "13") {
            return Err(Refusal::bad_request("only version 13 of WebSocket is spoken here"));
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let key = key.ok_or_else(|| Refusal::bad_request("Sec-WebSocket-Key is missing"))?;
        let mut asked: Vec<&str> = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).collect();
        if asked.is_empty() {
            asked.push("");
        }
        let agreed = asked.iter().find_map(|asked| known.iter().find(|known| *known == asked));
        let protocol = agreed.ok_or_else(|| {
            let names: Vec<&str> = known.iter().copied().filter(|name| !name.is_empty()).collect();
            let text =
                format!("no WebSocket protocol of {asked:?} is spoken here: use {}", names.join(" or "));
            Refusal::bad_request(text)
        })?;
        Ok(Self { key: derive_accept_key(key), protocol })
    }

    /// What was agreed on; empty for the protocol without a name.
    pub(super) fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The answer after which the connection carries messages.
    pub(super) fn response(&self) -> Response {
        let mut response = answer::switching("websocket");
        let headers = response.headers_mut();
        if let Ok(key) = HeaderValue::from_str(&self.key) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, key);
        }
        if !self.protocol.is_empty() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol));
        }
        response
    }
}

/// The connection, once the answer is sent. `None` when the client has gone before.
pub(super) async fn open(client: OnUpgrade) -> Option<WebSocket> {
    let socket = client.await.ok()?;
    let config =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    Some(WebSocketStream::from_raw_socket(TokioIo::new(socket), Role::Server, Some(config)).await)
}

/// Says that nothing more comes, and waits until the client has said so, too: a connection that is closed with
/// something unread on this side takes what is on its way with it.
pub(super) async fn close(
    to_client: &mut SplitSink<WebSocket, Message>,
    from_client: &mut SplitStream<WebSocket>,
) -> tungstenite::Result<()> {
    let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    to_client.send(Message::Close(Some(normal))).await?;
    let gone = async { while let Some(Ok(_)) = from_client.next().await {} };
    // One that takes longer has read what it wanted.
    let _ = timeout(GOODBYE_PATIENCE, gone).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(protocol: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_clients_first_protocol_that_is_known_is_agreed_on() {
        let accepted = Accepted::of(&headers(Some("v9, v5, v4")), &["v4", "v5"]).unwrap();
        assert_eq!(accepted.protocol(), "v5");
        let response = accepted.response();
        assert_eq!(response.status(), 101);
        // The example of RFC 6455.
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "v5");
        let nameless = Accepted::of(&headers(None), &["v4", ""]).unwrap();
        assert_eq!(nameless.response().headers().get(SEC_WEBSOCKET_PROTOCOL), None);
        for protocol in [Some("v9"), None] {
            assert_eq!(Accepted::of(&headers(protocol), &["v4"]).unwrap_err().code, 400);
        }
    }

    #[test]
    fn a_request_says_what_it_wants() {
        assert!(is_wanted(&headers(None)) && !wants(&headers(None), "spdy/3.1"));
        let mut plain = headers(None);
        plain.remove(CONNECTION);
        assert!(!is_wanted(&plain));
        let mut keyless = headers(None);
        keyless.remove(SEC_WEBSOCKET_KEY);
        assert_eq!(Accepted::of(&keyless, &[""]).unwrap_err().code, 400);
    }
}
