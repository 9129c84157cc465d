//! Who waits where, and for how long.

use super::*;
use crate::cache::NodeChange;
use crate::diagnosis::names;
use crate::plugins;
use crate::testing::{Cluster, MakeNode, MakePod};

const SECOND: Duration = Duration::from_secs(1);

fn small(name: &str) -> MakePod {
    MakePod::named(name).container("1", "1Gi")
}

fn room(name: &str) -> MakeNode {
    MakeNode::named(name).capacity("1", "1Gi")
}

/// What `pod` waits for, by the plugins' names.
fn rejected_by(cluster: &Cluster, pod: &str) -> Vec<&'static str> {
    match cluster.core.queue.unschedulable.get(&Cluster::uid(pod)).map(|pod| pod.waits_for) {
        Some(WaitsFor::Plugins(plugins)) => names(plugins::DEFAULT, plugins),
        other => panic!("it waits for {other:?}"),
    }
}

#[test]
fn the_pod_that_matters_most_comes_first_and_then_the_one_that_waits_longest() {
    let mut cluster = Cluster::new([]);
    for (name, priority) in [("first", 1), ("urgent", 9), ("second", 1)] {
        cluster.pod(small(name).priority(priority));
        cluster.pass(SECOND);
    }
    let turns: Vec<_> = (0..3).filter_map(|_| cluster.core.queue.pop(cluster.now)).collect();
    let names: Vec<_> = turns.iter().map(|pod| pod.info.key.name.as_str()).collect();
    assert_eq!(names, ["urgent", "first", "second"]);
}

#[test]
fn pauses_double_from_one_second_to_ten() {
    let mut cluster = Cluster::new([MakeNode::named("full")]);
    cluster.pod(small("p"));
    for pause in [1, 2, 4, 8, 10, 10] {
        assert!(cluster.turn().starts_with("p: "));
        cluster.core.queue.activate(&Cluster::uid("p"), cluster.now);
        assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
        let end = cluster.now + SECOND * pause;
        assert_eq!(cluster.core.queue.next_deadline(), Some(end), "{pause}");
        cluster.now = end - Duration::from_millis(1);
        assert_eq!(cluster.turn(), "nobody's turn");
        cluster.now = end;
    }
}

#[test]
fn a_pod_waits_for_an_event_that_may_help_and_no_other() {
    let mut cluster = Cluster::new([room("n")]);
    cluster.pod(small("on").node("n"));
    cluster.pod(small("p"));
    assert!(cluster.turn().contains("Insufficient cpu"));
    assert_eq!(rejected_by(&cluster, "p"), ["NodeResourcesFit"]);
    cluster.pass(SECOND * 20);
    cluster.node(room("n").label("any", "label"));
    cluster.node(MakeNode::named("too small").capacity("500m", "1Gi"));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable);
    cluster.remove_pod("on");
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Active, "its pause is long over");
    assert_eq!(cluster.turn(), "p -> n");
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Nowhere);
}

#[test]
fn without_nodes_the_first_one_is_what_a_pod_waits_for() {
    let mut cluster = Cluster::new([]);
    cluster.pod(small("p"));
    assert_eq!(cluster.turn(), "p: no nodes available to schedule pods");
    cluster.pod(small("bystander").node("elsewhere"));
    cluster.remove_pod("bystander");
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable);
    cluster.pass(SECOND);
    cluster.node(MakeNode::named("tiny"));
    assert!(cluster.turn().starts_with("p: 0/1 nodes are available: 1 Insufficient cpu"), "it now says more");
}

#[test]
fn nobody_is_forgotten_for_longer_than_five_minutes() {
    let mut cluster = Cluster::new([MakeNode::named("full")]);
    cluster.pod(small("p"));
    cluster.turn();
    assert_eq!(cluster.core.queue.next_deadline(), Some(cluster.now + LEFTOVER));
    cluster.pass(LEFTOVER - SECOND);
    assert_eq!(cluster.turn(), "nobody's turn");
    cluster.pass(SECOND);
    assert!(cluster.turn().starts_with("p: "));
}

#[test]
fn gates_hold_a_pod_back_until_the_last_is_gone() {
    let mut cluster = Cluster::new([room("n")]);
    cluster.pod(small("p").gate("a").gate("b"));
    assert_eq!((cluster.whereabouts("p"), cluster.turn().as_str()), (Whereabouts::Gated, "nobody's turn"));
    cluster.pod(small("p").gate("b"));
    cluster.pass(LEFTOVER * 2);
    assert_eq!((cluster.whereabouts("p"), cluster.turn().as_str()), (Whereabouts::Gated, "nobody's turn"));
    cluster.pod(small("p"));
    assert_eq!(cluster.turn(), "p -> n");
    cluster.pod(small("q").gate("a"));
    cluster.remove_pod("q");
    assert_eq!(cluster.whereabouts("q"), Whereabouts::Nowhere);
}

#[test]
fn a_pod_that_changes_itself_is_tried_again_if_that_may_help() {
    let mut cluster = Cluster::new([room("n").taint("k", "v", "NoSchedule")]);
    cluster.pod(small("p"));
    cluster.turn();
    assert_eq!(rejected_by(&cluster, "p"), ["TaintToleration"]);
    cluster.pod(small("p").version(2).condition("PodScheduled", "False", "Unschedulable"));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable, "its own condition is no news");
    cluster.pod(small("p").version(3).tolerates("k", "v", "NoSchedule"));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
    cluster.pass(SECOND);
    assert_eq!(cluster.turn(), "p -> n");
}

#[test]
fn after_an_error_a_pod_waits_for_time_alone() {
    let mut cluster = Cluster::new([room("n")]);
    cluster.pod(small("p"));
    let queued = cluster.core.queue.pop(cluster.now).expect("it waits");
    let latest = small("p").version(2).info();
    cluster.core.queue.retry(queued, Arc::clone(&latest), cluster.now);
    assert_eq!(cluster.core.queue.next_deadline(), Some(cluster.now + SECOND));
    cluster.pass(SECOND);
    let queued = cluster.core.queue.pop(cluster.now).expect("time is up");
    assert!(Arc::ptr_eq(&queued.info, &latest));
}

#[test]
fn plugins_are_asked_only_about_what_they_listen_to() {
    let mut cluster = Cluster::new([room("n").label("disk", "slow")]);
    cluster.pod(small("p").node_selector(&[("disk", "fast")]));
    cluster.turn();
    assert_eq!(rejected_by(&cluster, "p"), ["NodeAffinity"]);
    cluster.pass(SECOND);
    cluster.node(room("n").label("disk", "slow").room("cpu", "64"));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable);
    let info = cluster.core.cache.node_named("n").expect("it is known").clone();
    let event =
        ClusterEvent::NodeChanged { change: NodeChange::Labels, before: &info.node.clone(), now: &info };
    cluster.core.queue.on_event(&event, cluster.now);
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable, "labels changed to what they were");
    cluster.node(room("n").label("disk", "fast").room("cpu", "64"));
    assert_eq!(cluster.turn(), "p -> n");
}
