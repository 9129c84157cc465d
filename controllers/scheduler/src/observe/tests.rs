//! Whose pods are looked at, and what frees room.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::queue::Whereabouts;
use crate::testing::{Cluster, MakeNode, MakePod, at};

fn small(name: &str) -> MakePod {
    MakePod::named(name).container("1", "1Gi")
}

fn cluster() -> Cluster {
    Cluster::new([MakeNode::named("n").capacity("1", "1Gi")])
}

fn used(cluster: &Cluster) -> i64 {
    cluster.core.cache.node_named("n").map(|node| node.requested.milli_cpu).unwrap_or_default()
}

#[test]
fn pods_of_other_schedulers_wait_elsewhere_but_count_where_they_are() {
    let mut cluster = cluster();
    cluster.pod(small("foreign").scheduler("other"));
    assert_eq!(cluster.turn(), "nobody's turn");
    cluster.pod(small("foreign").scheduler("other").node("n").version(2));
    assert_eq!(used(&cluster), 1000);
}

#[test]
fn pods_that_have_ended_use_nothing_and_make_room() {
    let mut cluster = cluster();
    cluster.pod(small("job").node("n"));
    cluster.pod(small("p"));
    assert!(cluster.turn().starts_with("p: "));
    cluster.pod(small("job").node("n").version(2).phase("Succeeded"));
    assert_eq!((used(&cluster), cluster.whereabouts("p")), (0, Whereabouts::Backoff));
    cluster.pod(small("failed").phase("Failed"));
    assert_eq!(cluster.whereabouts("failed"), Whereabouts::Nowhere);
}

#[test]
fn a_pod_that_somebody_else_bound_leaves_the_queue() {
    let mut cluster = cluster();
    cluster.pod(small("p"));
    cluster.pod(small("p").node("n").version(2));
    assert_eq!((cluster.turn().as_str(), used(&cluster)), ("nobody's turn", 1000));
}

#[test]
fn a_pod_that_asks_for_less_than_it_did_makes_room() {
    let mut cluster = Cluster::new([MakeNode::named("n").capacity("2", "2Gi")]);
    cluster.pod(MakePod::named("on").container("2", "1Gi").node("n"));
    cluster.pod(small("p"));
    assert!(cluster.turn().starts_with("p: "));
    cluster.pod(MakePod::named("on").container("2", "1Gi").node("n").version(2).phase("Running"));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable);
    cluster.pod(MakePod::named("on").container("1", "1Gi").node("n").version(3));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
}

#[test]
fn a_promise_that_is_taken_back_frees_what_it_held() {
    let mut cluster = cluster();
    cluster.pod(small("kept").gate("g").nominated("n"));
    cluster.pod(small("p"));
    assert!(
        cluster.turn().starts_with("p: 0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.")
    );
    cluster.pod(small("kept").gate("g").version(2));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
    cluster.pod(small("kept").gate("g").nominated("n").version(3));
    cluster.pass(std::time::Duration::from_secs(1));
    assert!(cluster.turn().starts_with("p: "));
    cluster.remove_pod("kept");
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
}

/// A pod that is kept for a node where it does not fit yet, and one that waits because of that, for this node alone.
fn kept_and_waiting() -> (Cluster, MakePod) {
    let mut cluster = Cluster::new([MakeNode::named("n").capacity("4", "8Gi").label("only", "this")]);
    cluster.pod(MakePod::named("stays").container("1", "0").priority(9).node("n"));
    let kept = MakePod::named("kept").container("4", "1Gi").nominated("n");
    cluster.pod(kept.clone().gate("g"));
    cluster.pod(MakePod::named("p").container("1", "8Gi").node_selector(&[("only", "this")]));
    assert!(cluster.turn().starts_with("p: 0/1 nodes are available: 1 Insufficient cpu"));
    (cluster, kept.version(2))
}

#[test]
fn a_pod_that_goes_elsewhere_than_promised_frees_what_it_held() {
    let (mut cluster, kept) = kept_and_waiting();
    cluster.node(MakeNode::named("new").capacity("4", "4Gi"));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable, "the new node is none for it");
    cluster.pod(kept.clone());
    assert_eq!(cluster.turn(), "kept -> new");
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
    let (mut cluster, kept) = kept_and_waiting();
    cluster.pod(kept.node("new"));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff, "also when somebody else has bound it");
}

#[test]
fn a_pod_that_gives_its_promise_up_frees_what_it_held_and_does_not_wake_itself() {
    let (mut cluster, kept) = kept_and_waiting();
    cluster.pod(kept);
    assert!(cluster.turn().starts_with("kept: 0/1 nodes are available: 1 Insufficient cpu."));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
    assert_eq!(cluster.whereabouts("kept"), Whereabouts::Unschedulable);
}

#[test]
fn room_that_others_who_matter_less_could_complete_is_news() {
    let mut cluster = Cluster::new([MakeNode::named("n").capacity("4", "8Gi")]);
    let on = |name, cpu, priority| MakePod::named(name).container(cpu, "0").priority(priority).node("n");
    let pods = [on("high", "2", 9), on("gone", "1", 9), on("low", "1", 1)];
    pods.into_iter().for_each(|pod| cluster.pod(pod));
    cluster.pod(MakePod::named("p").container("2", "0").priority(5));
    assert!(cluster.turn().starts_with("p: 0/1 nodes are available"));
    cluster.remove_pod("gone");
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff, "one more that leaves makes it enough");
}

#[test]
fn an_assumed_pod_is_not_queued_again_by_its_own_news() {
    let mut cluster = cluster();
    cluster.pod(small("p"));
    assert_eq!(cluster.turn(), "p -> n");
    cluster.pod(small("p").version(2).labels(&[("a", "b")]));
    assert_eq!((cluster.turn().as_str(), cluster.whereabouts("p")), ("nobody's turn", Whereabouts::Nowhere));
    cluster.pod(small("p").version(3).node("n"));
    assert_eq!(used(&cluster), 1000);
}

#[test]
fn a_pod_waits_for_its_claim_and_no_other_wakes_it() {
    let mut cluster = cluster();
    let claim = |name: &str, phase: &str, deleted: Option<Time>| PersistentVolumeClaim {
        metadata: ObjectMeta {
            namespace: small("p").pod().metadata.namespace,
            name: Some(name.into()),
            deletion_timestamp: deleted,
            ..ObjectMeta::default()
        },
        status: Some(PersistentVolumeClaimStatus { phase: Some(phase.into()), ..Default::default() }),
        ..PersistentVolumeClaim::default()
    };
    cluster.pod(small("p").claim("data"));
    let why = cluster.turn();
    let start = "p: 0/1 nodes are available: persistentvolumeclaim \"data\" not found. preemption: 0/1 nodes";
    assert!(why.starts_with(start), "{why}");
    cluster.claim(claim("other", "Bound", None));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable);
    cluster.claim(claim("data", "Bound", Some(at(1))));
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
    cluster.pass(std::time::Duration::from_secs(10));
    assert!(cluster.turn().contains("persistentvolumeclaim \"data\" is being deleted"));
    cluster.claim(claim("data", "Lost", None));
    cluster.pass(std::time::Duration::from_secs(10));
    assert!(
        cluster.turn().contains("persistentvolumeclaim \"data\" bound to non-existent persistentvolume \"\"")
    );
    cluster.claim(claim("data", "Bound", None));
    cluster.pass(std::time::Duration::from_secs(10));
    assert_eq!(cluster.turn(), "p -> n");
}
