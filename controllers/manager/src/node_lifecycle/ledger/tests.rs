//! What follows from looks at nodes, one after the other.

use k8s_openapi::jiff::Timestamp;

use super::super::testing::{NodeBuilder, TIMES, node};
use super::*;

const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// A ledger, and a clock that stands until it is moved.
struct Scene {
    ledger: Ledger,
    start: Instant,
    second: u64,
}

impl Scene {
    /// With these nodes known.
    fn with(nodes: impl IntoIterator<Item = NodeBuilder>) -> Self {
        let mut scene =
            Self { ledger: Ledger::new(TIMES, Rates::default()), start: Instant::now(), second: 0 };
        let nodes: Vec<_> = nodes.into_iter().map(NodeBuilder::build).collect();
        scene.ledger.open(&nodes.iter().cloned().map(Arc::new).collect::<Vec<_>>());
        for node in nodes {
            scene.look_at(&node);
        }
        scene
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.second)
    }

    fn look(&mut self, node: NodeBuilder) -> Finding {
        self.look_at(&node.build())
    }

    fn look_at(&mut self, node: &Node) -> Finding {
        let clock = Time(Timestamp::from_second(i64::try_from(self.second).unwrap()).unwrap());
        let now = self.now();
        self.ledger.look(node, None, now, &clock)
    }
}

/// A node that is not heard of, and is known not to be.
fn silent(name: &str) -> NodeBuilder {
    CONDITIONS.iter().fold(node(name), |node, kind| node.condition(kind, "Unknown"))
}

fn evicting(finding: &Finding) -> Vec<String> {
    let taints = finding.taints.iter().flatten().filter(|taint| taint.effect == "NoExecute");
    taints.map(|taint| taint.key.clone()).collect()
}

#[test]
fn a_node_that_falls_silent_is_said_to_be_unknown_at_the_end_of_its_grace() {
    let well = || node("a").ready("True");
    let mut scene = Scene::with([]);
    let first = scene.look(well());
    assert!(first.is_new);
    assert_eq!(first.again, Some(Duration::from_secs(40)));
    scene.second = 30;
    let renewal = MicroTime(Timestamp::from_second(7).unwrap());
    let now = scene.now();
    scene.ledger.renewed("a", Some(renewal), now);
    scene.second = 40;
    let renewed = scene.look(well());
    assert_eq!((renewed.is_new, renewed.again), (false, Some(Duration::from_secs(30))));
    assert_eq!(renewed.conditions, []);
    scene.second = 70;
    let now = scene.now();
    assert_eq!(scene.ledger.overdue(now), ["a"]);
    let silent = scene.look(well());
    let kinds: Vec<_> = silent.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(kinds, CONDITIONS);
    assert_eq!((silent.taints, silent.again), (None, None), "first of all this has to be written");
}

#[test]
fn a_silent_node_is_tainted_and_a_node_that_is_back_is_not() {
    let mut scene = Scene::with([node("a").ready("True"), node("b").ready("True")]);
    scene.second = 50;
    let lost = scene.look(silent("a"));
    assert_eq!(lost.conditions, []);
    assert_eq!(evicting(&lost), ["node.kubernetes.io/unreachable"]);
    assert_eq!(lost.taints.as_ref().map(Vec::len), Some(2), "and new pods go elsewhere, in one write");
    let tainted = || silent("a").taints(lost.taints.clone().unwrap());
    assert_eq!(scene.look(tainted()), Finding { again: None, ..Finding::default() }, "nothing is left to do");
    let failing = node("a").ready("False").heartbeat(50).taints(lost.taints.clone().unwrap());
    assert_eq!(evicting(&scene.look(failing)), ["node.kubernetes.io/not-ready"], "it need not ask again");
    let back = node("a").ready("True").heartbeat(60).taints(lost.taints.clone().unwrap());
    assert_eq!(scene.look(back).taints, Some(Vec::new()));
}

#[test]
fn nodes_of_a_zone_are_evicted_one_after_the_other() {
    let mut scene = Scene::with(["a", "b", "c"].map(|name| node(name).ready("True")));
    scene.second = 100;
    assert_eq!(evicting(&scene.look(silent("a"))).len(), 1);
    let second = scene.look(silent("b"));
    assert_eq!((evicting(&second).len(), second.again), (0, Some(Duration::from_secs(10))));
    assert_eq!(second.taints.map(|taints| taints.len()), Some(1), "new pods go elsewhere at once");
    let now = scene.now();
    assert_eq!(scene.ledger.wakes(now), [("b".to_owned(), Duration::from_secs(10))]);
    scene.second = 110;
    assert_eq!(evicting(&scene.look(silent("b"))).len(), 1);
}

#[test]
fn when_no_node_is_ready_evictions_are_taken_back() {
    let mut scene = Scene::with([node("a").ready("True"), node("b").ready("True")]);
    scene.second = 100;
    let lost = scene.look(silent("a"));
    let tainted = || silent("a").taints(lost.taints.clone().unwrap());
    assert_eq!(scene.look(tainted()).taints, None);
    let last = scene.look(silent("b"));
    assert_eq!(last.cluster, Some(Disruption::Total));
    assert_eq!(evicting(&last), [""; 0]);
    let spared = scene.look(tainted());
    assert_eq!(evicting(&spared), [""; 0]);
    assert_eq!(spared.taints.unwrap().len(), 1, "only the evicting taint goes");
    scene.second = 200;
    let first = scene.look(node("b").ready("True").heartbeat(200));
    assert_eq!(first.cluster, Some(Disruption::Limited));
    assert_eq!(evicting(&scene.look(silent("a"))), ["node.kubernetes.io/unreachable"]);
}

#[test]
fn after_a_total_loss_all_nodes_get_a_new_grace_period() {
    let mut scene = Scene::with([node("a").ready("False"), node("b").ready("False")]);
    scene.second = 39;
    assert_eq!(scene.look(node("b").ready("True").heartbeat(39)).cluster, Some(Disruption::Limited));
    scene.second = 45;
    let other = scene.look(node("a").ready("False"));
    assert_eq!((other.conditions, other.again), (Vec::new(), Some(Duration::from_secs(34))));
}

#[test]
fn the_only_node_is_never_evicted() {
    let mut scene = Scene::with([node("a").ready("True")]);
    scene.second = 100;
    let lost = scene.look(silent("a"));
    assert_eq!((evicting(&lost).len(), lost.taints.map(|taints| taints.len())), (0, Some(1)));
}

#[test]
fn a_node_that_goes_makes_room_and_its_namesake_is_new() {
    let mut scene = Scene::with(["a", "b", "c"].map(|name| node(name).ready("True")));
    scene.second = 100;
    scene.look(silent("a"));
    scene.look(silent("b"));
    let now = scene.now();
    let departure = scene.ledger.forget("b", now).unwrap();
    assert_eq!((departure.uid.as_deref(), departure.cluster), (Some("b-uid"), None));
    assert_eq!(scene.ledger.wakes(now), []);
    assert!(scene.ledger.forget("b", now).is_none());
    assert!(scene.look(node("b").ready("True")).is_new);
    let mut other = node("b").ready("True").build();
    other.metadata.uid = Some("other".into());
    assert!(scene.look_at(&other).is_new);
    let departure = scene.ledger.forget("b", now).unwrap();
    assert_eq!(departure.uid.as_deref(), Some("other"));
}

#[test]
fn a_node_on_which_nothing_was_posted_has_longer_and_is_not_evicted() {
    let mut scene = Scene::with([node("a").ready("True")]);
    assert_eq!(scene.look(node("b")).again, Some(Duration::from_secs(60)));
    scene.second = 60;
    let never = scene.look(node("b"));
    assert_eq!(never.conditions.len(), 4);
    assert!(
        never
            .conditions
            .iter()
            .all(|condition| condition.reason.as_deref() == Some("NodeStatusNeverUpdated"))
    );
}
