//! Pods that wait for events, by the time of their last attempt; and how many wait for each plugin, because most events
//! are of interest to nobody.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Ordered, QueuedPod, WaitsFor};
use crate::framework::PluginSet;
use crate::pod_info::{PodInfo, Uid};

/// See the module.
#[derive(Debug)]
pub(super) struct Parked {
    pods: Ordered<Instant>,
    /// By plugin.
    waiting: Vec<usize>,
    /// Those that do not wait for plugins.
    others: usize,
}

impl Parked {
    pub(super) fn new() -> Self {
        Self { pods: Ordered::new(), waiting: Vec::new(), others: 0 }
    }

    pub(super) fn insert(&mut self, pod: QueuedPod) {
        self.count(pod.waits_for, |count| *count += 1);
        self.pods.insert(pod.since, pod);
    }

    pub(super) fn remove(&mut self, uid: &Uid) -> Option<QueuedPod> {
        let pod = self.pods.remove(uid)?;
        self.count(pod.waits_for, |count| *count -= 1);
        Some(pod)
    }

    pub(super) fn pop(&mut self) -> Option<QueuedPod> {
        let pod = self.pods.pop()?;
        self.count(pod.waits_for, |count| *count -= 1);
        Some(pod)
    }

    /// Takes in a newer version of a pod that is here.
    pub(super) fn renew(&mut self, info: Arc<PodInfo>) {
        if let Some(pod) = self.pods.get_mut(&info.uid) {
            pod.info = info;
        }
    }

    pub(super) fn get(&self, uid: &Uid) -> Option<&QueuedPod> {
        self.pods.get(uid)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &QueuedPod> {
        self.pods.iter()
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.pods.first_key()
    }

    /// Whether anybody here may wait for one of these plugins.
    pub(super) fn any_waits_for(&self, plugins: PluginSet) -> bool {
        self.others > 0
            || plugins.iter().any(|plugin| self.waiting.get(plugin.index()).is_some_and(|n| *n > 0))
    }

    fn count(&mut self, waits_for: WaitsFor, change: fn(&mut usize)) {
        match waits_for {
            WaitsFor::Time | WaitsFor::AnyNode => change(&mut self.others),
            WaitsFor::Plugins(plugins) => {
                for plugin in plugins.iter() {
                    if self.waiting.len() <= plugin.index() {
                        self.waiting.resize(plugin.index() + 1, 0);
                    }
                    change(&mut self.waiting[plugin.index()]);
                }
            }
        }
    }
}
