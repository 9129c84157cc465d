//! How many pods a second the pure cycle gives a node, with 5,000 nodes. Printed, not asserted; for numbers that mean
//! something the crate has to be optimized: `cargo test -p keelson-scheduler
//! --config 'profile.dev.package.keelson-scheduler.opt-level=3' pods_a_second -- --nocapture`

use std::time::Instant as Watch;

use super::*;
use crate::testing::{pod_term, spread, term};

const NODES: usize = 5000;
const PODS: usize = 1000;

fn cluster() -> Cluster {
    let node = |at: usize| {
        let node = MakeNode::named(&format!("node-{at}")).capacity("32", "128Gi");
        node.label("kubernetes.io/hostname", &format!("node-{at}"))
            .label("topology.kubernetes.io/zone", &format!("zone-{}", at % 3))
            .label("kubernetes.io/os", "linux")
    };
    let mut cluster = Cluster::new((0..NODES).map(node));
    for at in 0..NODES * 4 {
        let pod = MakePod::named(&format!("on-{at}")).container("500m", "1Gi");
        cluster.pod(pod.node(&format!("node-{}", at % NODES)));
    }
    cluster
}

/// Schedules pods of a kind and says how fast that was.
fn measure(what: &str, expected: usize, pod: impl Fn(MakePod) -> MakePod) {
    let mut cluster = cluster();
    for at in 0..PODS {
        cluster.pod(pod(MakePod::named(&format!("pod-{at}"))));
    }
    let watch = Watch::now();
    let mut placed = 0;
    while let Some(attempt) = cluster.attempt() {
        placed += usize::from(matches!(attempt, Attempt::Assumed(_)));
    }
    let took = watch.elapsed();
    println!("{what}: {:.0} pods/s, {:?} each", PODS as f64 / took.as_secs_f64(), took / PODS as u32);
    assert_eq!(placed, expected);
}

#[test]
fn pods_a_second_with_5000_nodes() {
    measure("plain", PODS, |pod| pod.container("100m", "128Mi"));
    measure("node affinity", PODS, |pod| {
        let zones = ("topology.kubernetes.io/zone", "In", &["zone-0", "zone-1"] as &[&str]);
        pod.container("100m", "128Mi").requires(&[term(&[zones])])
    });
    let host = "kubernetes.io/hostname";
    measure("apart from its own kind", PODS, |pod| {
        let own = &[("app", "web")];
        pod.labels(own).container("100m", "128Mi").apart(pod_term(host, own))
    });
    measure("spread over zones and nodes", PODS, |pod| {
        let own = &[("app", "web")];
        let zone = spread("topology.kubernetes.io/zone", 1, "DoNotSchedule", own);
        pod.labels(own).container("100m", "128Mi").spreads(zone).spreads(spread(
            host,
            1,
            "ScheduleAnyway",
            own,
        ))
    });
    measure("spread by default", PODS, |pod| pod.container("100m", "128Mi").owned_by("ReplicaSet", "rs"));
    measure("unschedulable", 0, |pod| pod.container("64", "128Mi"));
}
