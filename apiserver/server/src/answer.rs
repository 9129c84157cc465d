//! What goes back to a client: bodies, and how failures of the store are told.
//!
//! In: bytes that are ready to be sent, or a failure of the store. Out: an HTTP response, or an [`ApiError`]. Headers
//! that every response has are added by the chain, not here; a Status is written by [`crate::codec`].

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use keelson_api_registry::status::ApiError;
use keelson_store::{ReadError, WriteError, error::Rejection};
use keelson_store_core::command::CommandError;
use serde_json::Value;
use tokio_stream::{Stream, StreamExt};

/// JSON's media type.
pub const JSON: &str = "application/json";

/// The body of a response.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// A response.
pub type Response = http::Response<Body>;

/// A response whose body is there already.
pub fn object_bytes(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    assemble(status, content_type, Full::new(body).boxed_unsync())
}

/// A response in JSON.
pub fn json(status: StatusCode, value: &Value) -> Response {
    object_bytes(status, JSON, value.to_string().into())
}

/// A response in plain text.
pub fn text(status: StatusCode, text: impl Into<String>) -> Response {
    let text: String = text.into();
    object_bytes(status, "text/plain; charset=utf-8", text.into())
}

/// A response whose body comes piece by piece. It ends where the stream ends.
pub fn streamed<S>(status: StatusCode, content_type: &'static str, pieces: S) -> Response
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    assemble(status, content_type, StreamBody::new(frames).boxed_unsync())
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(no_body());
    *response.status_mut() = status;
    response
}

/// Nothing to send.
pub fn no_body() -> Body {
    Empty::new().boxed_unsync()
}

fn assemble(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// What a failed read of the store is to a client. Reads may be repeated freely.
///
/// For reads at a revision that the client named; a list's own texts for an expired `continue` are its own.
#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub fn store_read_error(error: ReadError) -> ApiError {
    match error {
        ReadError::Refused(CommandError::Compacted { compacted }) => ApiError::expired(format!(
            "The resourceVersion for the provided request is too old: revisions below {compacted} are gone"
        )),
        ReadError::Refused(other) => ApiError::internal(other),
        ReadError::NoQuorum(_) => ApiError::timeout(error.to_string()),
        ReadError::Stopped => ApiError::unavailable(error.to_string()),
        ReadError::Broken(_) => ApiError::internal(error),
    }
}

/// What a failed write to the store is to a client: *rejected* is safe to repeat, *unknown* may have happened.
#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub fn store_write_error(error: WriteError) -> ApiError {
    match error {
        WriteError::Refused(refusal) => ApiError::internal(refusal),
        WriteError::Rejected(Rejection::Overloaded) => ApiError::too_many_requests(),
        WriteError::Rejected(Rejection::NoLeader | Rejection::NoSpace) => {
            without_retry(ApiError::unavailable(error.to_string()))
        }
        WriteError::Rejected(Rejection::Stopped | Rejection::InDoubt) => {
            ApiError::unavailable(error.to_string())
        }
        // The error's own text says that the outcome is unknown, and why.
        WriteError::Unknown(_) => ApiError::timeout(error.to_string()),
    }
}

/// The store has waited for a quorum already: clients that obey `Retry-After` would keep their user waiting for
/// minutes before they say what is wrong.
fn without_retry(mut error: ApiError) -> ApiError {
    error.details.retry_after_seconds = 0;
    error
}

#[cfg(test)]
mod tests {
    use keelson_store::error::Doubt;

    use super::*;

    #[test]
    fn an_unknown_outcome_is_never_told_as_a_failure_or_a_rejection() {
        let unknown = store_write_error(WriteError::Unknown(Doubt::LeaderLost));
        assert_eq!((unknown.code.as_u16(), unknown.reason), (504, "Timeout"));
        assert!(unknown.message.starts_with("the outcome is unknown: "), "{}", unknown.message);
        let rejected = store_write_error(WriteError::Rejected(Rejection::NoLeader));
        assert_eq!((rejected.code.as_u16(), rejected.reason), (503, "ServiceUnavailable"));
        assert_eq!(rejected.details.retry_after_seconds, 0);
        assert_eq!(store_write_error(WriteError::Rejected(Rejection::Overloaded)).code, 429);
    }
}
