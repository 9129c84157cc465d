//! Counts gRPC's messages in a body that passes by.
//!
//! In: a request's or a response's body. Out: the same body. Nothing is held up or copied: a message is counted when its
//! last byte has passed.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::calls::MethodCalls;

/// A message's frame: whether it is compressed, and its length.
const PREFIX: usize = 5;

pin_project! {
    /// A body whose messages are counted.
    pub(in crate::grpc) struct Messages<B> {
        #[pin]
        body: B,
        // `None`: it has none, or nobody wants to know.
        counter: Option<Arc<MethodCalls>>,
        count: fn(&MethodCalls, u64),
        place: Place,
    }
}

/// Where in a message a body is.
#[derive(Debug, Default)]
struct Place {
    prefix: [u8; PREFIX],
    /// How much of the prefix has passed.
    seen: usize,
    /// How much of the message is still to pass.
    left: usize,
}

impl<B> Messages<B> {
    /// Of a request.
    pub(super) fn received(body: B, counter: Option<Arc<MethodCalls>>) -> Self {
        Self { body, counter, count: MethodCalls::received, place: Place::default() }
    }

    /// Of a response.
    pub(super) fn sent(body: B, counter: Option<Arc<MethodCalls>>) -> Self {
        Self { body, counter, count: MethodCalls::sent, place: Place::default() }
    }
}

impl Place {
    /// How many messages end in what passes.
    fn pass(&mut self, mut bytes: &[u8]) -> u64 {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.left == 0 && self.seen < PREFIX {
                let taken = bytes.len().min(PREFIX - self.seen);
                self.prefix[self.seen..self.seen + taken].copy_from_slice(&bytes[..taken]);
                self.seen += taken;
                bytes = &bytes[taken..];
                let [_, length @ ..] = self.prefix;
                self.left = if self.seen == PREFIX { u32::from_be_bytes(length) as usize } else { 0 };
            }
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.seen == PREFIX && self.left == 0 {
                self.seen = 0;
                ended += 1;
            }
        }
        ended
    }
}

impl<B: Body<Data = Bytes>> Body for Messages<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(counter)) = (&polled, this.counter)
            && let Some(data) = frame.data_ref()
        {
            (this.count)(counter, this.place.pass(data));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_wherever_a_body_is_cut() {
        // Three bytes, none, and one that is compressed.
        let body = [&[0, 0, 0, 0, 3, 7, 7, 7][..], &[0, 0, 0, 0, 0], &[1, 0, 0, 0, 1, 9]].concat();
        for cut in 0..=body.len() {
            let mut place = Place::default();
            let (first, second) = body.split_at(cut);
            assert_eq!(place.pass(first) + place.pass(second), 3, "cut at {cut}");
        }
        let mut place = Place::default();
        let ends: Vec<_> = body.iter().map(|byte| place.pass(&[*byte])).collect();
        assert_eq!(ends.iter().sum::<u64>(), 3);
        assert_eq!((ends[7], ends[12], ends[18]), (1, 1, 1));
    }
}
