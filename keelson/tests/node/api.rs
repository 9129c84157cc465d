//! Objects as the servers hold them, without the cost of a kubectl for every look.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::Value;

use crate::following::Following;
use crate::kubectl::Kubectl;
use crate::wait;

/// `kubectl proxy` at a socket, which is a file: so it is reached from outside of its network namespace.
pub(crate) struct Api {
    socket: PathBuf,
    /// Only kept until the end. Threads that share the rest leave it alone.
    _proxy: Mutex<Following>,
}

impl Api {
    /// As the administrator, at whichever server is alive.
    pub(crate) fn start(kubectl: &Kubectl, socket: PathBuf) -> Self {
        let flag = format!("--unix-socket={}", socket.display());
        let proxy = Following::start(kubectl, &["proxy", &flag]);
        Self { socket, _proxy: Mutex::new(proxy) }
    }

    /// What is found at a path, or what there is instead.
    pub(crate) fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.ask(path).map_err(|error| format!("{path}: {error}"))?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{path}: {answer}"))?;
        if head.split(' ').nth(1) == Some("200") {
            serde_json::from_str(body).map_err(|error| format!("{path}: {error}: {body}"))
        } else {
            Err(format!("{path}: {answer}"))
        }
    }

    /// In HTTP/1.0, which knows no chunks and ends with the connection.
    fn ask(&self, path: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(wait::PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
