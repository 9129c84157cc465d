//! What a ReplicaSet has to hear of: changes of it and of pods that are its own or may become so.
//!
//! In: changes of the caches. Out: keys in the queue, and expectations that are fulfilled.

use std::sync::Arc;

use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Change, Expectations, Informer, ObjectKey, WorkQueue, controller_of};

use super::keeper::Keeper;
use crate::claim::kin;

/// Who listens.
pub(super) struct Watch<K: Keeper> {
    pub(super) sets: Informer<K>,
    pub(super) queue: WorkQueue<ObjectKey>,
    pub(super) expectations: Arc<Expectations>,
}

impl<K: Keeper> Watch<K> {
    pub(super) fn set_changed(&self, change: &Change<K>) {
        match change {
            Change::Added(set) | Change::Updated { new: set, .. } => self.queue.add(ObjectKey::of(&**set)),
            Change::Deleted(set) => self.expectations.forget(&ObjectKey::of(&**set)),
        }
    }

    pub(super) fn pod_changed(&self, change: &Change<Pod>) {
        match change {
            // A pod that has a deletion time will not come back: the set need not wait for its end.
            Change::Added(pod) | Change::Updated { new: pod, .. }
                if pod.metadata.deletion_timestamp.is_some() =>
            {
                self.pod_gone(pod);
            }
            Change::Added(pod) => match kin::owner_of(&self.sets, &pod.metadata) {
                Some(set) => {
                    let key = ObjectKey::of(&*set);
                    self.expectations.creation_observed(&key);
                    self.queue.add(key);
                }
                None => self.pod_orphaned(pod),
            },
            Change::Updated { old, new } => self.pod_updated(old, new),
            Change::Deleted(pod) => self.pod_gone(pod),
        }
    }

    fn pod_updated(&self, old: &Pod, new: &Pod) {
        let changed_hands = controller_of(&old.metadata) != controller_of(&new.metadata);
        if changed_hands {
            self.enqueue_owner(old);
        }
        self.enqueue_owner(new);
        if changed_hands || old.metadata.labels != new.metadata.labels {
            self.pod_orphaned(new);
        }
    }

    fn pod_gone(&self, pod: &Pod) {
        let Some(set) = kin::owner_of(&self.sets, &pod.metadata) else { return };
        let key = ObjectKey::of(&*set);
        self.expectations.deletion_observed(&key, pod.metadata.uid.as_deref().unwrap_or_default());
        self.queue.add(key);
    }

    /// Tells those that may adopt the pod, if it is an orphan.
    fn pod_orphaned(&self, pod: &Pod) {
        if controller_of(&pod.metadata).is_some() {
            return;
        }
        let suitors = kin::suitors(&self.sets, &pod.metadata, Keeper::selector);
        suitors.into_iter().for_each(|key| self.queue.add(key));
    }

    fn enqueue_owner(&self, pod: &Pod) {
        if let Some(set) = kin::owner_of(&self.sets, &pod.metadata) {
            self.queue.add(ObjectKey::of(&*set));
        }
    }
}
