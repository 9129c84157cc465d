//! What goes back to a caller.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;

/// A response.
pub(crate) type Response = http::Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Why a request is not answered as it wished: a status code and a text for people, as upstream's agent has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: StatusCode,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(code: StatusCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// 400: the request makes no sense, or not now.
    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404: what is asked for is not here.
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 500: the runtime, or this agent, has failed.
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub(crate) fn response(self) -> Response {
        let is_anonymous = self.code == StatusCode::UNAUTHORIZED;
        let mut response = text(self.code, self.text);
        if is_anonymous {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Plain text.
pub(crate) fn text(code: StatusCode, text: impl Into<Bytes>) -> Response {
    whole(code, "text/plain; charset=utf-8", text.into())
}

/// JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => whole(StatusCode::OK, "application/json", bytes.into()),
        Err(error) => Refusal::internal(format!("cannot write the answer as JSON: {error}")).response(),
    }
}

/// A body that comes piece by piece, and ends where the stream ends.
pub(crate) fn streamed(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    assemble(StatusCode::OK, "text/plain", StreamBody::new(frames).boxed_unsync())
}

/// The head that ends HTTP on a connection; what comes after it has no form that HTTP knows.
pub(crate) fn switching(protocol: &'static str) -> Response {
    let mut response = http::Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(http::header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(http::header::UPGRADE, HeaderValue::from_static(protocol));
    response
}

fn whole(code: StatusCode, content_type: &'static str, bytes: Bytes) -> Response {
    assemble(code, content_type, Full::new(bytes).boxed_unsync())
}

fn assemble(
    code: StatusCode,
    content_type: &'static str,
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
