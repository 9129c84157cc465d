//! One version of a thing made another.
//!
//! Deliberately absent: which version is stored, which the resource table says ([`crate::resources::Storage`]).

pub mod event;
pub mod horizontal_pod_autoscaler;
