//! Tells apart who speaks `http` and who `https`, by the first byte that they send.
//!
//! In: a connection that was just accepted or dialled. Out: an error that names both sides' schemes, where they differ;
//! and for the other side an answer that it understands so, too. Otherwise each would find the other's first bytes to be
//! nonsense, or be closed upon.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::connection::invalid;

/// What the records begin with that open a TLS connection or refuse one. No frame of peers does: it would be longer than
/// any may be.
const TLS_HANDSHAKE: u8 = 0x16;
const TLS_ALERT: u8 = 0x15;
/// A record of TLS 1.2 with one fatal alert: an unexpected message.
const UNEXPECTED_MESSAGE: [u8; 7] = [TLS_ALERT, 3, 3, 0, 2, 2, 10];
/// What a side that expects TLS is sure to take for none.
const NO_TLS: &[u8] = b"http\r\n";
/// How much of a stranger's words is taken up before it is answered: what is left unread would reset the connection, and
/// the answer with it.
const FIRST_WORDS: usize = 4096;

/// Lets a connection pass that speaks TLS exactly where this side does.
pub(super) async fn check(stream: &mut TcpStream, is_secure: bool) -> io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 || (first[0] == TLS_HANDSHAKE) == is_secure {
        return Ok(());
    }
    let answer = if is_secure { &UNEXPECTED_MESSAGE[..] } else { NO_TLS };
    let mut words = [0; FIRST_WORDS];
    let _read = stream.read(&mut words).await?;
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    Err(invalid(if is_secure {
        "the other side speaks no TLS, and this member's peer URL is https: both need the same scheme"
    } else {
        "the other side speaks TLS, and this member's peer URL is http: both need the same scheme"
    }))
}

/// Whether the first bytes of an answer are those of a side that speaks TLS; none where there is only plain text.
pub(super) fn is_tls(first: &[u8]) -> bool {
    matches!(first, [TLS_ALERT | TLS_HANDSHAKE, 3, ..])
}

/// What was dialled with `http` and speaks TLS.
pub(super) fn dialled_plainly() -> io::Error {
    invalid("the peer speaks TLS, and was dialled with http: its peer URL is https")
}

/// Says it where a TLS handshake failed because the other side does not speak TLS at all.
pub(super) fn dialled_securely(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
            invalid("the peer speaks no TLS, and was dialled with https: its peer URL is http")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What is said to somebody who begins with `words`, and whether it is let in.
    async fn answered(words: &[u8], is_secure: bool) -> (io::Result<()>, Vec<u8>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut dialling = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        dialling.write_all(words).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        let checked = check(&mut accepted, is_secure).await;
        drop(accepted);
        let mut heard = Vec::new();
        // What was not read resets a connection that is let in and dropped.
        let _ = dialling.read_to_end(&mut heard).await;
        (checked, heard)
    }

    #[tokio::test]
    async fn the_other_scheme_is_named_and_answered_in_its_own_words() {
        let (checked, heard) = answered(&[0, 0, 0, 9], true).await;
        assert!(checked.unwrap_err().to_string().contains("speaks no TLS"));
        assert!(is_tls(&heard) && heard == UNEXPECTED_MESSAGE);
        let (checked, heard) = answered(&[TLS_HANDSHAKE, 3, 1, 2], false).await;
        assert!(checked.unwrap_err().to_string().contains("speaks TLS"));
        assert!(!is_tls(&heard) && heard == NO_TLS);
    }

    #[test]
    fn only_an_answer_that_is_no_tls_at_all_is_taken_for_plain_text() {
        let failed = |cause: rustls::Error| dialled_securely(invalid(cause)).to_string();
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert!(failed(plain).contains("speaks no TLS, and was dialled with https"));
        let foreign = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert!(failed(foreign).contains("UnknownIssuer"));
    }

    #[tokio::test]
    async fn the_same_scheme_is_let_in_unanswered() {
        for (words, is_secure) in [([0, 0, 0, 9], false), ([TLS_HANDSHAKE, 3, 1, 2], true)] {
            let (checked, heard) = answered(&words, is_secure).await;
            assert!(checked.is_ok() && heard.is_empty());
        }
    }
}
