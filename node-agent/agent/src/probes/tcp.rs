//! Whether a container takes connections.

use std::time::Duration;

use super::http::{authority, connect};

/// Connects and hangs up; the text says why not, in Go's words.
pub(super) async fn ask(host: &str, port: u16, timeout: Duration) -> Result<(), String> {
    match tokio::time::timeout(timeout, connect(host, port)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(format!("dial tcp {}: i/o timeout", authority(host, port))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn who_listens_is_well_and_who_does_not_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(ask("127.0.0.1", port, Duration::from_secs(5)).await, Ok(()));
        drop(listener);
        let expected = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
        assert_eq!(ask("127.0.0.1", port, Duration::from_secs(5)).await, Err(expected));
    }
}
