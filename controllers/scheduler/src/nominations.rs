//! Nodes that are kept for pods until their victims there are gone.
//!
//! In: what the API says in `status.nominatedNodeName`, and what the scheduler decided meanwhile. Out: the pods that
//! each node is kept for. A pod that matters as much may take no room that another one has been promised; one that
//! matters more may.

use keelson_controller_runtime::pod::Pod;

use std::collections::HashMap;
use std::sync::Arc;

use crate::pod_info::{PodInfo, Priority, Uid};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Nominations {
    nodes: HashMap<Uid, Arc<str>>,
    pods: HashMap<Arc<str>, Vec<Arc<PodInfo>>>,
}

impl Nominations {
    /// A pod that waits, as the API has it now, and the node that the API named before. What it says counts, unless it
    /// says nothing new: the scheduler's own word may still be on its way there. Returns the node that is kept no more.
    pub(crate) fn observe(&mut self, before: Option<&str>, new: &Arc<PodInfo>) -> Option<Arc<str>> {
        let said = nominated_node(&new.pod);
        match (before, said) {
            (_, Some(node)) if before != said => self.set(new, node.into()),
            (Some(_), None) => self.clear(&new.uid),
            (_, Some(_)) | (None, None) => {
                let node = self.nodes.get(&new.uid).cloned()?;
                self.set(new, node)
            }
        }
    }

    /// Keeps the node for the pod, and no other. Returns the one that was kept before.
    pub(crate) fn set(&mut self, pod: &Arc<PodInfo>, node: Arc<str>) -> Option<Arc<str>> {
        let before = self.clear(&pod.uid).filter(|before| *before != node);
        self.pods.entry(Arc::clone(&node)).or_default().push(Arc::clone(pod));
        self.nodes.insert(pod.uid.clone(), node);
        before
    }

    /// Returns the node that was kept for the pod.
    pub(crate) fn clear(&mut self, uid: &Uid) -> Option<Arc<str>> {
        let node = self.nodes.remove(uid)?;
        if let Some(pods) = self.pods.get_mut(&node) {
            pods.retain(|pod| pod.uid != *uid);
            if pods.is_empty() {
                self.pods.remove(&node);
            }
        }
        Some(node)
    }

    /// The node that is kept for the pod.
    pub(crate) fn node_of(&self, uid: &Uid) -> Option<&Arc<str>> {
        self.nodes.get(uid)
    }

    /// The pods whose promise binds `pod` on this node.
    pub(crate) fn binding(&self, node: &str, pod: &PodInfo) -> Vec<Arc<PodInfo>> {
        if self.pods.is_empty() {
            return Vec::new();
        }
        let pods = self.pods.get(node).into_iter().flatten();
        pods.filter(|other| other.priority >= pod.priority && other.uid != pod.uid).cloned().collect()
    }

    /// Takes the node back from pods that matter less than this.
    pub(crate) fn displace(&mut self, node: &str, priority: Priority) -> Vec<Arc<PodInfo>> {
        let pods = self.pods.get(node).into_iter().flatten();
        let displaced: Vec<_> = pods.filter(|pod| pod.priority < priority).cloned().collect();
        for pod in &displaced {
            self.clear(&pod.uid);
        }
        displaced
    }
}

/// The node that the API says a pod is kept for.
pub(crate) fn nominated_node(pod: &Pod) -> Option<&str> {
    let name = pod.status.as_ref()?.nominated_node_name.as_deref()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MakePod;

    fn pod(name: &str, priority: i32) -> Arc<PodInfo> {
        MakePod::named(name).priority(priority).info()
    }

    #[test]
    fn the_schedulers_word_stands_until_the_api_says_otherwise() {
        let (mut nominations, silent) = (Nominations::default(), pod("a", 0));
        let node = |nominations: &Nominations| nominations.node_of(&silent.uid).map(ToString::to_string);
        nominations.set(&silent, "n1".into());
        nominations.observe(None, &silent);
        assert_eq!(node(&nominations).as_deref(), Some("n1"));
        let said = MakePod::named("a").nominated("n1").info();
        nominations.observe(None, &said);
        nominations.set(&said, "n2".into());
        nominations.observe(Some("n1"), &said);
        assert_eq!(node(&nominations).as_deref(), Some("n2"), "an old word is no new one");
        nominations.observe(Some("n1"), &silent);
        assert_eq!(node(&nominations), None);
        nominations.observe(None, &said);
        assert_eq!(node(&nominations).as_deref(), Some("n1"));
    }

    #[test]
    fn a_promise_binds_others_that_matter_as_much_or_less() {
        let (mut nominations, kept) = (Nominations::default(), pod("kept", 5));
        nominations.set(&kept, "n".into());
        let names = |pods: Vec<Arc<PodInfo>>| pods.iter().map(|pod| pod.key.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(nominations.binding("n", &pod("equal", 5))), ["kept"]);
        assert_eq!(names(nominations.binding("n", &pod("more", 6))), [""; 0]);
        assert_eq!(names(nominations.binding("n", &kept)), [""; 0]);
        assert_eq!(names(nominations.binding("other", &pod("less", 0))), [""; 0]);
        assert_eq!(names(nominations.displace("n", Priority(5))), [""; 0]);
        assert_eq!(names(nominations.displace("n", Priority(6))), ["kept"]);
        assert_eq!(nominations.node_of(&kept.uid), None);
    }
}
