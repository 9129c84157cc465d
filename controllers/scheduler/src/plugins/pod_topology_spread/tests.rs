//! Spreading, by the kept counts and by a look at every pod.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::cache::NodeInfo;
use crate::diagnosis::Reasons;
use crate::framework::WhatIf;
use crate::testing::{Cluster, MakeNode, MakePod, name_term, spread};

const WEB: &[(&str, &str)] = &[("app", "web")];

fn web(name: &str) -> MakePod {
    MakePod::named(name).labels(WEB)
}

fn node(name: &str, zone: &str) -> MakeNode {
    let node = MakeNode::named(name).label("kubernetes.io/hostname", name);
    match zone {
        "" => node,
        zone => node.label("zone", zone).label("topology.kubernetes.io/zone", zone),
    }
}

/// Three nodes in two zones.
fn nodes() -> [MakeNode; 3] {
    [node("a1", "a"), node("a2", "a"), node("b1", "b")]
}

/// A cluster with so many web pods on each of the three nodes.
fn cluster(pods: [usize; 3]) -> Cluster {
    let mut cluster = Cluster::new(nodes());
    for (name, count) in ["a1", "a2", "b1"].iter().zip(pods) {
        (0..count).for_each(|at| cluster.pod(web(&format!("{name}-{at}")).node(name)));
    }
    cluster
}

/// The nodes that the pod may go to.
fn allowed(cluster: &mut Cluster, pod: MakePod) -> Vec<String> {
    let pod = pod.info();
    PodTopologySpread.prepare(&pod, &mut cluster.core.cache);
    cluster.core.cache.refresh();
    let cache = &cluster.core.cache;
    let PreFiltered::Filter(filter) = PodTopologySpread.pre_filter(&pod, cache) else {
        panic!("it has constraints")
    };
    let pass = |slot: &&NodeSlot| {
        filter.filter(cache.node(**slot), &WhatIf::default(), &mut Reasons::default()).is_ok()
    };
    let mut names: Vec<_> =
        cache.order().iter().filter(pass).map(|slot| cache.node(*slot).name.to_string()).collect();
    names.sort();
    names
}

fn hard(key: &str, max_skew: i32) -> k8s_openapi::api::core::v1::TopologySpreadConstraint {
    spread(key, max_skew, "DoNotSchedule", WEB)
}

#[test]
fn no_place_gets_too_far_ahead_of_the_emptiest() {
    assert_eq!(allowed(&mut cluster([1, 1, 1]), web("p").spreads(hard("zone", 1))), ["b1"]);
    assert_eq!(allowed(&mut cluster([1, 0, 1]), web("p").spreads(hard("zone", 1))), ["a1", "a2", "b1"]);
    assert_eq!(allowed(&mut cluster([1, 1, 0]), web("p").spreads(hard("zone", 2))), ["b1"]);
    assert_eq!(allowed(&mut cluster([1, 1, 1]), web("p").spreads(hard("zone", 2))), ["a1", "a2", "b1"]);
    let both = web("p").spreads(hard("zone", 1)).spreads(hard("kubernetes.io/hostname", 1));
    assert_eq!(allowed(&mut cluster([1, 0, 1]), both), ["a2"]);
}

#[test]
fn a_pod_that_is_none_of_those_that_count_does_not_count_itself() {
    let other = MakePod::named("p").labels(&[("app", "other")]).spreads(hard("zone", 1));
    assert_eq!(allowed(&mut cluster([1, 0, 0]), other), ["a1", "a2", "b1"]);
}

#[test]
fn too_few_places_count_as_one_that_is_empty() {
    let mut constraint = hard("zone", 1);
    constraint.min_domains = Some(3);
    assert_eq!(allowed(&mut cluster([1, 0, 1]), web("p").spreads(constraint)), [""; 0]);
}

#[test]
fn pods_on_their_way_out_and_in_other_namespaces_do_not_count() {
    let mut cluster = cluster([0, 0, 1]);
    cluster.pod(web("leaving").node("a1").deleted());
    cluster.pod(web("foreign").namespace("other").node("a1"));
    assert_eq!(allowed(&mut cluster, web("p").spreads(hard("zone", 1))), ["a1", "a2"]);
}

#[test]
fn nodes_that_affinity_or_taints_exclude_count_as_the_policies_say() {
    let not_b = |pod: MakePod| pod.requires(&[name_term("NotIn", &["b1"])]);
    assert_eq!(
        allowed(&mut cluster([1, 1, 0]), not_b(web("p")).spreads(hard("zone", 1))),
        ["a1", "a2", "b1"]
    );
    let mut ignoring = hard("zone", 1);
    ignoring.node_affinity_policy = Some("Ignore".into());
    assert_eq!(allowed(&mut cluster([1, 1, 0]), not_b(web("p")).spreads(ignoring)), ["b1"]);

    let tainted = || {
        let mut cluster = cluster([1, 1, 0]);
        cluster.node(node("b1", "b").taint("k", "", "NoSchedule"));
        cluster
    };
    assert_eq!(allowed(&mut tainted(), web("p").spreads(hard("zone", 1))), ["b1"]);
    let mut honoring = hard("zone", 1);
    honoring.node_taints_policy = Some("Honor".into());
    assert_eq!(allowed(&mut tainted(), web("p").spreads(honoring)), ["a1", "a2", "b1"]);
}

#[test]
fn messages_are_upstreams() {
    let mut cluster = cluster([1, 1, 0]);
    cluster.node(MakeNode::named("nowhere"));
    cluster.node(node("b1", "b").unschedulable());
    cluster.pod(web("p").spreads(hard("zone", 1)));
    let message = cluster.turn();
    let expected = "p: 0/4 nodes are available: \
        1 node(s) didn't match pod topology spread constraints (missing required label), \
        1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints. ";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_victim_that_leaves_makes_its_place_emptier() {
    let mut cluster = cluster([1, 1, 1]);
    cluster.node(node("b1", "b").unschedulable());
    cluster.pod(web("p").priority(9).spreads(hard("zone", 1)));
    let Some(crate::cycle::Attempt::Failed(failure)) = cluster.attempt() else { panic!("it fits nowhere") };
    let crate::framework::Nomination::For(preemption) = failure.nomination else {
        panic!("{}", failure.message)
    };
    assert_eq!(preemption.victims.len(), 1, "with one less in zone a, there is room for one");
}

/// Normalized scores of a1, a2 and b1.
fn scores(cluster: &mut Cluster, pod: MakePod) -> Vec<i64> {
    let pod = pod.info();
    PodTopologySpread.prepare(&pod, &mut cluster.core.cache);
    cluster.core.cache.refresh();
    let cache = &cluster.core.cache;
    let scorer = PodTopologySpread.pre_score(&pod, cache, cache.order()).expect("it has wishes");
    let names = ["a1", "a2", "b1"].iter().filter_map(|name| cache.node_named(name));
    let mut scores: Vec<_> = names.map(|node| scorer.score(node)).collect();
    scorer.normalize(&mut scores);
    scores
}

#[test]
fn places_with_fewer_pods_are_nicer() {
    let wish = |key| web("p").spreads(spread(key, 1, "ScheduleAnyway", WEB));
    // Three pods in zone a, one in zone b: 3 ln 4 and ln 4, rounded.
    assert_eq!(scores(&mut cluster([2, 1, 1]), wish("zone")), [25, 25, 100]);
    assert_eq!(scores(&mut cluster([2, 1, 0]), wish("kubernetes.io/hostname")), [0, 33, 100]);
    assert_eq!(scores(&mut cluster([0, 0, 0]), wish("zone")), [100, 100, 100]);
    let mut unlabelled = cluster([2, 1, 1]);
    unlabelled.node(MakeNode::named("a1").label("kubernetes.io/hostname", "a1"));
    assert_eq!(scores(&mut unlabelled, wish("zone"))[0], 0);
    assert!(PodTopologySpread.pre_score(&web("q").info(), &unlabelled.core.cache, &[]).is_none());
}

#[test]
fn pods_of_one_owner_are_spread_though_nobody_has_asked_for_it() {
    let mut cluster = cluster([0, 0, 0]);
    cluster.pod(MakePod::named("sibling").owned_by("ReplicaSet", "rs").node("a1"));
    cluster.pod(MakePod::named("cousin").owned_by("ReplicaSet", "other").node("b1"));
    let replica = || MakePod::named("p").owned_by("ReplicaSet", "rs");
    // ln 5 + 2 and ln 4 + 4; 2 and ln 4 + 4; 2 and 4; each rounded.
    assert_eq!(scores(&mut cluster, replica()), [66, 88, 100]);
    cluster.node(MakeNode::named("b1"));
    assert_eq!(scores(&mut cluster, replica()), [0, 22, 100], "a node that says nothing is as good as any");
    assert!(MakePod::named("q").owned_by("Job", "job").info().spread().is_empty());
    let own = replica().spreads(hard("zone", 1)).info();
    assert_eq!(own.spread().len(), 1, "what a pod says itself counts instead");
}

/// Whether a node may take the pod, from the definition: counts every pod anew.
fn by_definition(cluster: &Cluster, pod: &PodInfo, node: &NodeInfo) -> bool {
    let cache = &cluster.core.cache;
    let labels = |node: &NodeInfo| node.node.metadata.labels.clone().unwrap_or_default();
    super::hard(pod).all(|constraint| {
        let Some(here) = labels(node).get(&constraint.topology_key).cloned() else { return false };
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for slot in cache.order() {
            let other = cache.node(*slot);
            let has_all = pod.spread().iter().all(|one| labels(other).contains_key(&one.topology_key));
            if let (Some(value), true) = (labels(other).get(&constraint.topology_key), has_all) {
                let matching = other.pods.iter().filter(|on| {
                    on.labels() == pod.labels()
                        && on.key.namespace == pod.key.namespace
                        && !on.is_being_deleted()
                });
                *counts.entry(value.clone()).or_default() += matching.count() as i64;
            }
        }
        let enough = counts.len() >= constraint.min_domains;
        let least = if enough { counts.values().min().copied().unwrap_or_default() } else { 0 };
        counts.get(&here).copied().unwrap_or_default() + 1 - least <= constraint.max_skew
    })
}

proptest! {
    /// Pods and nodes come and go, and the counts that were asked for early stay true.
    #[test]
    fn kept_counts_and_a_look_at_every_pod_agree(
        steps in proptest::collection::vec((0..4usize, 0..6usize, 0..3usize), 1..40),
        max_skew in 1..3i32,
        min_domains in proptest::option::of(1..4i32),
    ) {
        let mut constraint = hard("zone", max_skew);
        constraint.min_domains = min_domains;
        let pod = web("p").spreads(constraint).spreads(hard("kubernetes.io/hostname", max_skew));
        let mut cluster = Cluster::new([]);
        for (what, pod_at, node_at) in steps {
            let (name, zone) = (format!("n{node_at}"), ["a", "b", ""][(node_at + pod_at) % 3]);
            let on = MakePod::named(&format!("on-{pod_at}")).labels(if pod_at < 4 { WEB } else { &[] });
            match what {
                0 => cluster.node(node(&name, zone)),
                1 => cluster.pod(on.node(&name)),
                2 => cluster.remove_pod(&format!("on-{pod_at}")),
                _ => cluster.remove_node(node(&name, zone)),
            }
            let names = allowed(&mut cluster, pod.clone());
            let info: Arc<PodInfo> = pod.clone().info();
            let cache = &cluster.core.cache;
            let expected = cache.order().iter().map(|slot| cache.node(*slot));
            let mut expected: Vec<_> = expected
                .filter(|node| by_definition(&cluster, &info, node))
                .map(|node| node.name.to_string())
                .collect();
            expected.sort();
            prop_assert_eq!(names, expected);
        }
    }
}
