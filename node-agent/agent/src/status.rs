//! What the API is told about a pod.
//!
//! In: the object, what the runtime has, what the probes say, why starts failed, which state the pod is in. Out: the
//! part of its status that a node owns. Pure; [`writer`] brings it to the API, in the form that [`patch`] makes.

pub(crate) mod compute;
mod conditions;
mod containers;
pub(crate) mod patch;
mod phase;
pub(crate) mod writer;

pub(crate) use compute::{Input, compute};
pub(crate) use conditions::{PendingSize, has_same_foreign_conditions};
pub(crate) use containers::{Trouble, Troubles};
