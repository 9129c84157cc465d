//! What the messages of a WebSocket mean that carries a process's streams: the first byte names the stream.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::websocket::Accepted;
use crate::{answer::Refusal, query::Query};

/// The process's input.
const STDIN: u8 = 0;

/// Its output.
pub(super) const STDOUT: u8 = 1;

/// Its error output.
pub(super) const STDERR: u8 = 2;

/// How it ended.
pub(super) const ERROR: u8 = 3;

/// The size of its terminal.
const RESIZE: u8 = 4;

/// One stream, named by the next byte, has ended.
const CLOSE: u8 = 255;

/// Which streams are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    /// Whether the process has a terminal, and so only one output.
    pub(super) tty: bool,
}

impl Wanted {
    /// Reads a query, in the words of upstream's agent.
    pub(super) fn parse(query: &Query) -> Result<Self, Refusal> {
        let tty = query.flag("tty");
        let stderr = query.flag("error") && !tty;
        let wanted = Self { stdin: query.flag("input"), stdout: query.flag("output"), stderr, tty };
        if wanted.stdin || wanted.stdout || wanted.stderr {
            Ok(wanted)
        } else {
            Err(Refusal::bad_request("you must specify at least 1 of stdin, stdout, stderr"))
        }
    }
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// How the process ended is told in words, and nothing is told where it ended well.
    V1,
    /// How it ended is a Status.
    V4,
    /// Its input can end before the connection does.
    V5,
}

impl Protocol {
    /// Agrees with a client on one.
    pub(super) fn accept(headers: &HeaderMap) -> Result<(Self, Accepted), Refusal> {
        const KNOWN: &[&str] = &["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io", ""];
        let accepted = Accepted::of(headers, KNOWN)?;
        let protocol = match accepted.protocol() {
            "v5.channel.k8s.io" => Self::V5,
            "v4.channel.k8s.io" => Self::V4,
            _ => Self::V1,
        };
        Ok((protocol, accepted))
    }

    /// How the process ended, as a message; `None` where nothing is to be said. `status` is a Status in JSON as the
    /// runtime wrote it; nothing, if the runtime has broken off.
    pub(super) fn end(self, status: &[u8]) -> Option<Bytes> {
        let broken_off = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "InternalError",
            "message": "the container runtime broke off before it said how the process ended", "code": 500,
        })
        .to_string();
        let status = if status.is_empty() { broken_off.as_bytes() } else { status };
        match self {
            Self::V4 | Self::V5 => Some(message(ERROR, status)),
            Self::V1 => in_words(status).map(|words| message(ERROR, words.as_bytes())),
        }
    }
}

fn in_words(status: &[u8]) -> Option<String> {
    let status: Value = serde_json::from_slice(status).unwrap_or_default();
    let is_success = status["status"] == "Success";
    (!is_success).then(|| status["message"].as_str().unwrap_or("the process ended badly").to_owned())
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Input of the process.
    Stdin(Bytes),
    /// The input has ended.
    StdinEnd,
    /// The terminal has another size, in JSON.
    Resize(Bytes),
    /// Nothing that means anything here.
    Nothing,
}

impl Said {
    /// Reads a message of a client.
    pub(super) fn of(protocol: Protocol, mut message: Bytes) -> Self {
        if message.is_empty() {
            return Self::Nothing;
        }
        let channel = message.split_to(1)[0];
        match channel {
            STDIN => Self::Stdin(message),
            RESIZE => Self::Resize(message),
            CLOSE if protocol == Protocol::V5 && message.first() == Some(&STDIN) => Self::StdinEnd,
            _ => Self::Nothing,
        }
    }
}

/// A message on a channel.
pub(super) fn message(channel: u8, contents: &[u8]) -> Bytes {
    let mut message = Vec::with_capacity(contents.len() + 1);
    message.push(channel);
    message.extend_from_slice(contents);
    message.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, Refusal> {
        Wanted::parse(&Query::parse(query).unwrap())
    }

    #[test]
    fn a_terminal_has_one_output() {
        let expected = Wanted { stdin: true, stdout: true, stderr: false, tty: true };
        assert_eq!(wanted("input=1&output=1&error=1&tty=1"), Ok(expected));
        assert!(wanted("error=true").unwrap().stderr);
        for nothing in ["", "tty=1", "tty=1&error=1"] {
            assert_eq!(wanted(nothing).unwrap_err().code, 400, "{nothing}");
        }
    }

    #[test]
    fn the_first_byte_names_the_stream() {
        let of = |message: &'static [u8]| Said::of(Protocol::V5, Bytes::from_static(message));
        assert_eq!(of(b"\0hi"), Said::Stdin((&b"hi"[..]).into()));
        assert_eq!(of(b"\x04{}"), Said::Resize((&b"{}"[..]).into()));
        assert_eq!(of(b"\xff\0"), Said::StdinEnd);
        for nothing in [&b""[..], b"\xff", b"\xff\x01", b"\x01x", b"\x09"] {
            assert_eq!(of(nothing), Said::Nothing, "{nothing:?}");
        }
        assert_eq!(Said::of(Protocol::V4, Bytes::from_static(b"\xff\0")), Said::Nothing);
    }

    #[test]
    fn the_end_is_a_status_or_for_old_clients_words() {
        let success = br#"{"metadata":{},"status":"Success"}"#;
        let failure =
            br#"{"metadata":{},"status":"Failure","message":"command terminated with exit code 3"}"#;
        assert_eq!(Protocol::V5.end(success).unwrap(), message(3, success));
        assert_eq!(Protocol::V4.end(failure).unwrap(), message(3, failure));
        assert_eq!(Protocol::V1.end(success), None);
        assert_eq!(Protocol::V1.end(failure).unwrap(), &b"\x03command terminated with exit code 3"[..]);
        for protocol in [Protocol::V1, Protocol::V4, Protocol::V5] {
            let end = protocol.end(b"").unwrap();
            assert!(String::from_utf8(end[1..].to_vec()).unwrap().contains("broke off"), "{protocol:?}");
        }
    }
}
