//! What each plugin lets pass, and how good it finds what passes. Messages are upstream's to the letter.

use std::sync::Arc;

use crate::cache::Cache;
use crate::cluster_event::{ClusterEvent, OwnChange, PodChange};
use crate::diagnosis::{Reasons, sentence};
use crate::framework::{Obstacle, Plugin, PreFilter, PreFiltered, PreScore, WhatIf};
use crate::plugins::{
    DEFAULT, ImageLocality, NodeAffinity, NodeName, NodePorts, NodeResourcesBalancedAllocation,
    NodeResourcesFit, NodeUnschedulable, TaintToleration,
};
use crate::testing::{MakeNode, MakePod, term};

/// A cluster of these nodes and pods.
fn cache(nodes: &[MakeNode], pods: &[MakePod]) -> Cache {
    let mut cache = Cache::default();
    for node in nodes {
        cache.set_node(node.clone().node());
    }
    for pod in pods {
        let info = pod.clone().info();
        let node = info.spec().and_then(|spec| spec.node_name.clone()).expect("it names its node");
        cache.place(info, &node);
    }
    cache.refresh();
    cache
}

/// What the plugin says of the pod on a node: `ok`, or the obstacle and the reasons.
fn verdict(plugin: &dyn PreFilter, pod: MakePod, node: MakeNode, pods: &[MakePod]) -> String {
    let (cache, pod) = (cache(&[node], pods), pod.info());
    let node = cache.node(cache.order()[0]);
    let mut reasons = Reasons::default();
    let result = match plugin.pre_filter(&pod, &cache) {
        PreFiltered::Skip => Ok(()),
        PreFiltered::Filter(filter) => filter.filter(node, &WhatIf::default(), &mut reasons),
        PreFiltered::FilterOf(nodes, filter) => {
            assert_eq!(nodes, [node.slot]);
            filter.filter(node, &WhatIf::default(), &mut reasons)
        }
        PreFiltered::Reject(reason) => return format!("rejected: {reason}"),
    };
    let said = sentence(1, &reasons).replace("0/1 nodes are available:", "");
    match result {
        Ok(()) => "ok".to_owned(),
        Err(Obstacle::Unschedulable) => format!("unschedulable:{said}"),
        Err(Obstacle::Unresolvable) => format!("unresolvable:{said}"),
    }
}

/// Normalized scores of the nodes, in their order; `None` if the plugin finds them alike.
fn scores(plugin: &dyn PreScore, pod: MakePod, nodes: &[MakeNode], pods: &[MakePod]) -> Option<Vec<i64>> {
    let (cache, pod) = (cache(nodes, pods), pod.info());
    let scorer = plugin.pre_score(&pod, &cache, cache.order())?;
    let mut scores: Vec<_> = cache.order().iter().map(|slot| scorer.score(cache.node(*slot))).collect();
    scorer.normalize(&mut scores);
    Some(scores)
}

fn pod() -> MakePod {
    MakePod::named("p")
}

fn node() -> MakeNode {
    MakeNode::named("n")
}

#[test]
fn the_table_is_upstreams() {
    let rows: Vec<_> = (DEFAULT
        .at(|row| Some((row.plugin.name(), row.pre_score.map_or(0, |(_, weight)| weight)))))
    .map(|(_, row)| row)
    .collect();
    let expected = [
        ("SchedulingGates", 0),
        ("PrioritySort", 0),
        ("NodeUnschedulable", 0),
        ("NodeName", 0),
        ("TaintToleration", 3),
        ("NodeAffinity", 2),
        ("NodePorts", 0),
        ("NodeResourcesFit", 1),
        ("VolumeBinding", 0),
        ("PodTopologySpread", 2),
        ("InterPodAffinity", 2),
        ("DefaultPreemption", 0),
        ("NodeResourcesBalancedAllocation", 1),
        ("ImageLocality", 1),
        ("DefaultBinder", 0),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn cordoned_nodes_take_only_pods_that_tolerate_it() {
    let verdict = |pod, node| verdict(&NodeUnschedulable, pod, node, &[]);
    assert_eq!(verdict(pod(), node()), "ok");
    assert_eq!(verdict(pod(), node().unschedulable()), "unresolvable: 1 node(s) were unschedulable.");
    let tolerant = pod().tolerates("node.kubernetes.io/unschedulable", "", "NoSchedule");
    assert_eq!(verdict(tolerant, node().unschedulable()), "ok");
}

#[test]
fn a_node_has_the_name_that_was_asked_for() {
    let verdict = |pod| verdict(&NodeName, pod, node(), &[]);
    assert_eq!(verdict(pod()), "ok");
    assert_eq!(verdict(pod().node("n")), "ok");
    assert_eq!(verdict(pod().node("m")), "unresolvable: 1 node(s) didn't match the requested node name.");
}

#[test]
fn hard_taints_keep_pods_away_and_soft_ones_make_them_rather_go_elsewhere() {
    let tainted = |effect| node().taint("k", "v", effect);
    let untolerated = "unresolvable: 1 node(s) had untolerated taint(s).";
    let verdict = |pod, node| verdict(&TaintToleration, pod, node, &[]);
    assert_eq!(verdict(pod(), tainted("NoSchedule")), untolerated);
    assert_eq!(verdict(pod(), tainted("NoExecute")), untolerated);
    assert_eq!(verdict(pod(), tainted("PreferNoSchedule")), "ok");
    assert_eq!(verdict(pod().tolerates("k", "v", "NoSchedule"), tainted("NoSchedule")), "ok");
    let two = tainted("NoSchedule").taint("other", "", "NoExecute");
    assert_eq!(verdict(pod().tolerates("k", "v", "NoSchedule"), two), untolerated);

    let soft = |name: &str, count: usize| {
        let node = MakeNode::named(name);
        (0..count).fold(node, |node, at| node.taint(&at.to_string(), "", "PreferNoSchedule"))
    };
    let nodes = [soft("a", 0), soft("b", 1), soft("c", 2)];
    assert_eq!(scores(&TaintToleration, pod(), &nodes, &[]), Some(vec![100, 50, 0]));
    let tolerant = pod().tolerates("1", "", "");
    assert_eq!(scores(&TaintToleration, tolerant, &nodes, &[]), Some(vec![100, 0, 0]));
    assert_eq!(scores(&TaintToleration, pod().tolerates("", "", ""), &nodes, &[]), None);
}

#[test]
fn a_port_of_the_node_is_had_once() {
    let on = |port| pod().uid("on").plain_container().host_port("TCP", "", port).node("n");
    let wants = |port| pod().plain_container().host_port("TCP", "", port);
    let taken = "unschedulable: 1 node(s) didn't have free ports for the requested pod ports.";
    assert_eq!(verdict(&NodePorts, wants(80), node(), &[on(80)]), taken);
    assert_eq!(verdict(&NodePorts, wants(80), node(), &[on(81)]), "ok");
    assert_eq!(verdict(&NodePorts, pod(), node(), &[on(80)]), "ok");
}

#[test]
fn a_node_has_all_that_a_pod_asks_for_and_says_all_that_it_lacks() {
    let on = |cpu, memory| pod().uid("on").container(cpu, memory).node("n");
    let room = || node().capacity("2", "2Gi").room("example.com/gpu", "1");
    let verdict = |pod: MakePod, pods: &[MakePod]| verdict(&NodeResourcesFit, pod, room(), pods);
    assert_eq!(verdict(pod().container("2", "2Gi"), &[]), "ok");
    assert_eq!(verdict(pod().container("1500m", "1Gi"), &[on("500m", "1Gi")]), "ok");
    assert_eq!(
        verdict(pod().container("1501m", "1.1Gi"), &[on("500m", "1Gi")]),
        "unschedulable: 1 Insufficient cpu, 1 Insufficient memory."
    );
    assert_eq!(
        verdict(pod().container("3", "2Gi"), &[on("500m", "1Gi")]),
        "unresolvable: 1 Insufficient cpu, 1 Insufficient memory.",
        "the whole node does not have it"
    );
    assert_eq!(verdict(pod().request("example.com/gpu", "1"), &[]), "ok");
    assert_eq!(
        verdict(pod().request("example.com/gpu", "2"), &[]),
        "unresolvable: 1 Insufficient example.com/gpu."
    );
    assert_eq!(
        verdict(pod().request("ephemeral-storage", "1"), &[]),
        "unresolvable: 1 Insufficient ephemeral-storage."
    );
    assert_eq!(verdict(pod().container("0", "1Gi"), &[on("2", "1Gi")]), "ok", "nothing of what is used up");
}

#[test]
fn a_node_takes_as_many_pods_as_it_says() {
    let on = pod().uid("on").plain_container().node("n");
    let verdict =
        |pods: &str| verdict(&NodeResourcesFit, pod(), node().room("pods", pods), std::slice::from_ref(&on));
    assert_eq!(verdict("2"), "ok");
    assert_eq!(verdict("1"), "unschedulable: 1 Too many pods.");
}

#[test]
fn the_emptier_node_is_better() {
    let nodes = [MakeNode::named("a").capacity("4", "10000"), MakeNode::named("b").capacity("4", "10000")];
    let on = pod().uid("on").container("3", "5000").node("b");
    // a: 25 % and 100 % are left; b: nothing and 50 %.
    let scores_of = |pod| scores(&NodeResourcesFit, pod, &nodes, std::slice::from_ref(&on));
    assert_eq!(scores_of(pod().container("3", "0")), Some(vec![(25 + 100) / 2, 25]));
    let half_room = [MakeNode::named("a").room("cpu", "4")];
    assert_eq!(scores(&NodeResourcesFit, pod().container("1", "0"), &half_room, &[]), Some(vec![75]));
    assert_eq!(scores(&NodeResourcesFit, pod().container("1", "0"), &[node()], &[]), Some(vec![0]));
}

#[test]
fn a_node_whose_resources_are_used_alike_is_better() {
    let nodes = [MakeNode::named("a").capacity("4", "10000"), MakeNode::named("b").capacity("4", "10000")];
    let on = pod().uid("on").container("0", "5000").node("b");
    let scores_of = |pod| scores(&NodeResourcesBalancedAllocation, pod, &nodes, std::slice::from_ref(&on));
    assert_eq!(scores_of(pod().container("2", "0")), Some(vec![75, 100]));
    assert_eq!(scores_of(pod().plain_container()), None, "a pod that asks for nothing balances nothing");
}

#[test]
fn a_node_that_has_the_images_is_better_the_more_have_them() {
    let nodes = [
        MakeNode::named("a").image("img:latest", 500 << 20).image("rare:v1", 900 << 20),
        MakeNode::named("b").image("img:latest", 500 << 20),
        MakeNode::named("c"),
    ];
    let scores_of = |pod| scores(&ImageLocality, pod, &nodes, &[]);
    // 500 MiB on two of three nodes weigh 333 MiB.
    assert_eq!(scores_of(pod().image("img")), Some(vec![31, 31, 0]));
    assert_eq!(scores_of(pod().image("rare:v1")), Some(vec![28, 0, 0]));
    assert_eq!(scores_of(pod().image("host:5000/img")), None);
    let boast = MakeNode::named("n").image("one:v1", i64::MAX).image("two:v1", i64::MAX);
    assert_eq!(scores(&ImageLocality, pod().image("one:v1").image("two:v1"), &[boast], &[]), Some(vec![100]));
    assert_eq!(scores_of(pod().image("unheard:of")), None);
}

#[test]
fn plugins_tell_news_that_may_help_from_news_that_cannot() {
    let added = |plugin: &dyn Plugin, pod: MakePod, node: MakeNode| {
        let cache = cache(&[node], &[]);
        let node = cache.node_named("n").expect("it is known");
        plugin.may_help(&ClusterEvent::NodeAdded(node), &pod.info())
    };
    assert!(
        added(&NodeUnschedulable, pod(), node()) && !added(&NodeUnschedulable, pod(), node().unschedulable())
    );
    assert!(added(&NodeName, pod().node("n"), node()) && !added(&NodeName, pod().node("m"), node()));
    let tainted = || node().taint("k", "", "NoSchedule");
    assert!(!added(&TaintToleration, pod(), tainted()));
    assert!(added(&TaintToleration, pod().tolerates("k", "", ""), tainted()));
    let picky = || pod().requires(&[term(&[("zone", "In", &["a"])])]);
    assert!(
        added(&NodeAffinity, picky(), node().label("zone", "a")) && !added(&NodeAffinity, picky(), node())
    );
    assert!(added(&NodeResourcesFit, pod().container("1", "1"), node().capacity("1", "1")));
    assert!(!added(&NodeResourcesFit, pod().container("2", "1"), node().capacity("1", "1")));

    let removed = |pod: &MakePod, gone: &MakePod| {
        let (change, gone) = (PodChange::Removed, gone.clone().info());
        NodePorts.may_help(&ClusterEvent::Pod { change, pod: &gone, node: None }, &pod.clone().info())
    };
    let with_port = |port| pod().plain_container().host_port("TCP", "", port);
    assert!(removed(&with_port(80), &with_port(80)) && !removed(&with_port(80), &with_port(81)));
    let own = ClusterEvent::Own(OwnChange::Tolerations);
    assert!(!NodeUnschedulable.may_help(&own, &pod().info()));
    assert!(TaintToleration.may_help(&own, &Arc::clone(&pod().info())));
}
