//! Whatever happens in whatever order, no node is promised more than it has.
//!
//! The truth is what the API holds. The scheduler hears of it late, by kind in order, and its bindings succeed, fail or
//! come too late. It is the only one that binds, and nodes do not shrink: then the truth must never be too much.

use keelson_controller_runtime::pod::Pod;

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::observe::{Observation, Version};

const NODES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    CreatePod {
        cpu: u8,
        priority: u8,
        port: bool,
    },
    DeletePod(usize),
    /// A node comes, or goes and leaves its pods behind.
    ToggleNode(usize),
    /// The informers tell some of what they have not told yet.
    HearOfPods(u8),
    HearOfNodes(u8),
    Schedule(u8),
    /// The API answers a binding.
    Answer {
        which: usize,
        ok: bool,
    },
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..5u8, 0..3u8, any::<bool>())
            .prop_map(|(cpu, priority, port)| Step::CreatePod { cpu, priority, port }),
        2 => (0..20usize).prop_map(Step::DeletePod),
        1 => (0..NODES).prop_map(Step::ToggleNode),
        4 => (1..6u8).prop_map(Step::HearOfPods),
        2 => (1..4u8).prop_map(Step::HearOfNodes),
        4 => (1..4u8).prop_map(Step::Schedule),
        4 => (0..20usize, prop::bool::weighted(0.8)).prop_map(|(which, ok)| Step::Answer { which, ok }),
        2 => (0..15_000u16).prop_map(Step::Wait),
    ]
}

/// The API and the way to it.
struct World {
    cluster: Cluster,
    pods: BTreeMap<String, MakePod>,
    /// The nodes that the pods are on.
    homes: BTreeMap<String, String>,
    nodes: [bool; NODES],
    untold_pods: VecDeque<Version<Pod>>,
    untold_nodes: VecDeque<Observation>,
    bindings: Vec<Assumed>,
    created: usize,
}

fn node(at: usize) -> MakeNode {
    MakeNode::named(&format!("n{at}")).capacity("4", "64Gi").room("pods", "3")
}

impl World {
    fn new() -> Self {
        Self {
            cluster: Cluster::new([]),
            pods: BTreeMap::new(),
            homes: BTreeMap::new(),
            nodes: [false; NODES],
            untold_pods: VecDeque::new(),
            untold_nodes: VecDeque::new(),
            bindings: Vec::new(),
            created: 0,
        }
    }

    fn tell(&mut self, old: Option<MakePod>, new: Option<MakePod>) {
        let shared = |pod: MakePod| Arc::new(pod.pod());
        self.untold_pods.push_back(Version { old: old.map(shared), new: new.map(shared) });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::CreatePod { cpu, priority, port } => self.create(cpu, priority, port),
            Step::DeletePod(at) => {
                if let Some(name) = self.pods.keys().nth(at).cloned() {
                    self.delete(&name);
                }
            }
            Step::ToggleNode(at) => {
                self.nodes[at] = !self.nodes[at];
                let (there, gone) = (Some(node(at).node()), None);
                let (old, new) = if self.nodes[at] { (gone, there) } else { (there, gone) };
                self.untold_nodes.push_back(Observation::Node(Version { old, new }));
            }
            Step::HearOfPods(count) => {
                for version in self.untold_pods.drain(..self.untold_pods.len().min(count.into())) {
                    self.cluster.core.observe(Observation::Pod(version), self.cluster.now);
                }
            }
            Step::HearOfNodes(count) => {
                for change in self.untold_nodes.drain(..self.untold_nodes.len().min(count.into())) {
                    self.cluster.core.observe(change, self.cluster.now);
                }
            }
            Step::Schedule(count) => (0..count).for_each(|_| self.schedule()),
            Step::Answer { which, ok } => self.answer(which, ok),
            Step::Wait(millis) => self.cluster.pass(Duration::from_millis(millis.into())),
        }
    }

    fn create(&mut self, cpu: u8, priority: u8, port: bool) {
        self.created += 1;
        let name = format!("p{:03}", self.created);
        let mut pod = MakePod::named(&name).container(&cpu.to_string(), "1Gi").priority(priority.into());
        if port {
            pod = pod.host_port("TCP", "", 80);
        }
        self.pods.insert(name, pod.clone());
        self.tell(None, Some(pod));
    }

    fn delete(&mut self, name: &str) {
        if let Some(old) = self.pods.remove(name) {
            self.homes.remove(name);
            self.tell(Some(old), None);
        }
    }

    fn schedule(&mut self) {
        match self.cluster.attempt() {
            Some(Attempt::Assumed(assumed)) => self.bindings.push(assumed),
            Some(Attempt::Failed(Failure { nomination: Nomination::For(preemption), .. })) => {
                preemption.victims.iter().for_each(|victim| self.delete(&victim.key.name));
            }
            Some(Attempt::Failed(_) | Attempt::Skipped(_)) | None => {}
        }
    }

    fn answer(&mut self, which: usize, ok: bool) {
        if self.bindings.is_empty() {
            return;
        }
        let Assumed { queued, node, .. } = self.bindings.remove(which % self.bindings.len());
        let name = queued.info.key.name.clone();
        let error = match self.pods.get(&name).cloned() {
            Some(pod) if ok => {
                let bound = pod.clone().node(&node);
                self.pods.insert(name.clone(), bound.clone());
                self.homes.insert(name, node.to_string());
                return self.tell(Some(pod), Some(bound));
            }
            Some(_) => BindError::Failed("it did not please".into()),
            None => BindError::Settled,
        };
        let _ = self.cluster.core.bind_failed(queued, &node, &error, self.cluster.now);
    }

    /// The pods on a node, in truth.
    fn on(&self, node: &str) -> Vec<Arc<PodInfo>> {
        let here = self.homes.iter().filter(|(_, home)| *home == node);
        here.map(|(pod, _)| self.pods[pod].clone().info()).collect()
    }

    /// What is wrong with the truth.
    fn overcommitted(&self) -> Option<String> {
        (0..NODES).map(|at| format!("n{at}")).find_map(|node| {
            let pods = self.on(&node);
            let cpu: i64 = pods.iter().map(|pod| pod.requests.milli_cpu).sum();
            let ports = pods.iter().filter(|pod| !pod.host_ports.is_empty()).count();
            (cpu > 4000 || pods.len() > 3 || ports > 1).then(|| format!("{node}: {cpu}m, {pods:?}"))
        })
    }

    /// In the end all nodes are there, everybody hears everything, and every binding succeeds.
    fn come_to_rest(&mut self) -> Result<(), TestCaseError> {
        for at in (0..NODES).filter(|at| !self.nodes[*at]).collect::<Vec<_>>() {
            self.take(Step::ToggleNode(at));
        }
        for _ in 0..200 {
            self.take(Step::HearOfNodes(u8::MAX));
            self.take(Step::HearOfPods(u8::MAX));
            self.take(Step::Schedule(1));
            self.take(Step::Answer { which: 0, ok: true });
            self.take(Step::Wait(15_000));
            prop_assert_eq!(self.overcommitted(), None);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_node_is_promised_more_than_it_has(steps in proptest::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        (0..NODES).for_each(|at| world.take(Step::ToggleNode(at)));
        world.take(Step::HearOfNodes(2));
        for step in steps {
            world.take(step);
            prop_assert_eq!(world.overcommitted(), None);
        }
        world.come_to_rest()?;
        let homeless = world.pods.keys().find(|pod| !world.homes.contains_key(*pod));
        let empty = (0..NODES).find(|at| world.on(&format!("n{at}")).is_empty());
        prop_assert!(homeless.is_none() || empty.is_none(), "{:?} waits while n{:?} is empty", homeless, empty);
    }
}
