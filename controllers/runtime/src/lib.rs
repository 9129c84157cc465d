//! What controllers, the scheduler and the node agent have in common as clients of the Kubernetes API.
//!
//! In: a kubeconfig file. Out: [`Connection`]s and [`Identity`]s to speak with, [`Informer`]s that know what is there,
//! [`WorkQueue`]s and [`work`]ers that bring keys to reconcilers, [`Expectations`] against stale caches, [`Election`]s
//! that make one replica lead, and an [`EventRecorder`] that tells users. Deliberately absent: any knowledge of what a
//! controller does, and of how the API server works: everything here speaks HTTP to it like any other client.

mod backoff;
mod connection;
mod election;
mod events;
mod expectations;
mod explain;
mod identity;
mod informer;
mod key;
mod metadata;
mod outline;
mod owner;
pub mod pod;
mod queue;
#[cfg(test)]
mod testing;
mod worker;

pub use backoff::Backoff;
pub use connection::{Connection, ConnectionError, TokenSource};
pub use election::{Election, Times};
pub use events::{EventRecorder, RecordedEvent, reference_to};
pub use expectations::Expectations;
pub use explain::explain;
pub use identity::{Identity, IdentityError};
pub use informer::{Change, Informer, Pool, Scope};
pub use key::ObjectKey;
pub use outline::Outline;
pub use owner::{controller_of, is_controlled_by, new_controller_ref};
pub use queue::WorkQueue;
pub use worker::{Next, Reconcile, work};
