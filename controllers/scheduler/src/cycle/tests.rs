//! Where pods go, what is said of those that go nowhere, and that nothing is promised twice.

use std::time::Duration;

use super::*;
use crate::plugins;
use crate::queue::Whereabouts;
use crate::testing::{Cluster, MakeNode, MakePod, name_term};

mod never_overcommitted;
mod reserve_and_permit;
mod speed;

fn room(name: &str) -> MakeNode {
    MakeNode::named(name).capacity("4", "8Gi")
}

fn small(name: &str) -> MakePod {
    MakePod::named(name).container("1", "1Gi")
}

#[test]
fn a_pod_goes_to_the_emptiest_node_that_will_do() {
    let mut cluster = Cluster::new([room("a"), room("b"), room("c").taint("k", "", "NoSchedule")]);
    cluster.pod(small("on").node("a"));
    cluster.pod(small("p"));
    assert_eq!(cluster.turn(), "p -> b");
    cluster.pod(small("q").priority(1));
    cluster.pod(MakePod::named("r").container("3", "1Gi"));
    assert!(["q -> a", "q -> b"].contains(&cluster.turn().as_str()));
    assert!(cluster.turn().starts_with("r -> "), "an assumed pod counts before the API knows");
    assert_eq!(cluster.turn(), "nobody's turn");
}

#[test]
fn the_message_counts_each_reason_in_upstreams_words() {
    let cpu = |name| MakeNode::named(name).capacity("500m", "8Gi");
    let mut cluster = Cluster::new([cpu("a"), cpu("b"), room("c").taint("k", "v", "NoSchedule")]);
    cluster.pod(small("p"));
    assert_eq!(
        cluster.turn(),
        "p: 0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    let mut cluster = Cluster::new([room("a"), room("b"), room("c").unschedulable()]);
    cluster.pod(MakePod::named("on-a").container("4", "8Gi").node("a"));
    cluster.pod(MakePod::named("on-b").container("4", "1Gi").node("b"));
    cluster.pod(MakePod::named("p").container("1", "1Gi"));
    assert_eq!(
        cluster.turn(),
        "p: 0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu. \
         preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, \
         2 No preemption victims found for incoming pod."
    );
}

#[test]
fn the_message_says_when_there_is_no_node_or_only_others_than_those_asked_for() {
    let mut cluster = Cluster::new([]);
    cluster.pod(small("p"));
    assert_eq!(cluster.turn(), "p: no nodes available to schedule pods");
    let mut cluster = Cluster::new([room("a"), room("b").taint("k", "", "NoSchedule"), room("c")]);
    cluster.pod(small("p").requires(&[name_term("In", &["b"])]));
    assert_eq!(
        cluster.turn(),
        "p: 0/3 nodes are available: 1 node(s) had untolerated taint(s), \
         2 node(s) didn't satisfy plugin(s) [NodeAffinity]. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    let mut conflict = name_term("In", &["a"]);
    let other = name_term("In", &["b"]).match_fields.unwrap_or_default();
    conflict.match_fields.get_or_insert_default().extend(other);
    cluster.pod(small("q").requires(&[conflict]));
    assert_eq!(
        cluster.turn(),
        "q: 0/3 nodes are available: pod affinity terms conflict. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn a_pod_that_is_being_deleted_has_no_turn() {
    let mut cluster = Cluster::new([room("a")]);
    cluster.pod(small("p").deleted());
    assert_eq!((cluster.turn(), cluster.turn()), ("p: skipped".to_owned(), "nobody's turn".to_owned()));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Nowhere);
}

#[test]
fn searches_start_where_the_last_one_ended() {
    let mut cluster = Cluster::new((0..300).map(|at| room(&format!("n{at}"))));
    let mut starts = vec![cluster.core.next_start];
    for name in ["p", "q", "r"] {
        cluster.pod(small(name));
        cluster.turn();
        starts.push(cluster.core.next_start);
    }
    // 48 percent of 300 are enough.
    assert_eq!(starts, [0, 144, 288, 132]);
}

#[test]
fn a_binding_that_failed_gives_its_room_back_and_is_tried_again() {
    let mut cluster = Cluster::new([MakeNode::named("n").capacity("1", "1Gi")]);
    cluster.pod(small("p"));
    let Some(Attempt::Assumed(assumed)) = cluster.attempt() else { panic!("it fits") };
    cluster.pod(small("waits"));
    assert!(cluster.turn().starts_with("waits: 0/1"));
    let error = BindError::Failed("no such thing".into());
    let failure = cluster.core.bind_failed(assumed.queued, &assumed.node, &error, cluster.now);
    let failure = failure.expect("it is told");
    assert_eq!((failure.reason, failure.message.as_str()), (FailureReason::SchedulerError, "no such thing"));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
    assert_eq!(cluster.whereabouts("waits"), Whereabouts::Backoff, "there is room again");
    cluster.pass(Duration::from_secs(1));
    assert!(["p -> n", "waits -> n"].contains(&cluster.turn().as_str()));
}

#[test]
fn a_late_failure_means_nothing_once_the_informer_has_seen_the_binding() {
    let mut cluster = Cluster::new([room("n")]);
    cluster.pod(small("p"));
    let Some(Attempt::Assumed(assumed)) = cluster.attempt() else { panic!("it fits") };
    cluster.pod(small("p").version(2).node("n"));
    let error = BindError::Failed("the answer was lost".into());
    assert!(cluster.core.bind_failed(assumed.queued, &assumed.node, &error, cluster.now).is_none());
    assert!(cluster.core.cache.placement(&Cluster::uid("p")).is_some());
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Nowhere);
}

#[test]
fn a_pod_that_vanishes_while_it_is_bound_leaves_nothing_behind() {
    let mut cluster = Cluster::new([room("n")]);
    cluster.pod(small("p"));
    let Some(Attempt::Assumed(assumed)) = cluster.attempt() else { panic!("it fits") };
    cluster.remove_pod("p");
    assert_eq!(cluster.core.cache.node_named("n").map(|node| node.pods.len()), Some(0));
    let done = cluster.core.bind_failed(assumed.queued, &assumed.node, &BindError::Settled, cluster.now);
    assert!(done.is_none());
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Nowhere);
}

#[test]
fn room_that_was_promised_is_kept_for_the_pod_and_found_first() {
    let mut cluster = Cluster::new([room("a"), room("b")]);
    cluster.pod(MakePod::named("on").container("4", "1Gi").node("b").priority(5));
    cluster.pod(MakePod::named("kept").container("4", "1Gi").priority(5).nominated("a").gate("wait"));
    cluster
        .pod(MakePod::named("kept").container("4", "1Gi").priority(5).nominated("a").gate("wait").version(2));
    cluster.pod(small("equal").priority(5));
    assert!(cluster.turn().starts_with("equal: 0/2 nodes are available: 2 Insufficient cpu."));
    cluster.pod(MakePod::named("kept").container("4", "1Gi").priority(5).nominated("a").version(3));
    assert_eq!(cluster.turn(), "kept -> a");
    assert_eq!(cluster.core.nominations.node_of(&Cluster::uid("kept")), None);
}

#[test]
fn a_pod_that_matters_more_is_not_held_up_by_promises() {
    let mut cluster = Cluster::new([room("a")]);
    cluster.pod(MakePod::named("kept").container("4", "1Gi").nominated("a").gate("wait"));
    cluster.pod(small("urgent").priority(1));
    assert_eq!(cluster.turn(), "urgent -> a");
}

#[test]
fn who_makes_room_is_decided_once_and_the_pod_waits_for_it() {
    let mut cluster = Cluster::new([room("a")]);
    cluster.pod(MakePod::named("victim").container("4", "1Gi").node("a"));
    cluster.pod(small("urgent").priority(9));
    let Some(Attempt::Failed(failure)) = cluster.attempt() else { panic!("there is no room") };
    assert_eq!(failure.message, "0/1 nodes are available: 1 Insufficient cpu.");
    let Nomination::For(preemption) = failure.nomination else { panic!("there are victims") };
    assert_eq!((&*preemption.node, preemption.victims[0].key.name.as_str()), ("a", "victim"));

    cluster.core.queue.activate(&Cluster::uid("urgent"), cluster.now);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(
        cluster.turn(),
        "urgent: 0/1 nodes are available: 1 Insufficient cpu. \
         preemption: not eligible due to a terminating pod on the nominated node.",
        "the victim is leaving already"
    );
    assert!(cluster.core.nominations.node_of(&Cluster::uid("urgent")).is_some());
    cluster.pass(Duration::from_secs(2));
    cluster.remove_pod("victim");
    assert_eq!(cluster.turn(), "urgent -> a");
    assert!(cluster.core.leaving.is_empty());
}

#[test]
fn victims_that_cannot_be_told_are_chosen_anew() {
    let mut cluster = Cluster::new([room("a")]);
    cluster.pod(MakePod::named("victim").container("4", "1Gi").node("a"));
    cluster.pod(small("urgent").priority(9));
    let Some(Attempt::Failed(failure)) = cluster.attempt() else { panic!("there is no room") };
    let Nomination::For(preemption) = failure.nomination else { panic!("there are victims") };
    cluster.core.eviction_failed(&preemption, &failure.pod.uid, cluster.now);
    assert!(cluster.core.leaving.is_empty());
    cluster.pass(Duration::from_secs(1));
    let Some(Attempt::Failed(again)) = cluster.attempt() else { panic!("there is no room") };
    assert_eq!(again.nomination, Nomination::For(preemption));
}

#[test]
fn a_pod_that_matters_more_takes_promised_room_back() {
    let mut cluster = Cluster::new([room("a")]);
    cluster.pod(MakePod::named("victim").container("4", "1Gi").node("a"));
    cluster.pod(MakePod::named("kept").container("4", "1Gi").priority(1).nominated("a"));
    cluster.turn();
    cluster.pod(MakePod::named("urgent").container("4", "1Gi").priority(9));
    let Some(Attempt::Failed(failure)) = cluster.attempt() else { panic!("there is no room") };
    let displaced: Vec<_> = failure.displaced.iter().map(|pod| pod.key.name.as_str()).collect();
    assert_eq!(displaced, ["kept"]);
    assert_eq!(cluster.core.nominations.node_of(&Cluster::uid("kept")), None);
    assert_eq!(cluster.whereabouts("kept"), Whereabouts::Backoff, "it looks for another place");
}

#[test]
fn the_default_framework_has_what_every_cycle_needs() {
    assert_eq!(plugins::DEFAULT.bind().name(), "DefaultBinder");
    assert_eq!(plugins::DEFAULT.queue_sort().name(), "PrioritySort");
}
