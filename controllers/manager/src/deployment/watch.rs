//! What a Deployment has to hear of: changes of it, of ReplicaSets that are its own or may become so, and, where it
//! waits for that, the end of their pods.
//!
//! In: changes of the caches. Out: keys in the queue.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Change, Informer, ObjectKey, WorkQueue, controller_of};

use super::bounds::is_rolling;
use super::freshness::Freshness;
use crate::claim::kin;
use crate::pod_state;

/// Who listens.
pub(super) struct Watch {
    pub(super) deployments: Informer<Deployment>,
    pub(super) sets: Informer<ReplicaSet>,
    pub(super) queue: WorkQueue<ObjectKey>,
    pub(super) freshness: Arc<Freshness>,
}

impl Watch {
    pub(super) fn deployment_changed(&self, change: &Change<Deployment>) {
        match change {
            Change::Added(deployment) | Change::Updated { new: deployment, .. } => {
                self.queue.add(ObjectKey::of(&**deployment));
            }
            // Its sets are the garbage collector's now.
            Change::Deleted(deployment) => self.freshness.forget(&ObjectKey::of(&**deployment)),
        }
    }

    pub(super) fn set_changed(&self, change: &Change<ReplicaSet>) {
        match change {
            Change::Added(set) => {
                self.freshness.saw(&set.metadata);
                self.enqueue_owner(set);
                self.set_orphaned(set);
            }
            Change::Updated { old, new } => {
                self.freshness.saw(&new.metadata);
                let changed_hands = controller_of(&old.metadata) != controller_of(&new.metadata);
                if changed_hands {
                    self.enqueue_owner(old);
                }
                self.enqueue_owner(new);
                if changed_hands || old.metadata.labels != new.metadata.labels {
                    self.set_orphaned(new);
                }
            }
            Change::Deleted(set) => {
                self.freshness.saw(&set.metadata);
                self.enqueue_owner(set);
            }
        }
    }

    /// Only a deployment that recreates its pods waits for the end of old ones.
    pub(super) fn pod_changed(&self, change: &Change<Pod>) {
        let ended = match change {
            Change::Added(_) => None,
            Change::Updated { old, new } => {
                (pod_state::is_terminal(new) && !pod_state::is_terminal(old)).then_some(new)
            }
            Change::Deleted(pod) => Some(pod),
        };
        let owner = ended
            .and_then(|pod| kin::owner_of(&self.sets, &pod.metadata))
            .and_then(|set| kin::owner_of(&self.deployments, &set.metadata));
        if let Some(deployment) = owner.filter(|deployment| !is_rolling(deployment)) {
            self.queue.add(ObjectKey::of(&*deployment));
        }
    }

    /// Tells those that may adopt the set, if it is an orphan.
    fn set_orphaned(&self, set: &ReplicaSet) {
        if controller_of(&set.metadata).is_some() || set.metadata.deletion_timestamp.is_some() {
            return;
        }
        let suitors =
            kin::suitors(&self.deployments, &set.metadata, |deployment| deployment.spec.selector.clone());
        suitors.into_iter().for_each(|key| self.queue.add(key));
    }

    fn enqueue_owner(&self, set: &ReplicaSet) {
        if let Some(deployment) = kin::owner_of(&self.deployments, &set.metadata) {
            self.queue.add(ObjectKey::of(&*deployment));
        }
    }
}
