//! Waiting pods in an order, that can also be found by name.

use std::collections::{BTreeMap, HashMap};

use super::QueuedPod;
use crate::pod_info::Uid;

/// Pods by a key; among equals the one that came first is first.
#[derive(Debug)]
pub(super) struct Ordered<K> {
    pods: BTreeMap<(K, u64), QueuedPod>,
    keys: HashMap<Uid, (K, u64)>,
    arrivals: u64,
}

impl<K: Ord + Copy> Ordered<K> {
    pub(super) fn new() -> Self {
        Self { pods: BTreeMap::new(), keys: HashMap::new(), arrivals: 0 }
    }

    pub(super) fn insert(&mut self, key: K, pod: QueuedPod) {
        let uid = pod.info.uid.clone();
        self.arrivals += 1;
        let place = (key, self.arrivals);
        self.pods.insert(place, pod);
        let before = self.keys.insert(uid, place);
        debug_assert!(before.is_none(), "a pod waits in one place");
    }

    pub(super) fn get(&self, uid: &Uid) -> Option<&QueuedPod> {
        self.pods.get(self.keys.get(uid)?)
    }

    pub(super) fn get_mut(&mut self, uid: &Uid) -> Option<&mut QueuedPod> {
        self.pods.get_mut(self.keys.get(uid)?)
    }

    pub(super) fn remove(&mut self, uid: &Uid) -> Option<QueuedPod> {
        self.pods.remove(&self.keys.remove(uid)?)
    }

    pub(super) fn first_key(&self) -> Option<K> {
        self.pods.first_key_value().map(|((key, _), _)| *key)
    }

    pub(super) fn pop(&mut self) -> Option<QueuedPod> {
        let (_, pod) = self.pods.pop_first()?;
        self.keys.remove(&pod.info.uid);
        Some(pod)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &QueuedPod> {
        self.pods.values()
    }
}
