//! Reserve and Permit, with plugins that do as a pod's labels say.

use std::cell::RefCell;

use futures_util::FutureExt;
use std::cmp::Reverse;

use super::*;
use crate::cache::NodeInfo;
use crate::framework::{Permit, Plugin, QueueSort, Reserve, Row};
use crate::queue::Rank;

thread_local! {
    static DEEDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes what it is asked, and says no to pods that carry its name as a label.
struct Noting(&'static str);

static FIRST: Noting = Noting("first");
static SECOND: Noting = Noting("second");

const REASON: &str = "node(s) were not to its taste";

static ROWS: [Row; 2] = [
    Row { queue_sort: Some(&FIRST), reserve: Some(&FIRST), permit: Some(&FIRST), ..Row::of(&FIRST) },
    Row { reserve: Some(&SECOND), permit: Some(&SECOND), ..Row::of(&SECOND) },
];

impl Noting {
    fn note(&self, deed: &str) {
        DEEDS.with_borrow_mut(|deeds| deeds.push(format!("{} {deed}", self.0)));
    }

    fn answer(&self, point: &str, pod: &PodInfo) -> Result<(), Reason> {
        self.note(point);
        let unwanted = pod.pod.metadata.labels.as_ref().and_then(|labels| labels.get(point));
        if unwanted.is_some_and(|name| name == self.0) { Err(Reason::Said(REASON)) } else { Ok(()) }
    }
}

impl Plugin for Noting {
    fn name(&self) -> &'static str {
        self.0
    }
}

impl QueueSort for Noting {
    fn rank(&self, pod: &QueuedPod) -> Rank {
        Rank { urgency: Reverse(0), since: pod.since }
    }
}

impl Reserve for Noting {
    fn reserve(&self, pod: &PodInfo, _: &NodeInfo) -> Result<(), Reason> {
        self.answer("reserve", pod)
    }

    fn unreserve(&self, _: &PodInfo, _: &str) {
        self.note("unreserve");
    }
}

impl Permit for Noting {
    fn permit(&self, pod: &PodInfo, _: &NodeInfo) -> Result<BoxFuture<'static, Result<(), Reason>>, Reason> {
        self.answer("permit", pod)?;
        Ok(std::future::ready(self.answer("wait", pod)).boxed())
    }
}

/// One turn of a pod with this label, and what the plugins were asked.
fn turn(key: &str, value: &str) -> (Attempt, Vec<String>, Cluster) {
    let mut cluster = Cluster::with(Framework::new(&ROWS), [room("n")]);
    cluster.pod(small("p").labels(&[(key, value)]));
    let attempt = cluster.attempt().expect("it waits");
    (attempt, DEEDS.take(), cluster)
}

#[test]
fn all_are_asked_in_order() {
    let (attempt, deeds, _) = turn("none", "none");
    assert!(matches!(attempt, Attempt::Assumed(assumed) if assumed.permits.len() == 2));
    let expected =
        ["first reserve", "second reserve", "first permit", "first wait", "second permit", "second wait"];
    assert_eq!(deeds, expected);
}

#[test]
fn a_refusal_is_undone_in_reverse_and_the_room_is_free_again() {
    for (point, plugin, asked) in [
        ("reserve", "first", vec!["first reserve"]),
        ("reserve", "second", vec!["first reserve", "second reserve"]),
        ("permit", "first", vec!["first reserve", "second reserve", "first permit"]),
    ] {
        let (attempt, deeds, mut cluster) = turn(point, plugin);
        assert_eq!(deeds, [asked, vec!["second unreserve", "first unreserve"]].concat());
        let Attempt::Failed(failure) = attempt else { panic!("{plugin} said no at {point}") };
        let message = "0/1 nodes are available: 1 node(s) were not to its taste.";
        assert_eq!((failure.message.as_str(), failure.reason), (message, FailureReason::Unschedulable));
        assert_eq!(cluster.core.cache.node_named("n").map(|node| node.pods.len()), Some(0));
        assert_eq!(cluster.whereabouts("p"), Whereabouts::Unschedulable);
    }
}

#[tokio::test]
async fn a_refusal_that_comes_later_is_undone_too() {
    let (attempt, _, mut cluster) = turn("wait", "second");
    let Attempt::Assumed(assumed) = attempt else { panic!("nobody has said no yet") };
    let mut answers = Vec::new();
    for permit in assumed.permits {
        answers.push(permit.await);
    }
    assert_eq!(answers, [Ok(()), Err(Reason::Said(REASON))]);
    let error = BindError::Rejected(Reason::Said(REASON));
    let failure = cluster.core.bind_failed(assumed.queued, &assumed.node, &error, cluster.now);
    assert_eq!(DEEDS.take(), ["second unreserve", "first unreserve"]);
    let failure = failure.expect("it is told");
    assert_eq!(failure.reason, FailureReason::Unschedulable);
    assert_eq!(failure.message, "0/1 nodes are available: 1 node(s) were not to its taste.");
    assert_eq!(cluster.whereabouts("p"), Whereabouts::Backoff);
}
