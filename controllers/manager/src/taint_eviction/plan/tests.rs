//! Who has to go, and when.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::backends::testing::{PodBuilder, pod};
use crate::node_lifecycle::testing::node;

/// The time of the first look.
const START: i64 = 1000;

fn clock(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn taint(key: &str, value: Option<&str>, added: Option<i64>) -> Taint {
    Taint {
        key: key.into(),
        effect: "NoExecute".into(),
        value: value.map(Into::into),
        time_added: added.map(|second| Time(clock(second))),
    }
}

/// What happens at `second` to a pod on a node whose taints were first seen at [`START`].
fn judged(taints: &[Taint], pod: PodBuilder, second: i64) -> Verdict {
    let seen = Instant::now();
    let node = node("node-1").taints(taints.iter().cloned()).build();
    let present = present(&node, &[], seen, clock(START));
    let now = seen + Duration::from_secs(u64::try_from(second - START).unwrap());
    verdict(&present, &pod.build(), now, clock(second))
}

fn evicted(seconds: u64) -> Verdict {
    Verdict::Evict(Duration::from_secs(seconds))
}

#[test]
fn a_taint_that_is_not_tolerated_evicts_at_once() {
    let taints = [taint("a", None, None), taint("b", Some("1"), None)];
    assert_eq!(judged(&taints, pod("p"), START), evicted(0));
    assert_eq!(judged(&taints, pod("p").tolerates("a", "", None), START), evicted(0));
    let both = pod("p").tolerates("a", "NoExecute", None).tolerates("b=1", "NoExecute", None);
    assert_eq!(judged(&taints, both, START), Verdict::Stay);
    assert_eq!(
        judged(&taints, pod("p").tolerates("", "", None), START),
        Verdict::Stay,
        "everything is tolerated"
    );
    assert_eq!(judged(&[], pod("p"), START), Verdict::Stay);
}

#[test]
fn tolerations_match_key_value_and_effect() {
    let taints = [taint("a", Some("1"), None)];
    for matching in ["a", "a=1", ""] {
        assert_eq!(
            judged(&taints, pod("p").tolerates(matching, "NoExecute", None), START),
            Verdict::Stay,
            "{matching}"
        );
    }
    for (other, effect) in [("a=2", "NoExecute"), ("b", "NoExecute"), ("a", "NoSchedule")] {
        assert_eq!(
            judged(&taints, pod("p").tolerates(other, effect, None), START),
            evicted(0),
            "{other} {effect}"
        );
    }
}

#[test]
fn the_shortest_of_the_used_tolerations_counts() {
    let taints = [taint("a", None, None), taint("b", None, None)];
    let pod =
        || pod("p").tolerates("a", "", Some(300)).tolerates("b", "", Some(20)).tolerates("c", "", Some(1));
    assert_eq!(judged(&taints, pod(), START), evicted(20));
    assert_eq!(judged(&taints, pod(), START + 15), evicted(5));
    assert_eq!(judged(&taints, pod(), START + 25), evicted(0));
    assert_eq!(judged(&taints[..1], pod(), START + 25), evicted(275), "a taint that is gone does not count");
    assert_eq!(
        judged(&taints[..1], crate::backends::testing::pod("p").tolerates("a", "", Some(-5)), START),
        evicted(0)
    );
}

#[test]
fn the_first_toleration_that_matches_is_the_one_that_is_used() {
    let taints = [taint("a", None, None)];
    let pod = pod("p").tolerates("a", "", None).tolerates("", "", Some(20));
    assert_eq!(judged(&taints, pod, START), Verdict::Stay);
}

#[test]
fn a_taint_that_says_when_it_was_added_counts_from_there() {
    let pod = || pod("p").tolerates("a", "", Some(300));
    assert_eq!(judged(&[taint("a", None, Some(START - 100))], pod(), START), evicted(201));
    assert_eq!(
        judged(&[taint("a", None, Some(START + 100))], pod(), START),
        evicted(300),
        "a clock is ahead"
    );
    let bound_later = pod().bound(START - 40);
    assert_eq!(judged(&[taint("a", None, Some(START - 100))], bound_later, START), evicted(260));
}

#[test]
fn known_taints_keep_their_age() {
    let seen = Instant::now();
    let later = seen + Duration::from_secs(50);
    let tainted = |taints: &[Taint]| node("n").taints(taints.iter().cloned()).build();
    let before = present(&tainted(&[taint("a", None, None)]), &[], seen, clock(START));
    let both = tainted(&[taint("b", None, None), taint("a", None, None)]);
    let after = present(&both, &before, later, clock(START + 50));
    let pod = pod("p").tolerates("a", "", Some(300)).tolerates("b", "", Some(400)).build();
    assert_eq!(verdict(&after, &pod, later, clock(START + 50)), evicted(250));
    let noschedule = node("n").taint("a", "NoSchedule").build();
    assert_eq!(present(&noschedule, &before, later, clock(START + 50)), []);
}
