//! A watch, and its events as they come.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::client::{Wire, object};
use crate::wait;

/// What happened, and the object as it was then.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) what: String,
    pub(crate) object: Value,
}

/// A watch that goes on until it is dropped.
pub(crate) struct Watch {
    runtime: Arc<Runtime>,
    wire: Wire,
    body: http_body_util::BodyDataStream<Body>,
    /// Bytes that came and are no whole event yet.
    pending: Vec<u8>,
    events: VecDeque<Event>,
}

impl Watch {
    pub(super) fn new(runtime: Arc<Runtime>, wire: Wire, body: Body) -> Self {
        Self { runtime, wire, body: body.into_data_stream(), pending: Vec::new(), events: VecDeque::new() }
    }

    /// The next event. Panics when none comes in time.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        while self.events.is_empty() {
            let runtime = self.runtime.clone();
            let more =
                runtime.block_on(async { tokio::time::timeout(wait::PATIENCE, self.body.next()).await });
            let bytes = more.expect("an event comes").expect("the watch goes on").unwrap();
            self.pending.extend_from_slice(&bytes);
            self.read();
        }
        self.events.pop_front().unwrap()
    }

    /// The next event's object, which must be of this sort.
    #[track_caller]
    pub(crate) fn expect(&mut self, what: &str) -> Value {
        let event = self.next();
        assert_eq!(event.what, what, "{}", event.object);
        event.object
    }

    /// Passes over events until one is of this sort and fulfils the condition.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next();
            if event.what == what && is_it(&event.object) {
                return event.object;
            }
        }
    }

    /// Whole events out of what came.
    fn read(&mut self) {
        while let Some((event, length)) = match self.wire {
            Wire::Json => line(&self.pending),
            Wire::Protobuf => frame(&self.pending),
        } {
            self.events.push_back(event);
            self.pending.drain(..length);
        }
    }
}

fn line(bytes: &[u8]) -> Option<(Event, usize)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let mut event: Value = serde_json::from_slice(&bytes[..end]).unwrap();
    let what = event["type"].as_str().unwrap().to_owned();
    Some((Event { what, object: event["object"].take() }, end + 1))
}

/// Four bytes of length; a `WatchEvent` with its type as field 1, and as field 2 the object, in a field 1 of its own.
fn frame(bytes: &[u8]) -> Option<(Event, usize)> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let event = bytes.get(4..4 + length)?;
    let (what, rest) = field(event, 1);
    let (extension, _) = field(rest, 2);
    let (raw, _) = field(extension, 1);
    let what = String::from_utf8(what.to_vec()).unwrap();
    Some((Event { what, object: object(raw) }, 4 + length))
}

/// The field at the beginning of a message, which must be of bytes and have this number; and what follows it.
fn field(message: &[u8], number: u8) -> (&[u8], &[u8]) {
    assert_eq!(message[0], number << 3 | 2);
    let mut length = 0_usize;
    let mut at = 1;
    for (index, byte) in message[1..].iter().enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    message[at..].split_at(length)
}
