//! What the short way refuses, and that it is taken.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use http_body::Frame;

use super::*;

/// A body of these parts.
struct Parts(Vec<&'static [u8]>);

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(part.map(|part| Ok(Frame::data(Bytes::from_static(part)))))
    }
}

fn read(parts: &[&'static [u8]]) -> Result<Bytes, (Code, String)> {
    let reading = pin!(one_message(Parts(parts.to_vec())));
    match reading.poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(read) => read.map_err(|status| (status.code(), status.message().to_owned())),
        Poll::Pending => unreachable!("the body is there"),
    }
}

#[test]
fn a_message_is_put_together_however_it_was_cut() {
    for parts in
        [&[&b"\0\0\0\0\x03abc"[..]][..], &[b"\0\0", b"\0\0\x03a", b"bc"], &[b"\0\0\0\0\x03", b"", b"abc"]]
    {
        assert_eq!(read(parts), Ok(Bytes::from_static(b"abc")), "{parts:?}");
    }
    assert_eq!(read(&[b"\0\0\0\0\0"]), Ok(Bytes::new()), "all fields have their defaults");
}

#[test]
fn what_is_no_message_is_refused() {
    let code = |parts| read(parts).unwrap_err().0;
    assert_eq!(code(&[]), Code::Internal);
    assert_eq!(code(&[b"\0\0\0"]), Code::Internal, "cut in the prefix");
    assert_eq!(code(&[b"\0\0\0\0\x03ab"]), Code::Internal, "cut in the message");
    assert_eq!(code(&[b"\0\0\0\0\x01ab"]), Code::Internal, "more than the message");
    assert_eq!(code(&[b"\x01\0\0\0\x01a"]), Code::Internal, "compressed");
    let (code, text) = read(&[b"\0\x7f\0\0\0a"]).unwrap_err();
    assert_eq!(code, Code::ResourceExhausted);
    assert_eq!(text, "grpc: received message larger than max (2130706432 vs. 2097152)");
}

#[test]
fn only_plain_calls_take_the_short_way() {
    let request = || Request::post("http://a/etcdserverpb.KV/Put").header("content-type", "application/grpc");
    assert!(Call::of(&request().body(()).unwrap()).is_some());
    assert!(Call::of(&request().header("grpc-encoding", "identity").body(()).unwrap()).is_some());
    assert!(Call::of(&request().header("grpc-encoding", "gzip").body(()).unwrap()).is_none());
    assert!(Call::of(&request().method(Method::GET).body(()).unwrap()).is_none());
    let other = Request::post("http://a/etcdserverpb.KV/Compact").header("content-type", "application/grpc");
    assert!(Call::of(&other.body(()).unwrap()).is_none());
}
