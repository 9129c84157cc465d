//! The bodies of requests.
//!
//! In: a request's headers and body. Out: its bytes, or 413 and 415. Nothing longer than the limit is ever held in
//! memory, whatever the headers claim.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keelson_api_registry::status::ApiError;
use tokio::time::timeout;

/// The longest body; upstream's limit for what etcd would take.
const MAX_BYTES: usize = 3 * 1024 * 1024;

/// How much more of a body that is too long is read, and for how long, to be forgotten at once: a client that is still
/// sending may not look at an answer, and over HTTP/2 sees its stream torn.
const MAX_DISCARDED: usize = 16 * 1024 * 1024;
const DISCARDING: Duration = Duration::from_secs(5);

/// Reads a body.
///
/// # Errors
/// 413 when it is too long, 415 when it is compressed, 400 when the client stops in the middle.
pub async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, ApiError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    refuse_encoding(headers)?;
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let mut body = body.map_err(|error| error.to_string());
    if announced.is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(too_large(body).await);
    }
    match Limited::new(&mut body, MAX_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(body).await),
        Err(error) => Err(ApiError::bad_request(format!("the body of the request broke off: {error}"))),
    }
}

/// 413, once the client has sent what it was about to send, or more than anybody listens to.
async fn too_large<B: HttpBody<Data = Bytes> + Unpin>(mut body: B) -> ApiError {
    let discard = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whether it ends in time changes nothing about the answer.
    let _ = timeout(DISCARDING, discard).await;
    ApiError::too_large(MAX_BYTES)
}

fn refuse_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let encoding = headers.get(CONTENT_ENCODING).map_or(&b""[..], |value| value.as_bytes());
    if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    let message = "the body of the request has a content encoding; none is accepted here";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message))
}

#[cfg(test)]
mod tests {
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    async fn length(headers: HeaderMap, bytes: usize) -> Result<usize, u16> {
        let read = read(&headers, Full::new(Bytes::from(vec![0; bytes]))).await;
        read.map(|bytes| bytes.len()).map_err(|error| error.code.as_u16())
    }

    #[tokio::test]
    async fn bodies_have_a_limit_whatever_the_headers_say() {
        assert_eq!(length(HeaderMap::new(), MAX_BYTES).await, Ok(MAX_BYTES));
        assert_eq!(length(HeaderMap::new(), MAX_BYTES + 1).await, Err(413));
        assert_eq!(length(headers(CONTENT_LENGTH, "3145729"), 0).await, Err(413));
        assert_eq!(length(headers(CONTENT_LENGTH, "5"), MAX_BYTES + 1).await, Err(413));
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_read_to_its_end_unless_it_is_far_too_long() {
        for (chunks, left) in [(2, 0), (40, 20)] {
            let mut sent = 0;
            let chunk = Bytes::from(vec![0; 1024 * 1024]);
            let rest = std::iter::repeat_n(chunk, chunks).map(|it| Ok::<_, String>(Frame::data(it)));
            let body = StreamBody::new(futures_util::stream::iter(rest.inspect(|_| sent += 1)));
            let error = read(&headers(CONTENT_LENGTH, "3145729"), body).await.unwrap_err();
            assert_eq!(error.code, 413);
            assert!(chunks - sent >= left, "{sent} of {chunks}");
            assert!(left > 0 || sent == chunks, "{sent} of {chunks}");
        }
    }

    #[tokio::test]
    async fn compressed_bodies_are_refused() {
        assert_eq!(length(headers(CONTENT_ENCODING, "gzip"), 1).await, Err(415));
        assert_eq!(length(headers(CONTENT_ENCODING, "identity"), 1).await, Ok(1));
    }
}
