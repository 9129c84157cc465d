//! The short way for the calls that most calls are: puts, reads and transactions.
//!
//! In: HTTP requests. Out: what the same handlers answer as on the long way. Between HTTP and a handler there is only
//! what gRPC asks of a call with one message each way; the layers of routing and of streams that others need cost as
//! much as everything else that happens to such a call outside of HTTP (measured).
//!
//! Whatever is unusual (compression, another method) takes the long way.

use std::{future::Future, sync::Arc};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, header, request::Parts};
use http_body::Body;
use prost::Message;
use tonic::{Code, Status, metadata::MetadataMap};

use super::{
    Front, MAX_MESSAGE_BYTES, error,
    http::{Calls, Handling, MethodCalls},
    identity::{CertificateName, Credentials},
    reply::Reply,
};

/// A message's frame: whether it is compressed, and its length.
const PREFIX: usize = 5;
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The short way.
pub(super) struct Express {
    front: Front,
    put: Counter,
    range: Counter,
    txn: Counter,
}

type Counter = Arc<MethodCalls>;

/// Which handler a request is for.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Put,
    Range,
    Txn,
}

impl Express {
    pub(super) fn new(front: Front, calls: &Calls) -> Self {
        let counter = |path| calls.known(path);
        let (put, range, txn) = (counter(Call::PUT), counter(Call::RANGE), counter(Call::TXN));
        Self { front, put, range, txn }
    }

    fn counter(&self, call: Call) -> &Counter {
        match call {
            Call::Put => &self.put,
            Call::Range => &self.range,
            Call::Txn => &self.txn,
        }
    }

    pub(super) async fn answer<B, R>(
        &self,
        call: Call,
        certificate: &CertificateName,
        request: Request<B>,
    ) -> Response<Reply<R>>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let (counter, front) = (self.counter(call), &self.front);
        let handling = Handling::begin(&**counter);
        let (Parts { headers, .. }, body) = request.into_parts();
        let who = Credentials::new(MetadataMap::from_headers(headers), certificate.clone());
        let answered = match call {
            Call::Put => unary(body, counter, |put| front.answer_put(&who, put)).await,
            Call::Range => unary(body, counter, |range| front.answer_range(&who, range)).await,
            Call::Txn => unary(body, counter, |txn| front.answer_txn(&who, txn)).await,
        };
        let code = answered.as_ref().err().map_or(Code::Ok, Status::code);
        handling.end(code);
        answered.map_or_else(Status::into_http, whole)
    }
}

impl Call {
    const PUT: &str = "/etcdserverpb.KV/Put";
    const RANGE: &str = "/etcdserverpb.KV/Range";
    const TXN: &str = "/etcdserverpb.KV/Txn";

    /// `None`: the long way.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let call = match request.uri().path() {
            Self::PUT => Self::Put,
            Self::RANGE => Self::Range,
            Self::TXN => Self::Txn,
            _ => return None,
        };
        let headers = request.headers();
        let is_plain = headers.get("grpc-encoding").is_none_or(|encoding| encoding == "identity");
        let is_grpc = headers.get(header::CONTENT_TYPE).is_some_and(|kind| *kind == GRPC);
        (*request.method() == Method::POST && is_grpc && is_plain).then_some(call)
    }
}

/// Takes the one message out of a request, has it handled, and frames the answer.
async fn unary<B, Q, A, F>(
    body: B,
    counter: &MethodCalls,
    handle: impl FnOnce(Q) -> F,
) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<A, Status>>,
{
    let message = Q::decode(one_message(body).await?).map_err(|error| error::undecodable(&error))?;
    counter.received(1);
    let answer = handle(message).await?;
    counter.sent(1);
    Ok(frame(&answer))
}

/// A response with one message.
fn whole<R>(message: Bytes) -> Response<Reply<R>> {
    let mut response = Response::new(Reply::Message { message });
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

/// Reads a body that is one message.
async fn one_message<B>(body: B) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = std::pin::pin!(body);
    let mut first = Bytes::new();
    // Most messages come in one part, which is not copied.
    let mut rest = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| Status::cancelled(error.to_string()))?;
        let Ok(part) = frame.into_data() else { continue };
        if first.is_empty() {
            first = part;
        } else {
            rest.extend_from_slice(&part);
        }
        check_length(&first, rest.len())?;
    }
    let mut whole = if rest.is_empty() { first } else { [&first[..], &rest[..]].concat().into() };
    if whole.is_empty() {
        return Err(Status::internal("Missing request message."));
    }
    if whole.len() < PREFIX || whole.get_u8() != 0 || whole.get_u32() as usize != whole.len() {
        return Err(Status::internal("a call of this method is one message, which is not compressed"));
    }
    Ok(whole)
}

/// A message that is too long is refused by what it says of itself, before it is read.
fn check_length(first: &[u8], more: usize) -> Result<(), Status> {
    let said =
        first.first_chunk::<PREFIX>().map_or(0, |[_, length @ ..]| u32::from_be_bytes(*length) as usize);
    let length = said.max((first.len() + more).saturating_sub(PREFIX));
    if length > MAX_MESSAGE_BYTES {
        return Err(error::message_too_large(length, MAX_MESSAGE_BYTES));
    }
    Ok(())
}

fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("no answer is longer than 4 GiB"));
    message.encode(&mut frame).expect("the buffer has room for it");
    frame.freeze()
}

#[cfg(test)]
mod tests;
