//! gRPC's health protocol, `grpc.health.v1.Health/Check`: one question with one string, one answer with one number.
//!
//! The messages are written by hand: there are four bytes in them that matter. Reading never fails on bytes from
//! outside.

use std::time::Duration;

use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::http::{AGENT, authority, connect};
use crate::pod::backoff::go_text;

/// More than a health answer ever needs.
const MAX_ANSWER: usize = 64 * 1024;

/// gRPC's codes that mean something here.
const OK: &str = "0";
const DEADLINE_EXCEEDED: &str = "4";
const UNIMPLEMENTED: &str = "12";

/// The status of a service.
const SERVING: u64 = 1;

/// Asks for the health of `service` (`""`: of the whole server); the text says what is wrong, in upstream's words.
pub(super) async fn ask(host: &str, port: u16, service: &str, timeout: Duration) -> Result<(), String> {
    let address = authority(host, port);
    let failed = |why: &str| {
        format!("timeout: failed to connect service {address:?} within {}: {why}", go_text(timeout))
    };
    match tokio::time::timeout(timeout, call(host, port, service)).await {
        Ok(Ok(answer)) => judge(&answer, timeout),
        Ok(Err(why)) => Err(failed(&why)),
        Err(_) => Err(failed("context deadline exceeded")),
    }
}

struct Answer {
    code: String,
    message: String,
    body: Bytes,
}

async fn call(host: &str, port: u16, service: &str) -> Result<Answer, String> {
    let text = |error: hyper::Error| error.to_string();
    let stream = connect(host, port).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(text)?;
    let request = Request::post(format!("http://{}/grpc.health.v1.Health/Check", authority(host, port)))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(Full::new(Bytes::from(question(service))))
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(text)?;
        let (head, body) = response.into_parts();
        let whole = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        let trailers = whole.trailers().cloned().unwrap_or_default();
        let field = |name| value(&trailers, name).or_else(|| value(&head.headers, name)).unwrap_or_default();
        Ok(Answer { code: field("grpc-status"), message: field("grpc-message"), body: whole.to_bytes() })
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        done = &mut exchange => done,
        _ = &mut connection => exchange.await,
    }
}

fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn judge(answer: &Answer, timeout: Duration) -> Result<(), String> {
    let Answer { code, message, body } = answer;
    match code.as_str() {
        OK => match status(body) {
            SERVING => Ok(()),
            other => Err(format!("service unhealthy (responded with {:?})", word(other))),
        },
        UNIMPLEMENTED => Err(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
        )),
        DEADLINE_EXCEEDED => Err(format!("timeout: health rpc did not complete within {}", go_text(timeout))),
        _ => Err(format!("error: health rpc probe failed: rpc error: code = {code} desc = {message}")),
    }
}

fn word(status: u64) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => other.to_string(),
    }
}

/// A gRPC frame with field 1, a string.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or(0));
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend(message);
    frame
}

/// Field 1, a number, of the message in a gRPC frame; 0 if it is not there.
fn status(frame: &[u8]) -> u64 {
    let mut bytes = frame.iter().copied().skip(5);
    match bytes.next() {
        Some(0x08) => {}
        Some(_) | None => return 0,
    }
    let mut number = 0;
    for (place, byte) in bytes.take(9).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_is_a_frame_with_the_services_name() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("a"), [0, 0, 0, 0, 3, 0x0a, 1, b'a']);
        let long = "x".repeat(300);
        assert_eq!(question(&long)[5..8], [0x0a, 0xac, 0x02]);
    }

    #[test]
    fn answers_are_judged_in_upstreams_words() {
        let judged = |code: &str, body: &[u8]| {
            let answer =
                Answer { code: code.into(), message: "m".into(), body: Bytes::copy_from_slice(body) };
            judge(&answer, Duration::from_secs(1))
        };
        assert_eq!(judged("0", &[0, 0, 0, 0, 2, 8, 1]), Ok(()));
        let text = "service unhealthy (responded with \"NOT_SERVING\")";
        assert_eq!(judged("0", &[0, 0, 0, 0, 2, 8, 2]), Err(text.into()));
        assert!(judged("0", &[]).unwrap_err().contains("UNKNOWN"));
        assert!(judged("12", &[]).unwrap_err().ends_with("(grpc.health.v1.Health): m"));
        assert_eq!(judged("4", &[]), Err("timeout: health rpc did not complete within 1s".into()));
        assert!(judged("", &[]).is_err());
    }

    #[tokio::test]
    async fn who_does_not_listen_is_not_well() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = ask("127.0.0.1", port, "", Duration::from_secs(1)).await.unwrap_err();
        let expected = format!("timeout: failed to connect service \"127.0.0.1:{port}\" within 1s: dial tcp");
        assert!(error.starts_with(&expected), "{error}");
    }

    proptest! {
        #[test]
        fn no_answer_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = status(&bytes);
        }
    }
}
