//! Faults of links and connections.

use std::{collections::BTreeSet, time::Duration};

use super::{Hit, Nemesis, Strike};
use crate::{Fault, Node, Weather, random::Random};

/// Directions that are cut.
pub(super) type Cuts = BTreeSet<(Node, Node)>;

impl Nemesis {
    /// Cuts links in the shape that the fault has.
    pub(super) fn cut(&self, strike: &mut Strike) -> Hit {
        let nodes: Vec<_> = self.inner.cluster.nodes().collect();
        let victim = self.victim(&mut strike.random);
        let random = &mut strike.random;
        let (cuts, hit) = match strike.step.fault {
            Fault::Isolate => (both_ways(&[victim], &without(&nodes, &[victim])), vec![victim]),
            Fault::OneWay => {
                let others = without(&nodes, &[victim]);
                let is_mute = random.percent(50);
                let cuts = if is_mute { one_way(&[victim], &others) } else { one_way(&others, &[victim]) };
                (cuts, vec![victim])
            }
            Fault::Halves => {
                let part = part(&nodes, random);
                (both_ways(&part, &without(&nodes, &part)), part)
            }
            Fault::Bridge if nodes.len() < 3 => return Err("a bridge needs two sides"),
            Fault::Bridge => {
                let sides = without(&nodes, &[victim]);
                let part = part(&sides, random);
                (both_ways(&part, &without(&sides, &part)), part)
            }
            Fault::Ring => (ring(&nodes).ok_or("a ring of three is whole")?, nodes.clone()),
            _ => {
                let clients: Vec<_> = self.inner.swarm.client_nodes().collect();
                let (some, part) = (part(&clients, random), part(&nodes, random));
                (both_ways(&some, &part), part)
            }
        };
        self.state().cuts.insert(strike.number, cuts);
        self.apply_cuts();
        Ok(hit)
    }

    /// Mends what a step has cut, unless another one has cut it, too.
    pub(super) fn mend(&self, number: u64) {
        self.state().cuts.remove(&number);
        self.apply_cuts();
    }

    fn apply_cuts(&self) {
        let cuts: Cuts = self.state().cuts.values().flatten().copied().collect();
        self.inner.cluster.network().cut(|from, to| cuts.contains(&(from, to)));
    }

    pub(super) fn worsen_weather(&self, strike: &mut Strike) -> Hit {
        let victim = self.victim(&mut strike.random);
        let random = &mut strike.random;
        let most_micros = random.pick(&[5000, 50_000, 300_000]);
        let weather = Weather { least_micros: 0, most_micros, loss_permille: random.pick(&[0, 20, 200]) };
        let is_everywhere = random.percent(50);
        let is_meant = |from, to| is_everywhere || from == victim || to == victim;
        self.inner.cluster.network().set_weather(weather, is_meant);
        Ok(if is_everywhere { self.inner.cluster.nodes().collect() } else { vec![victim] })
    }

    pub(super) fn reset(&self, strike: &mut Strike) -> Hit {
        let (is_meant, hit) = self.whose_connections(strike);
        self.inner.cluster.network().reset(is_meant);
        Ok(hit)
    }

    pub(super) fn stall(&self, strike: &mut Strike) -> Hit {
        let time = Duration::from_millis(strike.random.between(100, 5000));
        let (is_meant, hit) = self.whose_connections(strike);
        self.inner.cluster.network().stall(time, is_meant);
        Ok(hit)
    }

    fn whose_connections(&self, strike: &mut Strike) -> (impl Fn(Node, Node) -> bool + use<>, Vec<Node>) {
        let victim = self.victim(&mut strike.random);
        let is_everybody = strike.random.percent(30);
        let hit = if is_everybody { self.inner.cluster.nodes().collect() } else { vec![victim] };
        (move |from, to| is_everybody || from == victim || to == victim, hit)
    }
}

/// Some of them, at least one and not all.
fn part(nodes: &[Node], random: &mut Random) -> Vec<Node> {
    let masks = 1 << nodes.len();
    let mask = random.between(1, masks - 2);
    (0..).zip(nodes).filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, node)| *node).collect()
}

fn without(nodes: &[Node], out: &[Node]) -> Vec<Node> {
    nodes.iter().copied().filter(|node| !out.contains(node)).collect()
}

fn one_way(from: &[Node], to: &[Node]) -> Cuts {
    from.iter().flat_map(|from| to.iter().map(|to| (*from, *to))).collect()
}

fn both_ways(left: &[Node], right: &[Node]) -> Cuts {
    one_way(left, right).into_iter().chain(one_way(right, left)).collect()
}

/// Everything but neighbours; `None` where everybody is a neighbour.
fn ring(nodes: &[Node]) -> Option<Cuts> {
    let count = nodes.len();
    let are_apart = |a: usize, b: usize| a != b && (a + 1) % count != b && (b + 1) % count != a;
    let pairs = || (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
    let cuts: Cuts = pairs().filter(|(a, b)| are_apart(*a, *b)).map(|(a, b)| (nodes[a], nodes[b])).collect();
    (!cuts.is_empty()).then_some(cuts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_ring_of_five_each_reaches_two() {
        let nodes = [0, 1, 2, 3, 4].map(Node);
        let cuts = ring(&nodes).unwrap();
        for node in nodes {
            assert_eq!(cuts.iter().filter(|(from, _)| *from == node).count(), 2, "{node}");
        }
        assert!(ring(&nodes[..3]).is_none());
    }
}
