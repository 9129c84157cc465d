//! What is promised of the replica set rank, shown by example.

use keelson_controller_runtime::pod::Container;

use proptest::prelude::*;

use super::super::samples::{at, pod, ready};
use super::*;

const NOW: i64 = 1_000_000;

fn with(mut pod: Pod, change: impl Fn(&mut Pod)) -> Pod {
    change(&mut pod);
    pod
}

fn cost(pod: Pod, cost: &str) -> Pod {
    with(pod, |pod| {
        pod.metadata.annotations = Some([(DELETION_COST.into(), cost.into())].into());
    })
}

fn on_node(pod: Pod, node: Option<&str>) -> Pod {
    with(pod, |pod| pod.spec.as_mut().unwrap().node_name = node.map(Into::into))
}

fn in_phase(pod: Pod, phase: &str) -> Pod {
    with(pod, |pod| pod.status.as_mut().unwrap().phase = Some(phase.into()))
}

fn created(pod: Pod, second: Option<i64>) -> Pod {
    with(pod, |pod| pod.metadata.creation_timestamp = second.map(|second| at(second).into()))
}

fn restarted(pod: Pod, container: &str, count: i32) -> Pod {
    with(pod, |pod| {
        let status = ContainerStatus { name: container.into(), restart_count: count, ..Default::default() };
        let statuses = pod.status.as_mut().unwrap();
        if container == "main" {
            statuses.container_statuses = Some(vec![status]);
        } else {
            let policy = (container == "sidecar").then(|| "Always".into());
            let container =
                Container { name: container.into(), restart_policy: policy, ..Container::default() };
            pod.spec.as_mut().unwrap().init_containers = Some(vec![container]);
            statuses.init_container_statuses = Some(vec![status]);
        }
    })
}

/// The names in the order in which they go, if all but one do.
fn order(pods: Vec<Pod>, related: Vec<Pod>) -> Vec<String> {
    let count = pods.len() - 1;
    let shared = |pods: Vec<Pod>| pods.into_iter().map(Arc::new).collect::<Vec<_>>();
    let worst = worst(shared(pods), &shared(related), count, at(NOW));
    worst.iter().filter_map(|pod| pod.metadata.name.clone()).collect()
}

#[test]
fn each_criterion_decides_where_those_before_do_not() {
    // Each pair: who goes, who stays. Names are given the wrong way round, so that they decide nothing.
    let serving = |name: &str| ready(pod(name), 500_000);
    let pairs = [
        (on_node(serving("z"), None), on_node(pod("a"), Some("n"))),
        (in_phase(serving("z"), "Pending"), in_phase(pod("a"), "Unknown")),
        (in_phase(serving("z"), "Unknown"), pod("a")),
        (cost(pod("z"), "7"), cost(serving("a"), "-7")),
        (cost(serving("z"), "-7"), on_node(serving("a"), Some("crowded"))),
        (on_node(ready(pod("z"), 1), Some("crowded")), ready(pod("a"), NOW - 1)),
        (ready(pod("z"), NOW - 1), restarted(ready(pod("a"), 1), "main", 9)),
        (restarted(serving("z"), "main", 2), restarted(serving("a"), "sidecar", 9)),
        (restarted(serving("z"), "sidecar", 1), created(serving("a"), Some(NOW - 1))),
        (created(serving("z"), Some(NOW - 1)), created(serving("a"), Some(1))),
        (created(serving("z"), None), created(serving("a"), Some(NOW - 1))),
        (serving("a"), serving("z")),
    ];
    let crowd = || ["c1", "c2"].map(|name| on_node(pod(name), Some("crowded"))).to_vec();
    for (index, (goes, stays)) in pairs.into_iter().enumerate() {
        let expected = vec![goes.metadata.name.clone().unwrap()];
        assert_eq!(order(vec![stays, goes], crowd()), expected, "pair {index}");
    }
}

#[test]
fn about_the_same_age_is_the_same_age() {
    // Both 2^39 to 2^40 nanoseconds ago.
    let (younger, older) = (ready(pod("z"), NOW - 600), ready(pod("a"), NOW - 1000));
    assert_eq!(order(vec![younger.clone(), older], Vec::new()), ["a"]);
    let oldest = ready(pod("a"), NOW - 1200);
    assert_eq!(order(vec![younger, oldest], Vec::new()), ["z"]);
}

#[test]
fn restarts_of_what_ran_once_do_not_count() {
    let pods = vec![restarted(pod("z"), "setup", 5), pod("a")];
    assert_eq!(order(pods, Vec::new()), ["a"]);
}

#[test]
fn a_cost_that_is_no_usual_number_is_none() {
    let texts =
        [("5", 5), ("-5", -5), ("0", 0), ("+5", 0), ("05", 0), ("5.0", 0), ("", 0), ("9999999999", 0)];
    for (text, expected) in texts {
        assert_eq!(deletion_cost(&cost(pod("a"), text)), expected, "{text:?}");
    }
}

#[test]
fn where_all_go_nobody_is_compared() {
    let pods: Vec<_> = ["b", "a"].map(|name| Arc::new(pod(name))).into();
    let names: Vec<_> =
        worst(pods, &[], 2, at(NOW)).iter().filter_map(|pod| pod.metadata.name.clone()).collect();
    assert_eq!(names, ["b", "a"]);
}

proptest! {
    /// Whatever the pods, those that go are worth no more than those that stay.
    #[test]
    fn none_goes_that_is_worth_more_than_one_that_stays(
        facts in proptest::collection::vec((any::<bool>(), any::<bool>(), 0..3i32, 0..NOW, 0..NOW), 1..12),
        share in 0.0..1.0f64,
    ) {
        let pods: Vec<_> = facts.iter().enumerate().map(|(index, (assigned, serves, restarts, since, born))| {
            let pod = created(restarted(pod(&format!("p{index}")), "main", *restarts), Some(*born));
            let pod = on_node(pod, assigned.then_some("n"));
            Arc::new(if *serves { ready(pod, *since) } else { pod })
        }).collect();
        let count = (share * pods.len() as f64) as usize;
        let gone = worst(pods.clone(), &pods, count, at(NOW));
        prop_assert_eq!(gone.len(), count);
        let crowds = crowds(&pods);
        let worth = |pod: &Pod| worth(pod, &crowds, at(NOW));
        let stay = pods.iter().filter(|pod| !gone.contains(pod));
        let least = stay.map(|pod| worth(pod)).min();
        prop_assert!(gone.iter().all(|pod| Some(worth(pod)) < least || least.is_none()));
    }
}
