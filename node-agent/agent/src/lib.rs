//! The node agent: registers a node, and makes the pods that are bound to it run.
//!
//! In: [`Options`]: a client of the API as `system:node:<name>`, the socket of a container runtime, folders. Out:
//! [`run`]: a Node that is kept true, and pods that are as the API wants them, their volumes, networks, probes and
//! statuses included. Behaviour, texts and timings are those of upstream's kubelet. [`Forwarder`] finds an API server
//! that is ready where there are several.
//!
//! Pure are: what has to be done to a pod ([`mod@pod`]), what is told of it ([`mod@status`]), what the runtime is told
//! ([`mod@config`]), whether the node takes a pod ([`mod@admission`]), what probes' answers mean, what is told of the
//! node. Acting are: workers, one per pod ([`mod@worker`]), and the parts that run beside them ([`mod@agent`]).
//!
//! Nothing that matters is remembered: after a restart everything is found again in the runtime's labels and in the API.
//!
//! Deliberately absent: static pods, eviction and image garbage collection, resizing of pods in place, device plugins,
//! user namespaces, certificates that the agent asks for itself.

#![cfg_attr(test, allow(clippy::needless_pass_by_value, reason = "tests write JSON where it is used"))]

mod admission;
mod agent;
mod cgroups;
mod cni;
mod config;
mod forwarder;
mod housekeeping;
mod images;
mod log_rotation;
mod node;
mod options;
mod pod;
mod probes;
mod quantity;
mod references;
mod registry;
mod runtime;
mod served;
mod shared;
mod source;
mod status;
mod task;
#[cfg(test)]
mod testing;
mod version;
mod worker;

pub use agent::{AgentError, run};
pub use forwarder::{BadAuthorities, Forwarder, ForwarderError};
pub use node::EvictionThresholds;
pub use options::{Heartbeat, MAX_PODS, Options, Registration, Serving};
