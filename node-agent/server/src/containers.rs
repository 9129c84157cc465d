//! What the server asks the container runtime.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use keelson_proto::cri::v1 as cri;

/// A container runtime, as far as the server needs one. [`keelson_cri::Runtime`] is one.
pub trait Containers: Send + Sync + 'static {
    /// Where the log of a container is, and whether the container runs. `None` when the runtime has no such
    /// container.
    fn container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Container>, RuntimeFailure>>;

    /// The sandbox of the pod with this uid that is ready, the newest where there are several.
    fn ready_sandbox<'a>(&'a self, pod_uid: &'a str)
    -> BoxFuture<'a, Result<Option<String>, RuntimeFailure>>;

    /// What the sandboxes and their containers use.
    fn stats(&self) -> BoxFuture<'_, Result<Vec<cri::PodSandboxStats>, RuntimeFailure>>;

    /// Prepares a command in a container; the URL leads to its streams, once.
    fn exec(&self, request: cri::ExecRequest) -> BoxFuture<'_, Result<String, RuntimeFailure>>;

    /// Prepares to join the streams of a container's main process.
    fn attach(&self, request: cri::AttachRequest) -> BoxFuture<'_, Result<String, RuntimeFailure>>;

    /// Prepares connections to ports of a sandbox.
    fn port_forward(&self, request: cri::PortForwardRequest)
    -> BoxFuture<'_, Result<String, RuntimeFailure>>;
}

/// A container, as the runtime sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its log in CRI's format; the runtime may have moved the file aside and begun another.
    pub log_path: PathBuf,
    /// Whether it runs; if not, nothing more is written to the log.
    pub is_running: bool,
}

/// The runtime did not answer, or refused; the text says which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuntimeFailure(pub String);
