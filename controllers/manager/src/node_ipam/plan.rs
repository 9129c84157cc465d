//! Which node gets which addresses for its pods: pure.
//!
//! In: the cluster's ranges, a snapshot of all nodes, and what this process has claimed since. Out: the next step for
//! one node. A podCIDR cannot be taken back, and no write to one node conflicts with a write to another, so a range is
//! given in two steps:
//!
//! 1. *Claim*: the range is written into an annotation of the node, which everybody sees.
//! 2. *Settle*: once a snapshot shows the claim and no other node that claims or has the range, it becomes the podCIDR,
//!    on condition that the node is as in that snapshot. If another node shows the range, the claim is given up for
//!    another one.
//!
//! Two leaders cannot settle one range for two nodes: snapshots contain every write up to a revision, so whoever wrote
//! the later of the two claims, or settles on it, has the other claim in the snapshot and gives up. A leader that dies
//! between the steps leaves a claim that the next one settles.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::cidr::{Cidr, Pool, PoolError};

/// The annotation with the ranges that are about to become a node's podCIDRs, separated by commas.
pub(super) const CLAIM_ANNOTATION: &str = "keelson.dev/pod-cidr-claim";

/// Where the addresses come from: a range per family, the first one's blocks are the nodes' `podCIDR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranges {
    pub(super) pools: Vec<Pool>,
}

/// Why no addresses can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RangesError {
    /// A text is none.
    #[error(
        "the cluster CIDR {0:?} is no range of addresses: write it like 10.244.0.0/16 or fd00:10:244::/56"
    )]
    NoCidr(String),
    /// A range cannot be cut so.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// One family is there twice.
    #[error("the cluster CIDR {0} is the second of its family: give at most one for IPv4 and one for IPv6")]
    SameFamily(String),
}

/// The next step for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It has its ranges, or is gone.
    Nothing,
    /// Write these into the annotation.
    Claim(Vec<Cidr>),
    /// Make these the podCIDRs, and take the annotation away.
    Settle(Vec<Cidr>),
    /// All blocks of this pool are taken.
    Exhausted(Pool),
    /// It shares addresses with a node that was there before: somebody has set podCIDRs by hand.
    SharesWith(String),
}

/// Decides what to do about the node with this name. `ours` are claims of this process, by node: the snapshot may not
/// show them yet. A claim that has to be given up is replaced from block number `start` on.
pub(super) fn plan(
    ranges: &Ranges,
    nodes: &[Arc<Node>],
    ours: &BTreeMap<String, Vec<Cidr>>,
    name: &str,
    start: u32,
) -> Step {
    let Some(node) = nodes.iter().find(|node| node.metadata.name.as_deref() == Some(name)) else {
        return Step::Nothing;
    };
    let others = nodes.iter().filter(|other| other.metadata.name != node.metadata.name);
    if has_addresses(node) {
        let held = pod_cidrs(node);
        let sharing = others
            .filter(|other| overlap(&held, &pod_cidrs(other)) && is_earlier(other, node))
            .min_by(by_age);
        return sharing.map_or(Step::Nothing, |other| {
            Step::SharesWith(other.metadata.name.clone().unwrap_or_default())
        });
    }
    let mut taken = Vec::new();
    for other in others {
        taken.extend(pod_cidrs(other));
        taken.extend(claim(other));
        taken.extend(ours.get(other.metadata.name.as_deref().unwrap_or_default()).into_iter().flatten());
    }
    let claimed = claim(node);
    if ranges.fits(&claimed) && !overlap(&claimed, &taken) {
        return Step::Settle(claimed);
    }
    let start = if claimed.is_empty() { 0 } else { start };
    let mut blocks = Vec::with_capacity(ranges.pools.len());
    for pool in &ranges.pools {
        match free(*pool, &taken, start) {
            Some(block) => blocks.push(block),
            None => return Step::Exhausted(*pool),
        }
    }
    if blocks.is_empty() { Step::Nothing } else { Step::Claim(blocks) }
}

impl Ranges {
    /// These ranges, in blocks with prefixes of these lengths: for IPv4 and for IPv6.
    pub(super) fn new(texts: &[String], (ipv4, ipv6): (u8, u8)) -> Result<Self, RangesError> {
        let mut pools: Vec<Pool> = Vec::new();
        for text in texts {
            let range: Cidr = text.parse().map_err(|_| RangesError::NoCidr(text.clone()))?;
            let pool = Pool::new(range, if range.is_ipv4() { ipv4 } else { ipv6 })?;
            if pools.iter().any(|other| other.is_ipv4() == pool.is_ipv4()) {
                return Err(RangesError::SameFamily(text.clone()));
            }
            pools.push(pool);
        }
        Ok(Self { pools })
    }

    /// Whether these are one block of each pool.
    fn fits(&self, blocks: &[Cidr]) -> bool {
        !blocks.is_empty()
            && blocks.len() == self.pools.len()
            && self.pools.iter().zip(blocks).all(|(pool, block)| pool.has(*block))
    }
}

/// The first free block, counted around from a number.
fn free(pool: Pool, taken: &[Cidr], start: u32) -> Option<Cidr> {
    let mut is_taken = vec![false; pool.len() as usize];
    for numbers in taken.iter().filter_map(|range| pool.numbers(*range)) {
        is_taken[*numbers.start() as usize..=*numbers.end() as usize].fill(true);
    }
    let start = start % pool.len();
    let mut numbers = (start..pool.len()).chain(0..start);
    numbers.find(|at| !is_taken[*at as usize]).map(|at| pool.block(at))
}

fn overlap(some: &[Cidr], others: &[Cidr]) -> bool {
    some.iter().any(|range| others.iter().any(|other| range.overlaps(*other)))
}

/// The addresses of a node's pods, as far as they can be read.
fn pod_cidrs(node: &Node) -> Vec<Cidr> {
    let Some(spec) = &node.spec else { return Vec::new() };
    let listed = spec.pod_cidrs.iter().flatten().filter(|text| !text.is_empty());
    listed.chain(&spec.pod_cidr).filter_map(|text| text.parse().ok()).fold(Vec::new(), |mut all, cidr| {
        if !all.contains(&cidr) {
            all.push(cidr);
        }
        all
    })
}

/// Whether a node has podCIDRs, be they ever so odd: they cannot be changed.
pub(super) fn has_addresses(node: &Node) -> bool {
    let Some(spec) = &node.spec else { return false };
    spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr).any(|text| !text.is_empty())
}

/// What is claimed for a node.
fn claim(node: &Node) -> Vec<Cidr> {
    let text = node.metadata.annotations.as_ref().and_then(|all| all.get(CLAIM_ANNOTATION));
    text.into_iter().flat_map(|text| text.split(',')).filter_map(|text| text.trim().parse().ok()).collect()
}

fn is_earlier(node: &Node, than: &Node) -> bool {
    age(node) < age(than)
}

fn by_age(some: &&Arc<Node>, other: &&Arc<Node>) -> Ordering {
    age(some).cmp(&age(other))
}

fn age(node: &Node) -> impl Ord + '_ {
    (node.metadata.creation_timestamp.as_ref(), node.metadata.name.as_deref())
}

#[cfg(test)]
mod tests;
