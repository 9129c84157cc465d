//! Nodes that do not hear each other.
//!
//! In: how many nodes there are, and who leads. Out: the pairs (from, to) whose packets are dropped. The shapes are pure;
//! the switch of the lab does the rest. A partition replaces the one before it.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::{Fault, Felt, Hit, Injected, Injection, Obstacle, Since};
use crate::cluster::{Cluster, Whom};
use crate::failure::Result;
use crate::lab::network::Dropped;

/// Pairs (from, to) between which nothing passes.
type Cuts = BTreeSet<(usize, usize)>;

/// A shape of partition. Nodes come in the order of a draw.
pub(super) struct Partition {
    /// Whether the first node of the draw is the leader.
    leader_first: bool,
    /// The cuts among the nodes of the draw; a number from 1 to the size of a minority is drawn, too.
    shape: fn(&[usize], usize) -> Cuts,
    /// With fewer nodes the shape cuts nothing.
    nodes: usize,
}

pub(super) const HALVES: Partition = Partition { leader_first: false, shape: halves, nodes: 2 };
pub(super) const LEADER: Partition =
    Partition { leader_first: true, shape: |drawn, _| halves(drawn, 1), nodes: 2 };
pub(super) const ONE_WAY: Partition = Partition { leader_first: false, shape: one_way, nodes: 2 };
pub(super) const RING: Partition = Partition { leader_first: false, shape: ring, nodes: 5 };
pub(super) const BRIDGE: Partition = Partition { leader_first: false, shape: bridge, nodes: 3 };

fn halves(drawn: &[usize], few: usize) -> Cuts {
    both_ways(&drawn[..few], &drawn[few..])
}

fn one_way(drawn: &[usize], few: usize) -> Cuts {
    let (mute, others) = drawn.split_at(few);
    mute.iter().flat_map(|from| others.iter().map(move |to| (*from, *to))).collect()
}

/// Every node hears its neighbours on a circle, as many as make a majority with itself.
fn ring(drawn: &[usize], _: usize) -> Cuts {
    let count = drawn.len();
    let near = (count / 2).div_ceil(2);
    let distance = |a: usize, b: usize| a.abs_diff(b).min(count - a.abs_diff(b));
    let pairs = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
    pairs.filter(|(a, b)| distance(*a, *b) > near).map(|(a, b)| (drawn[a], drawn[b])).collect()
}

/// The first node of the draw hears all.
fn bridge(drawn: &[usize], _: usize) -> Cuts {
    let others = &drawn[1..];
    let (one, other) = others.split_at(others.len() / 2);
    both_ways(one, other)
}

fn both_ways(one: &[usize], other: &[usize]) -> Cuts {
    let there = one.iter().flat_map(|from| other.iter().map(move |to| (*from, *to)));
    there.flat_map(|(from, to)| [(from, to), (to, from)]).collect()
}

impl Fault for Partition {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let count = cluster.nodes.len();
            if count < self.nodes {
                return Err(Obstacle::not_now(format!("it takes {} nodes", self.nodes)));
            }
            let mut drawn: Vec<_> = (0..count).collect();
            drawn.shuffle(random);
            if self.leader_first {
                let leader = cluster.pick(Whom::Leader, random).await?;
                drawn.sort_by_key(|node| !leader.contains(node));
            }
            let few = random.random_range(1..=cluster.minority().max(1));
            let cuts = (self.shape)(&drawn, few);
            cluster.network.cut(&cuts).await?;
            let cut_off: BTreeSet<_> = cuts.iter().map(|(from, _)| *from).collect();
            Ok(Injected::Until(Hit::of(cut_off.into_iter().collect())))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            let dropped = cluster.network.dropped(Dropped::ByCut).await?;
            cluster.network.cut(&Cuts::new()).await?;
            Ok(Felt::counted(dropped, "packets were cut off"))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: [usize; 5] = [3, 1, 4, 0, 2];

    /// Those whom a node hears, itself included.
    fn heard(cuts: &Cuts, node: usize) -> BTreeSet<usize> {
        (0..5).filter(|other| !cuts.contains(&(*other, node))).collect()
    }

    #[test]
    fn halves_hear_only_themselves() {
        let cuts = halves(&FIVE, 2);
        assert_eq!(heard(&cuts, 3), BTreeSet::from([1, 3]));
        assert_eq!(heard(&cuts, 4), BTreeSet::from([0, 2, 4]));
    }

    #[test]
    fn a_mute_node_hears_everybody() {
        let cuts = one_way(&FIVE, 1);
        assert_eq!(heard(&cuts, 3).len(), 5);
        assert_eq!(heard(&cuts, 0), BTreeSet::from([0, 1, 2, 4]));
    }

    #[test]
    fn on_a_ring_everybody_hears_another_majority() {
        let cuts = ring(&FIVE, 1);
        let all: BTreeSet<_> = (0..5).map(|node| heard(&cuts, node)).collect();
        assert_eq!(all.len(), 5);
        assert!(all.iter().all(|heard| heard.len() == 3), "{all:?}");
        assert!(cuts.iter().all(|(from, to)| cuts.contains(&(*to, *from))));
    }

    #[test]
    fn over_a_bridge_the_halves_share_one_node() {
        let cuts = bridge(&FIVE, 1);
        assert_eq!(heard(&cuts, 3).len(), 5);
        assert_eq!(heard(&cuts, 1), BTreeSet::from([1, 3, 4]));
        assert_eq!(heard(&cuts, 0), BTreeSet::from([0, 2, 3]));
    }
}
