//! WebSockets of clients that cannot send a header: browsers.
//!
//! In: a request's headers, and messages. Out: the token that hides among the offered protocols, the answer to the
//! handshake, and messages on their way. Nothing that a client says afterwards is listened to but its goodbye.
//!
//! Deliberately absent: streams of pods, which are between the client and its node ([`crate::nodes::upgrade`]).
//!
//! RFC 6455; the token as upstream's `authentication/request/websocket`.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{Sink, SinkExt, StreamExt, stream};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
        UPGRADE,
    },
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use keelson_api_registry::status::ApiError;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, handshake::derive_accept_key, protocol::Role, protocol::WebSocketConfig},
};

use crate::answer::{self, Response};

/// What is in front of a token that is offered as if it were a protocol.
const TOKEN_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// How long a client may take to close its side.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(10);

/// The longest message that is taken in, only to be thrown away.
const MAX_RECEIVED: usize = 64 << 10;

/// Whether a request wants to become a WebSocket.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, "websocket")
}

/// The bearer token of a request that wants to become a WebSocket.
///
/// # Errors
/// Why the token that is there cannot be used: a client must offer a protocol that can be agreed on, besides one token.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    if !is_wanted(headers) {
        return Ok(None);
    }
    let mut offered =
        tokens(headers, &SEC_WEBSOCKET_PROTOCOL).filter_map(|name| name.strip_prefix(TOKEN_PREFIX));
    let Some(encoded) = offered.next() else { return Ok(None) };
    if offered.next().is_some() {
        return Err("several tokens are offered as protocols of a WebSocket");
    }
    if protocols(headers).next().is_none() {
        return Err("a token is offered without a protocol of a WebSocket");
    }
    let token = URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|token| String::from_utf8(token).ok());
    token.map(Some).ok_or("a token that is offered as a protocol of a WebSocket is not text in base64url")
}

/// The protocols that a client offers, without its token.
pub(crate) fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL).filter(|name| !name.starts_with(TOKEN_PREFIX))
}

/// Answers the handshake, and sends messages once the connection is there, until there are no more or the client says
/// goodbye.
///
/// # Errors
/// 400 for a handshake that makes no sense.
pub(crate) fn answer<M>(headers: &HeaderMap, client: OnUpgrade, messages: M) -> Result<Response, ApiError>
where
    M: stream::Stream<Item = Message> + Send + 'static,
{
    let response = accepted(headers)?;
    tokio::spawn(async move {
        if let Err(error) = carry(client, messages).await {
            tracing::debug!(%error, "a WebSocket broke");
        }
    });
    Ok(response)
}

fn accepted(headers: &HeaderMap) -> Result<Response, ApiError> {
    if !has_token(headers, &SEC_WEBSOCKET_VERSION, "13") {
        return Err(ApiError::bad_request("only version 13 of WebSocket is spoken here"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| ApiError::bad_request("Sec-WebSocket-Key is missing"))?;
    let text = |text: &str| HeaderValue::from_str(text).map_err(ApiError::internal);
    let mut response = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let answered = response.headers_mut();
    answered.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answered.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answered.insert(SEC_WEBSOCKET_ACCEPT, text(&derive_accept_key(key.as_bytes()))?);
    // What is sent is the same whatever it is called; a browser hangs up unless one of its names is repeated.
    if let Some(protocol) = protocols(headers).next() {
        answered.insert(SEC_WEBSOCKET_PROTOCOL, text(protocol)?);
    }
    Ok(response)
}

async fn carry<M>(client: OnUpgrade, messages: M) -> Result<(), String>
where
    M: stream::Stream<Item = Message> + Send + 'static,
{
    let connection = TokioIo::new(client.await.map_err(|error| error.to_string())?);
    let config =
        WebSocketConfig::default().max_message_size(Some(MAX_RECEIVED)).max_frame_size(Some(MAX_RECEIVED));
    let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    let (mut to_client, mut from_client) = socket.split();
    let goodbye = async { while let Some(Ok(_)) = from_client.next().await {} };
    tokio::pin!(goodbye);
    tokio::select! {
        sent = send_all(&mut to_client, messages) => sent.map_err(|error| error.to_string())?,
        () = &mut goodbye => return Ok(()),
    }
    // A connection that is closed with something unread takes what is on its way with it.
    let _ = timeout(GOODBYE_PATIENCE, goodbye).await;
    Ok(())
}

async fn send_all<S, M>(to_client: &mut S, messages: M) -> tungstenite::Result<()>
where
    S: Sink<Message, Error = tungstenite::Error> + Unpin,
    M: stream::Stream<Item = Message>,
{
    tokio::pin!(messages);
    while let Some(message) = messages.next().await {
        to_client.send(message).await?;
    }
    to_client.close().await
}

/// Whether a header that lists words has this one, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(protocols: &str) -> HeaderMap {
        let pairs = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
        ];
        let pairs = pairs.into_iter().chain([("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]);
        let all = pairs.chain([("sec-websocket-protocol", protocols)]).filter(|(_, value)| !value.is_empty());
        all.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_is_found_beside_a_protocol_and_never_agreed_on() {
        // "a.b.c"
        let token = format!("{TOKEN_PREFIX}YS5iLmM");
        let headers = offering(&format!("{token}, base64.binary.k8s.io"));
        assert_eq!(bearer_token(&headers), Ok(Some("a.b.c".to_owned())));
        let response = accepted(&headers).unwrap();
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "base64.binary.k8s.io");
        for none in ["", "base64.binary.k8s.io"] {
            assert_eq!(bearer_token(&offering(none)), Ok(None));
        }
        for bad in [
            token.clone(),
            format!("{token},{token},x"),
            format!("{TOKEN_PREFIX}!,x"),
            format!("{TOKEN_PREFIX}_w,x"),
        ] {
            assert!(bearer_token(&offering(&bad)).is_err(), "{bad}");
        }
        let mut plain = offering(&format!("{token}, x"));
        plain.remove(UPGRADE);
        assert_eq!(bearer_token(&plain), Ok(None));
    }

    #[test]
    fn handshakes_are_answered_as_the_rfc_has_it() {
        let response = accepted(&offering("")).unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers().get(SEC_WEBSOCKET_PROTOCOL), None);
        for missing in [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION] {
            let mut headers = offering("");
            headers.remove(missing);
            assert_eq!(accepted(&headers).unwrap_err().code, 400);
        }
    }
}
