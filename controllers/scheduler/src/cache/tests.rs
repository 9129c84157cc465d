//! Every pod is counted once, whatever comes in which order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::testing::{MakeNode, MakePod};

fn node(name: &str) -> MakeNode {
    MakeNode::named(name).capacity("4", "8Gi")
}

fn cpu(cache: &Cache, node: &str) -> i64 {
    cache.node_named(node).map(|node| node.requested.milli_cpu).unwrap_or_default()
}

#[test]
fn an_assumed_pod_is_counted_once_when_the_informer_confirms_it() {
    let mut cache = Cache::default();
    cache.set_node(node("n").node());
    let pod = MakePod::named("p").container("1", "1Gi").info();
    cache.assume(&pod, &"n".into());
    assert_eq!(cpu(&cache, "n"), 1000);
    assert_eq!(cache.place(MakePod::named("p").container("1", "1Gi").info(), "n"), Settled::Confirmed);
    assert_eq!(cpu(&cache, "n"), 1000);
    assert!(cache.forget(&pod.uid).is_none(), "what the API says is not forgotten");
    assert_eq!(cpu(&cache, "n"), 1000);
}

#[test]
fn a_pod_that_is_bound_elsewhere_than_assumed_is_counted_there() {
    let mut cache = Cache::default();
    cache.set_node(node("n").node());
    cache.set_node(node("m").node());
    let pod = MakePod::named("p").container("1", "1Gi").info();
    cache.assume(&pod, &"n".into());
    cache.place(Arc::clone(&pod), "m");
    assert_eq!((cpu(&cache, "n"), cpu(&cache, "m")), (0, 1000));
}

#[test]
fn a_forgotten_pod_comes_back_as_it_was_seen_last() {
    let mut cache = Cache::default();
    cache.set_node(node("n").node());
    let pod = MakePod::named("p").info();
    cache.assume(&pod, &"n".into());
    let newer = MakePod::named("p").version(2).info();
    assert!(cache.renew_assumed(&newer));
    assert!(cache.forget(&pod.uid).is_some_and(|latest| Arc::ptr_eq(&latest, &newer)));
    assert!(!cache.renew_assumed(&newer), "it is not assumed any more");
}

#[test]
fn pods_are_on_their_node_however_late_it_comes() {
    let mut cache = Cache::default();
    cache.place(MakePod::named("early").container("1", "1Gi").info(), "n");
    cache.set_node(node("n").node());
    assert_eq!(cpu(&cache, "n"), 1000);
    cache.remove_node("n");
    cache.remove(&MakePod::named("early").info().uid);
    cache.place(MakePod::named("late").container("2", "1Gi").info(), "n");
    cache.set_node(node("n").node());
    assert_eq!(cpu(&cache, "n"), 2000);
    assert!(cache.strays.is_empty());
}

#[test]
fn a_newer_node_says_what_changed() {
    let mut cache = Cache::default();
    assert_eq!(cache.set_node(node("n").node()), []);
    assert_eq!(cache.set_node(node("n").node()), []);
    assert_eq!(cache.set_node(node("n").room("cpu", "5").node()), [NodeChange::Allocatable]);
    assert_eq!(cache.set_node(node("n").room("cpu", "5").unschedulable().node()), [NodeChange::Taints]);
    let all = node("n").label("a", "b").taint("t", "", "NoSchedule").node();
    assert_eq!(cache.set_node(all), [NodeChange::Allocatable, NodeChange::Labels, NodeChange::Taints]);
}

#[test]
fn sums_at_the_end_of_the_range_come_back_from_there() {
    let mut cache = Cache::default();
    cache.set_node(node("n").node());
    let huge = MakePod::named("huge").request("memory", "16Ei").info();
    cache.place(Arc::clone(&huge), "n");
    cache.place(MakePod::named("small").request("memory", "1Gi").info(), "n");
    cache.remove(&huge.uid);
    assert_eq!(cache.node_named("n").map(|node| node.requested.memory), Some(1 << 30));
}

/// What may happen to one of a few pods and nodes.
#[derive(Clone, Copy, Debug)]
enum Step {
    SetNode(usize),
    RemoveNode(usize),
    Assume(usize, usize),
    Forget(usize),
    Place(usize, usize),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (pod, node) = (0..6usize, 0..3usize);
    prop_oneof![
        node.clone().prop_map(Step::SetNode),
        node.clone().prop_map(Step::RemoveNode),
        (pod.clone(), node.clone()).prop_map(|(pod, node)| Step::Assume(pod, node)),
        pod.clone().prop_map(Step::Forget),
        (pod.clone(), node).prop_map(|(pod, node)| Step::Place(pod, node)),
        pod.prop_map(Step::Remove),
    ]
}

fn pod(at: usize) -> Arc<PodInfo> {
    let name = format!("p{at}");
    MakePod::named(&name)
        .container(&format!("{}m", 1 << at), "1Gi")
        .host_port("TCP", "", at as i32 + 1)
        .info()
}

proptest! {
    /// Each pod asks for a power of two, so a sum says exactly which pods it counts.
    #[test]
    fn every_node_counts_exactly_its_pods(steps in proptest::collection::vec(step(), 0..60)) {
        let mut cache = Cache::default();
        let mut model: BTreeMap<usize, (usize, bool)> = BTreeMap::new();
        let mut nodes = [false; 3];
        for step in steps {
            match step {
                Step::SetNode(at) => {
                    cache.set_node(node(&format!("n{at}")).node());
                    nodes[at] = true;
                }
                Step::RemoveNode(at) => {
                    cache.remove_node(&format!("n{at}"));
                    nodes[at] = false;
                }
                Step::Assume(at, to) => {
                    model.entry(at).or_insert_with(|| {
                        cache.assume(&pod(at), &format!("n{to}").into());
                        (to, true)
                    });
                }
                Step::Forget(at) => {
                    let was_assumed = model.get(&at).is_some_and(|(_, assumed)| *assumed);
                    prop_assert_eq!(cache.forget(&pod(at).uid).is_some(), was_assumed);
                    if was_assumed {
                        model.remove(&at);
                    }
                }
                Step::Place(at, to) => {
                    cache.place(pod(at), &format!("n{to}"));
                    model.insert(at, (to, false));
                }
                Step::Remove(at) => {
                    prop_assert_eq!(cache.remove(&pod(at).uid).is_some(), model.remove(&at).is_some());
                }
            }
            for (at, is_known) in nodes.iter().enumerate() {
                let info = cache.node_named(&format!("n{at}"));
                prop_assert_eq!(info.is_some(), *is_known);
                let Some(info) = info else { continue };
                let mine = || model.iter().filter(|(_, (node, _))| *node == at).map(|(pod, _)| *pod);
                prop_assert_eq!(info.requested.milli_cpu, mine().map(|pod| 1 << pod).sum::<i64>());
                prop_assert_eq!(info.pods.len(), mine().count());
                prop_assert_eq!(info.host_ports.len(), mine().count());
            }
        }
    }
}
