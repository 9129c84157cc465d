//! SPDY/3.1, as far as a container runtime's streaming server speaks it: that is how kubelets and runtimes have carried
//! a process's streams since before WebSockets could say that one of them has ended.
//!
//! In: bytes. Out: frames, and the other way round. Pure: no sockets, no clock. What comes in is bounded: the contents
//! of a stream are handed on as they come, everything else has a limit.
//!
//! Deliberately absent: flow control. Runtimes ignore windows, as the library that all of them use does; TCP's own
//! back-pressure does the work. Also server push, priorities, settings.
//!
//! Source: the SPDY/3.1 draft; `moby/spdystream`.

mod decode;

mod encode;

mod headers;

pub(crate) use self::{
    decode::{Decoder, Frame, SpdyError},
    encode::Encoder,
};

/// A stream on a connection. Those that a client opens have odd numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub(crate) u32);

/// The version that control frames bear.
const VERSION: u16 = 3;

/// Says that a frame is the last one of its sender on the stream.
const FIN: u8 = 1;

/// The length of every frame's head.
const HEAD: usize = 8;

/// The types of control frames.
mod kind {
    pub(super) const SYN_STREAM: u16 = 1;
    pub(super) const SYN_REPLY: u16 = 2;
    pub(super) const RST_STREAM: u16 = 3;
    pub(super) const PING: u16 = 6;
    pub(super) const GOAWAY: u16 = 7;
    pub(super) const HEADERS: u16 = 8;
}

#[cfg(test)]
mod tests;
