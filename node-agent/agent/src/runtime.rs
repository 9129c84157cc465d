//! What the container runtime has, in the agent's words.

pub(crate) mod labels;
pub(crate) mod log_lines;
pub(crate) mod observed;
pub(crate) mod observer;
pub(crate) mod termination;
