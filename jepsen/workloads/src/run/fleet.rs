//! Who takes part in a run, and through which connections.
//!
//! In: connections to replicas. Out: pinned clients, roaming clients, one observer per replica. Deliberately absent:
//! what they do.

use std::sync::Arc;

use crate::client::Client;

/// The connections of all who take part. One [`Client`] may serve several.
pub struct Fleet {
    /// Clients that stay with one replica, each with its connection.
    pub pinned: Vec<Arc<dyn Client>>,
    /// Clients that go to the next replica after an error, each with its connections.
    pub roaming: Vec<Vec<Arc<dyn Client>>>,
    /// One connection to each replica. Through it goes a watch of everything, from the first revision to the end: of
    /// these the commit log is made. Not empty.
    pub observers: Vec<Arc<dyn Client>>,
}

impl Fleet {
    /// For each replica `pinned_each` clients that stay with it, `roaming` that roam, and an observer, all of them
    /// through the same connection. `replicas` is not empty.
    pub fn of(replicas: &[Arc<dyn Client>], pinned_each: u32, roaming: u32) -> Self {
        let pinned = (0..pinned_each).flat_map(|_| replicas.iter().cloned()).collect();
        let roaming = (0..roaming as usize).map(|number| rotated(replicas, number)).collect();
        Self { pinned, roaming, observers: replicas.to_vec() }
    }

    /// The connections of each client: those who roam after those who do not.
    pub(crate) fn clients(&self) -> Vec<Vec<Arc<dyn Client>>> {
        let pinned = self.pinned.iter().map(|connection| vec![connection.clone()]);
        pinned.chain(self.roaming.iter().cloned()).collect()
    }
}

/// All replicas, beginning with another one for each `number`.
fn rotated(replicas: &[Arc<dyn Client>], number: usize) -> Vec<Arc<dyn Client>> {
    let mut rotated = replicas.to_vec();
    rotated.rotate_left(number % replicas.len());
    rotated
}
