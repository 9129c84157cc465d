//! Long answers, compressed for clients that ask for it.
//!
//! In: the headers of a request, and its answer. Out: the same answer, or the same content in gzip.
//!
//! Deliberately absent: watches and logs, whose pieces must not wait for each other; other encodings.
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters`.

use std::{collections::VecDeque, io::Write, mem};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY},
    response::Parts,
};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, StreamBody};

use crate::answer::{Body, Response};

/// Up to so many bytes compression costs more time than it saves.
const LEAST: usize = 128 << 10;

/// The fastest: clients are near.
const LEVEL: Compression = Compression::fast();

/// How many bytes are compressed at once, so that others get their turn.
const PIECE: usize = 64 << 10;

/// The answer in the encoding that the client would rather have. Waits for as much of the body as tells whether it is
/// long.
pub(crate) async fn compressed(headers: &HeaderMap, response: Response) -> Response {
    let is_short = response.body().size_hint().upper().is_some_and(|most| most <= LEAST as u64);
    if is_short || response.headers().contains_key(CONTENT_ENCODING) || !accepts_gzip(headers) {
        return response;
    }
    let (head, mut body) = response.into_parts();
    let mut begun = VecDeque::new();
    let mut length = 0;
    while length <= LEAST {
        let Some(piece) = next(&mut body).await else {
            return Response::from_parts(head, Full::new(joined(begun)).boxed_unsync());
        };
        length += piece.len();
        begun.push_back(piece);
    }
    Response::from_parts(labelled(head), Gzip::new(begun, body).into_body())
}

/// Upstream looks for the bare word, too: a client that weighs encodings gets none.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|encoding| encoding.trim() == "gzip")
}

fn labelled(mut head: Parts) -> Parts {
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    head
}

/// The next bytes of a body.
async fn next(body: &mut Body) -> Option<Bytes> {
    loop {
        let Ok(frame) = body.frame().await?;
        if let Ok(piece) = frame.into_data() {
            return Some(piece);
        }
    }
}

fn joined(pieces: VecDeque<Bytes>) -> Bytes {
    let pieces: Vec<Bytes> = pieces.into();
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([whole]) => whole,
        Err(pieces) => pieces.concat().into(),
    }
}

/// A body that is being compressed.
struct Gzip {
    /// `None` once everything has been written.
    encoder: Option<GzEncoder<Vec<u8>>>,
    waiting: VecDeque<Bytes>,
    rest: Body,
}

impl Gzip {
    fn new(begun: VecDeque<Bytes>, rest: Body) -> Self {
        Self { encoder: Some(GzEncoder::new(Vec::new(), LEVEL)), waiting: begun, rest }
    }

    fn into_body(self) -> Body {
        let pieces = futures_util::stream::unfold(self, |mut gzip| async move {
            let piece = gzip.next().await?;
            Some((Ok(Frame::data(piece)), gzip))
        });
        StreamBody::new(pieces).boxed_unsync()
    }

    /// The next compressed bytes, as soon as there are some.
    async fn next(&mut self) -> Option<Bytes> {
        const IN_MEMORY: &str = "writing to memory does not fail";
        loop {
            let Some(piece) = self.piece().await else {
                return self.encoder.take().map(|encoder| encoder.finish().expect(IN_MEMORY).into());
            };
            let encoder = self.encoder.as_mut()?;
            encoder.write_all(&piece).expect(IN_MEMORY);
            let written = mem::take(encoder.get_mut());
            if !written.is_empty() {
                return Some(written.into());
            }
        }
    }

    /// The next bytes to be compressed, not too many.
    async fn piece(&mut self) -> Option<Bytes> {
        let mut first = match self.waiting.pop_front() {
            Some(first) => first,
            None => next(&mut self.rest).await?,
        };
        let piece = first.split_to(first.len().min(PIECE));
        if !first.is_empty() {
            self.waiting.push_front(first);
        }
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use http::StatusCode;

    use super::*;
    use crate::answer;

    /// What is sent of a body, in pieces of `piece` bytes, to a client with this `Accept-Encoding`.
    async fn sent(content: &[u8], piece: usize, accepted: &str) -> (HeaderMap, Vec<u8>) {
        let pieces: Vec<Bytes> = content.chunks(piece).map(Bytes::copy_from_slice).collect();
        let mut response = answer::streamed(StatusCode::OK, answer::JSON, tokio_stream::iter(pieces));
        response.headers_mut().insert(CONTENT_LENGTH, content.len().into());
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, accepted.parse().unwrap())]);
        let (head, body) = compressed(&headers, response).await.into_parts();
        (head.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at / 100 % 251).unwrap()).collect()
    }

    #[tokio::test]
    async fn what_is_long_is_compressed_whatever_pieces_it_comes_in() {
        let content = text(LEAST + 1);
        for piece in [1000, PIECE + 1, LEAST + 1] {
            let (headers, body) = sent(&content, piece, "deflate, gzip").await;
            assert_eq!(headers[CONTENT_ENCODING], "gzip");
            assert_eq!(headers.get(CONTENT_LENGTH), None);
            assert_eq!(headers[VARY], "Accept-Encoding");
            assert!(body.len() < content.len() / 10, "{}", body.len());
            let mut plain = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            assert!(plain == content);
        }
    }

    #[tokio::test]
    async fn what_is_short_or_not_asked_for_stays_as_it_is() {
        for (length, accepted) in [(LEAST, "gzip"), (0, "gzip"), (LEAST + 1, "br"), (LEAST + 1, "gzip;q=0")] {
            let (headers, body) = sent(&text(length), 1000, accepted).await;
            assert_eq!(headers.get(CONTENT_ENCODING), None);
            assert_eq!(headers[CONTENT_LENGTH], length.to_string());
            assert!(body == text(length));
        }
    }
}
