//! The body of an answer.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer that came on the short way or on the long one.
    #[derive(Default)]
    #[project = ReplyState]
    pub(super) enum Reply<B> {
        /// There is none: the head says what is wrong.
        #[default]
        Nothing,
        /// The one message of a call that went well; trailers that say so follow.
        Message { message: Bytes },
        /// What is behind that.
        Trailers,
        /// Whatever it is.
        Long { #[pin] body: B },
    }
}

/// The trailers of a call that went well.
pub(super) fn all_is_well() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}

impl<B: Body<Data = Bytes>> Body for Reply<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (frame, rest) = match self.as_mut().project() {
            ReplyState::Long { body } => return body.poll_frame(cx),
            ReplyState::Nothing => return Poll::Ready(None),
            ReplyState::Message { message } => (Frame::data(std::mem::take(message)), Self::Trailers),
            ReplyState::Trailers => (Frame::trailers(all_is_well()), Self::Nothing),
        };
        self.set(rest);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Message { .. } | Self::Trailers => false,
            Self::Long { body } => body.is_end_stream(),
        }
    }

    /// Where a length is known it becomes a header, which in gRPC nobody needs.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing | Self::Message { .. } | Self::Trailers => SizeHint::default(),
            Self::Long { body } => body.size_hint(),
        }
    }
}
