//! Pods as the agent judges them: what a spec asks for, which state a pod is in, what has to be done next. Pure.

pub(crate) mod backoff;
pub(crate) mod hash;
pub(crate) mod plan;
pub(crate) mod qos;
pub(crate) mod spec;
pub(crate) mod state;
