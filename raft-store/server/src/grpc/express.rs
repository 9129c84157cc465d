//! The short way for the calls that most calls are: puts, reads and transactions.
//!
//! In: HTTP requests. Out: what the same handlers of [`Kv`] answer as on the long way. Between HTTP and a handler there is only
//! what gRPC asks of a call with one message each way; the layers of routing and of streams that others need cost as
//! much as everything else that happens to such a call outside of HTTP (measured).
//!
//! Whatever is unusual (compression, another method) takes the long way.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use keelson_proto::etcd::rpc::{RangeRequest, kv_server::Kv};
use pin_project_lite::pin_project;
use prost::Message;
use tonic::{Code, Status, metadata::MetadataMap};
use tower::{Layer, Service};

use super::{
    Front, MAX_MESSAGE_BYTES, error,
    http::{Calls, MethodCalls},
    learner,
};
use crate::runtime::clock::Instant;

/// A message's frame: whether it is compressed, and its length.
const PREFIX: usize = 5;
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Adds the short way in front of a service.
#[derive(Clone)]
pub(super) struct Express {
    front: Arc<Front>,
    put: Counter,
    range: Counter,
    txn: Counter,
}

type Counter = Arc<MethodCalls>;

/// A service with the short way in front.
#[derive(Clone)]
pub(super) struct WithExpress<S> {
    express: Express,
    long_way: S,
}

/// Which handler a request is for.
#[derive(Clone, Copy)]
enum Call {
    Put,
    Range,
    Txn,
}

impl Express {
    pub(super) fn new(front: Front, calls: &Calls) -> Self {
        let counter = |path| calls.known(path);
        let (put, range, txn) = (counter(Call::PUT), counter(Call::RANGE), counter(Call::TXN));
        Self { front: Arc::new(front), put, range, txn }
    }

    fn counter(&self, call: Call) -> &Counter {
        match call {
            Call::Put => &self.put,
            Call::Range => &self.range,
            Call::Txn => &self.txn,
        }
    }

    async fn answer<B>(self, call: Call, request: Request<B>) -> Response<Whole>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let counter = self.counter(call);
        counter.started();
        let began = Instant::now();
        let answered = match call {
            Call::Put => unary(request, counter, |put| self.front.put(put)).await,
            Call::Range => {
                unary(request, counter, |range: tonic::Request<RangeRequest>| self.front.range(range)).await
            }
            Call::Txn => unary(request, counter, |txn| self.front.txn(txn)).await,
        };
        let code = answered.as_ref().err().map_or(Code::Ok, Status::code);
        counter.handled(code, began.elapsed());
        answered.unwrap_or_else(Status::into_http)
    }
}

impl Call {
    const PUT: &str = "/etcdserverpb.KV/Put";
    const RANGE: &str = "/etcdserverpb.KV/Range";
    const TXN: &str = "/etcdserverpb.KV/Txn";

    /// `None`: the long way.
    fn of<B>(request: &Request<B>) -> Option<Self> {
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

/// Takes the one message out of a request, has it handled, and makes a response of the answer.
async fn unary<B, Q, A, F>(
    request: Request<B>,
    counter: &MethodCalls,
    handle: impl FnOnce(tonic::Request<Q>) -> F,
) -> Result<Response<Whole>, Status>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<tonic::Response<A>, Status>>,
{
    let (head, body) = request.into_parts();
    let message = Q::decode(one_message(body).await?).map_err(|error| error::undecodable(&error))?;
    counter.received(1);
    let metadata = MetadataMap::from_headers(head.headers);
    let answer = handle(tonic::Request::from_parts(metadata, head.extensions, message)).await?;
    let (metadata, message, extensions) = answer.into_parts();
    let mut response = Response::new(Whole { message: Some(frame(&message)) });
    *response.headers_mut() = metadata.into_headers();
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    *response.extensions_mut() = extensions;
    counter.sent(1);
    Ok(response)
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

/// The body of a response with one message, and the trailers that say that all is well. Empty, it is the body of
/// one that says in its head that it is not.
#[derive(Debug, Default)]
pub(super) struct Whole {
    message: Option<Bytes>,
}

pin_project! {
    /// The body of a response that came on one of both ways.
    #[project = ReplyState]
    pub(super) enum Reply<B> {
        /// The short one: the message, and whether the trailers are still to come.
        Short { message: Option<Bytes>, trailers: bool },
        /// The long one.
        Long { #[pin] body: B },
    }
}

impl<B> From<Whole> for Reply<B> {
    fn from(whole: Whole) -> Self {
        Self::Short { trailers: whole.message.is_some(), message: whole.message }
    }
}

impl<B: Body<Data = Bytes>> Body for Reply<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            ReplyState::Long { body } => body.poll_frame(cx),
            ReplyState::Short { message, trailers } => Poll::Ready(match message.take() {
                Some(message) => Some(Ok(Frame::data(message))),
                None => std::mem::take(trailers).then(|| Ok(Frame::trailers(all_is_well()))),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Short { message, trailers } => message.is_none() && !trailers,
            Self::Long { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Short { message, .. } => {
                SizeHint::with_exact(message.as_ref().map_or(0, |message| message.len() as u64))
            }
            Self::Long { body } => body.size_hint(),
        }
    }
}

fn all_is_well() -> HeaderMap {
    HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}

impl<S> Layer<S> for Express {
    type Service = WithExpress<S>;

    fn layer(&self, long_way: S) -> WithExpress<S> {
        WithExpress { express: self.clone(), long_way }
    }
}

impl<S, B, R> Service<Request<B>> for WithExpress<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    type Response = Response<Reply<R>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.long_way.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.express.front.store.is_learner() && !learner::serves(request.uri().path()) {
            let refused = error::not_for_learners().into_http::<Whole>();
            return Box::pin(async move { Ok(refused.map(Reply::from)) });
        }
        if let Some(call) = Call::of(&request) {
            let express = self.express.clone();
            return Box::pin(async move { Ok(express.answer(call, request).await.map(Reply::from)) });
        }
        let answering = self.long_way.call(request);
        Box::pin(async move { Ok(answering.await?.map(|body| Reply::Long { body })) })
    }
}

#[cfg(test)]
mod tests;
