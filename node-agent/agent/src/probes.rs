//! Probes: whether containers have come up, live, and can serve.
//!
//! In: pods that run. Out: [`verdicts`], which feed the plan and the status. Asking is [`ask`]; judging answers by their
//! thresholds is [`judge`], pure; [`manager`] runs one task per probe.

mod ask;
mod grpc;
pub(crate) mod http;
pub(crate) mod judge;
pub(crate) mod manager;
mod tcp;
pub(crate) mod verdicts;
