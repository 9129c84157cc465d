//! What the runtime is told about a pod: the configurations of sandboxes and containers. Pure.
//!
//! In: the pod, and what was made for it before (environment, mounts, resolver). Out: CRI messages.

pub(crate) mod container;
pub(crate) mod resources;
pub(crate) mod sandbox;
pub(crate) mod security;
