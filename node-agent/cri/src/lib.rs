//! A container runtime, asked over CRI v1.
//!
//! In: the path of the runtime's socket, and requests. Out: [`Runtime`], one typed method per call that a node
//! agent makes, each with a deadline; and [`RuntimeError`], which keeps apart a runtime that cannot be reached,
//! one whose answer is not known, and one that refused.
//!
//! Deliberately absent: pods (the messages are the runtime's own, [`keelson_proto::cri::v1`]), retries (who asks
//! knows whether a second try is wanted), and the streams behind exec, attach and port-forward: their calls answer
//! with the URL of the runtime's streaming server.

mod containers;
mod error;
mod events;
mod images;
mod runtime;
mod sandboxes;

pub use error::{Code, RuntimeError};
pub use events::Events;
pub use runtime::Runtime;
