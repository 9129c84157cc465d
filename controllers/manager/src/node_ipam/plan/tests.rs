//! The next step for a node: by example, and with two leaders under any sequence of events.

use k8s_openapi::api::core::v1::NodeSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn cidrs(texts: &[&str]) -> Vec<Cidr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn ranges(pools: &[(&str, u8)]) -> Ranges {
    let pool = |(range, block): &(&str, u8)| Pool::new(range.parse().unwrap(), *block).unwrap();
    Ranges { pools: pools.iter().map(pool).collect() }
}

fn node(name: &str, claim: &str, held: &[&str]) -> Arc<Node> {
    let annotations = (!claim.is_empty()).then(|| [(CLAIM_ANNOTATION.to_owned(), claim.to_owned())].into());
    let metadata = ObjectMeta {
        name: Some(name.into()),
        creation_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
        annotations,
        ..ObjectMeta::default()
    };
    let spec = NodeSpec {
        pod_cidr: held.first().map(|text| (*text).to_owned()),
        pod_cidrs: Some(held.iter().map(|text| (*text).to_owned()).collect()),
        ..NodeSpec::default()
    };
    Arc::new(Node { metadata, spec: Some(spec), status: None })
}

fn step(ranges: &Ranges, nodes: &[Arc<Node>], name: &str) -> Step {
    plan(ranges, nodes, &BTreeMap::new(), name, 0)
}

#[test]
fn ranges_are_one_per_family() {
    let new = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Ranges::new(&texts, (24, 64))
    };
    assert_eq!(
        new(&["10.244.0.0/16", "fd00:10:244::/56"]),
        Ok(ranges(&[("10.244.0.0/16", 24), ("fd00:10:244::/56", 64)]))
    );
    assert_eq!(new(&["10.244.0.0"]), Err(RangesError::NoCidr("10.244.0.0".into())));
    assert_eq!(new(&["10.244.0.0/16", "10.1.0.0/16"]), Err(RangesError::SameFamily("10.1.0.0/16".into())));
    assert!(matches!(new(&["10.244.0.0/25"]), Err(RangesError::Pool(_))));
}

#[test]
fn a_node_claims_the_first_free_block_and_then_settles_on_it() {
    let ranges = ranges(&[("10.244.0.0/16", 24)]);
    let others = [node("a", "", &["10.244.0.0/24"]), node("b", "10.244.1.0/24", &[])];
    let with = |node: Arc<Node>| [others.to_vec(), vec![node]].concat();
    assert_eq!(step(&ranges, &with(node("c", "", &[])), "c"), Step::Claim(cidrs(&["10.244.2.0/24"])));
    let ours = BTreeMap::from([("b".to_owned(), cidrs(&["10.244.2.0/24"]))]);
    let step_with_ours = plan(&ranges, &with(node("c", "", &[])), &ours, "c", 0);
    assert_eq!(
        step_with_ours,
        Step::Claim(cidrs(&["10.244.3.0/24"])),
        "the cache does not show b's newest claim"
    );
    let claimed = with(node("c", "10.244.2.0/24", &[]));
    assert_eq!(step(&ranges, &claimed, "c"), Step::Settle(cidrs(&["10.244.2.0/24"])));
    assert_eq!(step(&ranges, &with(node("c", "", &["10.244.2.0/24"])), "c"), Step::Nothing);
    assert_eq!(step(&ranges, &others, "gone"), Step::Nothing);
}

#[test]
fn a_claim_that_another_node_shows_too_is_given_up() {
    let ranges = ranges(&[("10.244.0.0/22", 24)]);
    for other in [
        node("b", "10.244.1.0/24", &[]),
        node("b", "", &["10.244.1.0/24"]),
        node("b", "", &["10.244.0.0/23"]),
    ] {
        let nodes = [node("a", "10.244.1.0/24", &[]), other];
        let Step::Claim(next) = plan(&ranges, &nodes, &BTreeMap::new(), "a", 3) else {
            panic!("not given up")
        };
        assert_eq!(next, cidrs(&["10.244.3.0/24"]), "the next is looked for elsewhere");
    }
}

#[test]
fn a_claim_outside_of_the_ranges_is_replaced() {
    let ranges = ranges(&[("10.244.0.0/16", 24)]);
    for claim in ["10.1.0.0/24", "10.244.0.0/25", "nonsense", "10.244.0.0/24,fd00::/64"] {
        assert_eq!(
            step(&ranges, &[node("a", claim, &[])], "a"),
            Step::Claim(cidrs(&["10.244.0.0/24"])),
            "{claim}"
        );
    }
}

#[test]
fn both_families_get_a_block() {
    let ranges = ranges(&[("10.244.0.0/16", 24), ("fd00:10:244::/56", 64)]);
    let nodes = [node("a", "", &["10.244.0.0/24", "fd00:10:244::/64"]), node("b", "", &[])];
    assert_eq!(step(&ranges, &nodes, "b"), Step::Claim(cidrs(&["10.244.1.0/24", "fd00:10:244:1::/64"])));
    let nodes = [node("b", "10.244.1.0/24,fd00:10:244:1::/64", &[])];
    assert_eq!(step(&ranges, &nodes, "b"), Step::Settle(cidrs(&["10.244.1.0/24", "fd00:10:244:1::/64"])));
}

#[test]
fn nodes_with_ranges_of_other_sizes_and_places_are_respected() {
    let ranges = ranges(&[("10.244.0.0/22", 24)]);
    let nodes = [
        node("a", "", &["10.244.0.0/23", "192.0.2.0/24"]),
        node("b", "", &["10.244.2.7/32"]),
        node("c", "", &[]),
    ];
    assert_eq!(step(&ranges, &nodes, "c"), Step::Claim(cidrs(&["10.244.3.0/24"])));
    let nodes = [nodes.to_vec(), vec![node("d", "10.244.3.0/24", &[])]].concat();
    assert_eq!(step(&ranges, &nodes, "c"), Step::Exhausted(ranges.pools[0]));
}

#[test]
fn shared_ranges_are_told_of_the_younger_node() {
    let ranges = ranges(&[("10.244.0.0/16", 24)]);
    let nodes = [
        node("a", "", &["10.244.1.0/24"]),
        node("b", "", &["10.244.1.0/25"]),
        node("c", "", &["10.244.2.0/24"]),
    ];
    assert_eq!(step(&ranges, &nodes, "a"), Step::Nothing);
    assert_eq!(step(&ranges, &nodes, "b"), Step::SharesWith("a".into()));
    assert_eq!(step(&ranges, &nodes, "c"), Step::Nothing);
}

/// A store of nodes with all its former states, and leaders who see it late and whose writes arrive late.
struct World {
    ranges: Ranges,
    states: Vec<BTreeMap<String, (usize, Arc<Node>)>>,
    leaders: [Leader; 2],
}

#[derive(Default)]
struct Leader {
    seen: usize,
    ours: BTreeMap<String, Vec<Cidr>>,
    /// Sent, not arrived: the name, the revision of the node that it is meant for, the step.
    on_the_way: Vec<(String, usize, Step)>,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    Register(u8),
    Delete(u8),
    /// A leader sees this many states more.
    Look(usize, usize),
    /// A leader decides about a node.
    Decide(usize, u8, u32),
    /// One of a leader's writes arrives.
    Arrive(usize, usize),
    /// A leader forgets everything: another process leads.
    Restart(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..6_u8).prop_map(Event::Register),
        1 => (0..6_u8).prop_map(Event::Delete),
        4 => (0..2_usize, 1..4_usize).prop_map(|(leader, by)| Event::Look(leader, by)),
        6 => (0..2_usize, 0..6_u8, 0..8_u32).prop_map(|(leader, node, start)| Event::Decide(leader, node, start)),
        5 => (0..2_usize, 0..8_usize).prop_map(|(leader, at)| Event::Arrive(leader, at)),
        1 => (0..2_usize).prop_map(Event::Restart),
    ]
}

impl World {
    fn new() -> Self {
        Self {
            ranges: ranges(&[("10.244.0.0/21", 24)]),
            states: vec![BTreeMap::new()],
            leaders: Default::default(),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<String, (usize, Arc<Node>)>, usize)) {
        let mut next = self.states.last().unwrap().clone();
        change(&mut next, self.states.len());
        self.states.push(next);
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Register(at) => self.change(|nodes, revision| {
                let name = format!("n{at}");
                let new = node(&name, "", &[]);
                nodes.entry(name).or_insert((revision, new));
            }),
            Event::Delete(at) => self.change(|nodes, _| drop(nodes.remove(&format!("n{at}")))),
            Event::Look(leader, by) => {
                let seen = self.leaders[leader].seen + by;
                self.leaders[leader].seen = seen.min(self.states.len() - 1);
            }
            Event::Decide(leader, at, start) => self.decide(leader, &format!("n{at}"), start),
            Event::Arrive(leader, at) if at < self.leaders[leader].on_the_way.len() => {
                let (name, revision, step) = self.leaders[leader].on_the_way.remove(at);
                self.write(&name, revision, &step);
            }
            Event::Arrive(..) => {}
            Event::Restart(leader) => {
                let on_the_way = std::mem::take(&mut self.leaders[leader].on_the_way);
                self.leaders[leader] =
                    Leader { seen: self.states.len() - 1, on_the_way, ..Leader::default() };
            }
        }
    }

    fn decide(&mut self, leader: usize, name: &str, start: u32) {
        let leader = &mut self.leaders[leader];
        let seen = &self.states[leader.seen];
        let nodes: Vec<_> = seen.values().map(|(_, node)| Arc::clone(node)).collect();
        let step = plan(&self.ranges, &nodes, &leader.ours, name, start);
        match &step {
            Step::Claim(blocks) => drop(leader.ours.insert(name.to_owned(), blocks.clone())),
            Step::Settle(_) => {}
            Step::Nothing | Step::Exhausted(_) | Step::SharesWith(_) => return,
        }
        leader.on_the_way.push((name.to_owned(), seen[name].0, step));
    }

    /// Refused, as by the server, unless the node is at that revision.
    fn write(&mut self, name: &str, revision: usize, step: &Step) {
        if self.states.last().unwrap().get(name).is_none_or(|(current, _)| *current != revision) {
            return;
        }
        let (texts, settles) = match step {
            Step::Claim(blocks) => (blocks.iter().map(ToString::to_string).collect::<Vec<_>>(), false),
            Step::Settle(blocks) => (blocks.iter().map(ToString::to_string).collect(), true),
            other => panic!("nothing to write: {other:?}"),
        };
        let held: Vec<&str> = texts.iter().map(String::as_str).collect();
        let new = if settles { node(name, "", &held) } else { node(name, &texts.join(","), &[]) };
        self.change(|nodes, revision| drop(nodes.insert(name.to_owned(), (revision, new))));
    }

    fn check(&self) {
        let nodes = self.states.last().unwrap();
        let held: Vec<Cidr> = nodes.values().flat_map(|(_, node)| pod_cidrs(node)).collect();
        for (at, one) in held.iter().enumerate() {
            assert!(
                !held[at + 1..].iter().any(|other| one.overlaps(*other)),
                "{one} is given twice: {held:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn two_leaders_never_give_one_range_twice(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
            world.check();
        }
        // In the end one of them leads alone and sees everything.
        for _ in 0..6 {
            for at in 0..6_u8 {
                let last = world.states.len();
                world.happen(&Event::Look(0, last));
                world.decide(0, &format!("n{at}"), u32::from(at));
                while !world.leaders[0].on_the_way.is_empty() {
                    world.happen(&Event::Arrive(0, 0));
                }
                world.check();
            }
        }
        for (_, node) in world.states.last().unwrap().values() {
            prop_assert!(has_addresses(node), "{:?} has nothing", node.metadata.name);
        }
    }
}
