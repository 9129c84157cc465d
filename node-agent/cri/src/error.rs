//! What can go wrong between the agent and the runtime, and what it says about the work that was asked for.
//!
//! In: the status of a call. Out: [`RuntimeError`]. Whether a call was carried out is decided here once: only a
//! call that never left, and one that the runtime answered with an error, are known not to have been.

use std::error::Error;
use std::time::Duration;

pub use tonic::Code;
use tonic::transport::Error as TransportError;
use tonic::{ConnectError, Status, TimeoutExpired};

/// What containerd says to every call while it reads back the state of its containers. The code is `Unknown`.
const NOT_INITIALIZED: &str = "server is not initialized yet";

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// Nobody answers at the socket, or the runtime is still starting. Nothing was done; try again later.
    #[error("the container runtime at {endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// The path of the socket.
        endpoint: String,
        /// What the attempt ended with.
        reason: String,
    },
    /// The connection broke before the answer came. Whether the call was carried out is not known: look before
    /// asking again.
    #[error("the container runtime at {endpoint} went away during {call}: {reason}")]
    Interrupted {
        /// The path of the socket.
        endpoint: String,
        /// The name of the call.
        call: &'static str,
        /// What the connection ended with.
        reason: String,
    },
    /// There was no answer in time, or the runtime itself said that the time had run out. Whether the call was
    /// carried out is not known.
    #[error("rpc error: code = DeadlineExceeded desc = {reason}")]
    TimedOut {
        /// The name of the call.
        call: &'static str,
        /// The runtime's words, or how long was waited.
        reason: String,
    },
    /// The runtime answered with an error: it did not do what was asked.
    #[error("rpc error: code = {code:?} desc = {description}")]
    Refused {
        /// The error's kind.
        code: Code,
        /// The runtime's words.
        description: String,
    },
}

impl RuntimeError {
    /// What the status of `call` means.
    pub(crate) fn of(endpoint: &str, call: &'static str, status: &Status) -> Self {
        let description = status.message().to_owned();
        match origin(status) {
            Origin::NeverLeft => {
                Self::Unreachable { endpoint: endpoint.to_owned(), reason: innermost(status) }
            }
            Origin::Deadline => Self::TimedOut { call, reason: description },
            Origin::Connection => {
                Self::Interrupted { endpoint: endpoint.to_owned(), call, reason: innermost(status) }
            }
            Origin::Runtime if description == NOT_INITIALIZED => {
                Self::Unreachable { endpoint: endpoint.to_owned(), reason: description }
            }
            Origin::Runtime if status.code() == Code::DeadlineExceeded => {
                Self::TimedOut { call, reason: description }
            }
            Origin::Runtime => Self::Refused { code: status.code(), description },
        }
    }

    /// `call` was given up after `waited`.
    pub(crate) fn no_answer(call: &'static str, waited: Duration) -> Self {
        Self::TimedOut { call, reason: format!("no answer to {call} within {} s", waited.as_secs_f32()) }
    }

    /// The words of the runtime alone, without the kind of the error: what events and statuses show.
    pub fn description(&self) -> String {
        match self {
            Self::Refused { description, .. } | Self::TimedOut { reason: description, .. } => {
                description.clone()
            }
            Self::Unreachable { .. } | Self::Interrupted { .. } => self.to_string(),
        }
    }

    /// Whether the runtime does not know the object of the call.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(Code::NotFound)
    }

    /// Whether the runtime does not know the call: it is older than the call.
    pub fn is_unimplemented(&self) -> bool {
        self.code() == Some(Code::Unimplemented)
    }

    /// Whether the call did not reach a runtime that works: it was not carried out, and the node is not well.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether the call may or may not have been carried out.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Interrupted { .. } | Self::TimedOut { .. } => true,
            Self::Unreachable { .. } | Self::Refused { .. } => false,
        }
    }

    fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::TimedOut { .. } => None,
        }
    }
}

/// What has been stopped or removed when the runtime does not know the object: it is gone. Runtimes should say so
/// themselves, and some do not.
pub(crate) fn gone_is_done<T>(answer: Result<T, RuntimeError>) -> Result<(), RuntimeError> {
    match answer {
        Err(error) if !error.is_not_found() => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Who made a status.
enum Origin {
    /// The client, because there was no connection.
    NeverLeft,
    /// The client, because the time was up.
    Deadline,
    /// The client, because the connection broke.
    Connection,
    /// The runtime.
    Runtime,
}

/// A status that came over the wire has no source.
fn origin(status: &Status) -> Origin {
    let mut source = status.source();
    if source.is_none() {
        return Origin::Runtime;
    }
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return Origin::NeverLeft;
        }
        if error.is::<TimeoutExpired>() {
            return Origin::Deadline;
        }
        source = error.source();
    }
    Origin::Connection
}

/// The cause at the bottom; the layers above it say "transport error" and little else.
fn innermost(status: &Status) -> String {
    let mut reason = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        if !error.is::<TransportError>() {
            reason = error.to_string();
        }
        source = error.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_wire(code: Code, message: &str) -> RuntimeError {
        RuntimeError::of("/run/x.sock", "RunPodSandbox", &Status::new(code, message))
    }

    #[test]
    fn an_error_from_the_runtime_keeps_its_code_and_words() {
        let error = of_wire(Code::NotFound, "no such container");
        assert!(error.is_not_found() && !error.is_unknown() && !error.is_unreachable());
        assert_eq!(error.to_string(), "rpc error: code = NotFound desc = no such container");
        assert_eq!(error.description(), "no such container");
        assert!(of_wire(Code::Unimplemented, "unknown method").is_unimplemented());
    }

    #[test]
    fn what_is_gone_has_been_stopped() {
        assert_eq!(gone_is_done::<()>(Err(of_wire(Code::NotFound, "x"))), Ok(()));
        assert!(gone_is_done::<()>(Err(of_wire(Code::Unknown, "x"))).is_err());
    }

    #[test]
    fn a_runtime_that_is_starting_counts_as_unreachable() {
        assert!(of_wire(Code::Unknown, "server is not initialized yet").is_unreachable());
    }

    #[test]
    fn a_deadline_leaves_the_fate_of_the_call_open() {
        assert!(of_wire(Code::DeadlineExceeded, "context deadline exceeded").is_unknown());
        assert!(RuntimeError::no_answer("RunPodSandbox", Duration::from_secs(240)).is_unknown());
    }

    #[test]
    fn a_connection_that_was_never_made_is_told_from_one_that_broke() {
        let refused = Status::from_error(Box::new(ConnectError("connection refused".into())));
        assert!(RuntimeError::of("/run/x.sock", "Version", &refused).is_unreachable());
        let broken = Status::from_error(Box::new(std::io::Error::other("broken pipe")));
        let error = RuntimeError::of("/run/x.sock", "Version", &broken);
        assert!(error.is_unknown(), "{error}");
        assert_eq!(
            error.to_string(),
            "the container runtime at /run/x.sock went away during Version: broken pipe"
        );
    }
}
