//! The Node object: what this machine is, how it fares, and that it lives.
//!
//! In: the machine, the runtime, the options. Out: the Node registered and its status kept true ([`keeper`]), and its
//! Lease renewed ([`lease`]). What is told is pure ([`status`]); [`facts`] and [`pressure`] look at the machine,
//! [`health`] at the runtime; [`thresholds`] say what counts as pressure.

pub(crate) mod conditions;
pub(crate) mod facts;
pub(crate) mod health;
pub(crate) mod keeper;
pub(crate) mod lease;
pub(crate) mod pressure;
pub(crate) mod registration;
pub(crate) mod status;
mod thresholds;

pub use thresholds::EvictionThresholds;
