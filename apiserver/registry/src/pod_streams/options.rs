//! Which streams of a container, and which ports of a pod are wanted.

use super::{Query, flag};
use crate::{request::RequestInfo, status::ApiError};

/// What a request to run a command or to join a container asks: a `PodExecOptions` or `PodAttachOptions` as query
/// parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// In which container; empty where the request does not say.
    pub container: String,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
    /// Empty where a container is joined.
    command: Vec<String>,
}

impl ExecOptions {
    /// Reads a request's query.
    pub fn parse(info: &RequestInfo) -> Self {
        let words = info.query.iter().filter(|(name, _)| name == "command");
        Self {
            container: info.parameter("container").unwrap_or_default().to_owned(),
            stdin: flag(info, "stdin"),
            stdout: flag(info, "stdout"),
            stderr: flag(info, "stderr"),
            tty: flag(info, "tty"),
            command: words.map(|(_, word)| word.clone()).collect(),
        }
    }

    /// The query at the node; the words of upstream's agent are others than the API's.
    pub fn node_query(&self) -> String {
        let mut query = Query::default();
        query.add_flag("input", "1", self.stdin);
        query.add_flag("output", "1", self.stdout);
        query.add_flag("error", "1", self.stderr);
        query.add_flag("tty", "1", self.tty);
        for word in &self.command {
            query.add("command", word);
        }
        query.0
    }
}

/// Which ports a request to forward them names; those of SPDY come later, stream by stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortForwardOptions {
    ports: Vec<u16>,
}

impl PortForwardOptions {
    /// Reads a request's query.
    ///
    /// # Errors
    /// 400 for what is no port.
    pub fn parse(info: &RequestInfo) -> Result<Self, ApiError> {
        let texts = info.query.iter().filter(|(name, _)| name == "ports");
        // Several may stand in one parameter.
        let texts = texts.flat_map(|(_, text)| text.split(','));
        let port = |text: &str| {
            let port = text.parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| ApiError::bad_request(format!("{text:?} is no port: use 1 to 65535")))
        };
        Ok(Self { ports: texts.map(port).collect::<Result<_, _>>()? })
    }

    /// The query at the node.
    pub fn node_query(&self) -> String {
        let mut query = Query::default();
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        query.add_flag("port", &ports.join(","), !ports.is_empty());
        query.0
    }
}
