//! Dependencies between transactions as a graph.
//!
//! In: edges, and the times of the transactions. Out: for each node its edges, in one array. Real time would take an
//! edge for every pair; instead each end of a transaction is a node on a line, reached from the transaction and leading
//! to whoever begins after it. Steps along the line are free. Deliberately absent: cycles.

use rustc_hash::{FxHashMap, FxHashSet};

use super::transactions::{OPEN, Transactions, TxnId};

/// A transaction, or after those a helper: a point in time, or the middle of many edges.
pub(super) type Node = u32;

/// Why one comes before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The second replaces what the first wrote.
    Ww,
    /// The second read what the first wrote.
    Wr,
    /// The second replaces what the first read.
    Rw,
    /// One process did both.
    Process,
    /// The first ended before the second began.
    Realtime,
    /// It belongs to the step before it.
    Free,
}

impl Kind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Ww => "overwritten by",
            Self::Wr => "seen by",
            Self::Rw => "did not see",
            Self::Process => "same process before",
            Self::Realtime => "ended before",
            Self::Free => "on",
        }
    }
}

/// Edges as they are found.
pub(super) struct Edges {
    all: Vec<(Node, Node, Kind)>,
    next_helper: Node,
}

impl Edges {
    pub(super) fn new(transactions: &Transactions<'_>) -> Self {
        Self { all: Vec::new(), next_helper: transactions.len() as Node }
    }

    pub(super) fn add(&mut self, from: TxnId, to: TxnId, kind: Kind) {
        if from != to {
            self.all.push((from, to, kind));
        }
    }

    /// From each of the ones to each of the others, by way of a helper where that is shorter.
    pub(super) fn all_to_all(&mut self, from: &[TxnId], to: &[TxnId], kind: Kind) {
        let targets: FxHashSet<TxnId> = to.iter().copied().collect();
        // Nobody may reach itself through the helper.
        let (both, only_from): (Vec<TxnId>, Vec<TxnId>) =
            from.iter().partition(|from| targets.contains(from));
        both.iter().for_each(|&from| to.iter().for_each(|&to| self.add(from, to, kind)));
        if only_from.len() < 2 || to.len() < 2 {
            only_from.iter().for_each(|&from| to.iter().for_each(|&to| self.add(from, to, kind)));
            return;
        }
        let helper = self.helper();
        self.all.extend(only_from.iter().map(|&from| (from, helper, kind)));
        self.all.extend(to.iter().map(|&to| (helper, to, Kind::Free)));
    }

    fn helper(&mut self) -> Node {
        self.next_helper += 1;
        self.next_helper - 1
    }

    /// What is known without looking at keys: who ended before whom began, and what one process did.
    fn add_times(&mut self, transactions: &Transactions<'_>) {
        let committed = || transactions.iter().filter(|(id, _)| transactions.is_committed(*id));
        let mut ends: Vec<(u64, TxnId)> =
            committed().filter(|(_, txn)| txn.ended != OPEN).map(|(id, txn)| (txn.ended, id)).collect();
        ends.sort_unstable();
        let line: Vec<Node> = ends.iter().map(|_| self.helper()).collect();
        self.all.extend(ends.iter().zip(&line).map(|((_, id), &point)| (*id, point, Kind::Realtime)));
        self.all.extend(line.windows(2).map(|pair| (pair[0], pair[1], Kind::Free)));
        for (id, txn) in committed() {
            let ended_before = ends.partition_point(|(ended, _)| *ended < txn.invoked);
            if let Some(place) = ended_before.checked_sub(1) {
                self.all.push((line[place], id, Kind::Free));
            }
        }
        let mut by_process: Vec<_> = committed().map(|(id, txn)| (txn.process, txn.invoked, id)).collect();
        by_process.sort_unstable();
        for pair in by_process.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            self.all.push((pair[0].2, pair[1].2, Kind::Process));
        }
    }
}

/// Edges by the node that they leave.
pub(super) struct Graph {
    starts: Vec<u32>,
    edges: Vec<(Node, Kind)>,
    /// What each node is called outside; below this many, transactions.
    names: Vec<Node>,
    transactions: Node,
}

impl Graph {
    pub(super) fn new(transactions: &Transactions<'_>, mut edges: Edges) -> Self {
        edges.add_times(transactions);
        let names = (0..edges.next_helper).collect();
        Self::build(names, &edges.all, transactions.len() as Node)
    }

    fn build(names: Vec<Node>, all: &[(Node, Node, Kind)], transactions: Node) -> Self {
        let mut starts = vec![0_u32; names.len() + 1];
        for (from, ..) in all {
            starts[*from as usize + 1] += 1;
        }
        for node in 1..starts.len() {
            starts[node] += starts[node - 1];
        }
        let mut places = starts.clone();
        let mut edges = vec![(0, Kind::Free); all.len()];
        for (from, to, kind) in all {
            let place = &mut places[*from as usize];
            edges[*place as usize] = (*to, *kind);
            *place += 1;
        }
        Self { starts, edges, names, transactions }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn edges(&self, node: Node) -> &[(Node, Kind)] {
        let node = node as usize;
        &self.edges[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The transaction that a node is; `None`: a helper.
    pub(super) fn txn(&self, node: Node) -> Option<TxnId> {
        let name = self.names[node as usize];
        (name < self.transactions).then_some(name)
    }

    /// These nodes, and the edges between them.
    pub(super) fn part(&self, nodes: &[Node]) -> Self {
        let numbers: FxHashMap<Node, Node> = nodes.iter().copied().zip(0..).collect();
        let names = nodes.iter().map(|&node| self.names[node as usize]).collect();
        let inside = nodes.iter().flat_map(|node| {
            self.edges(*node).iter().filter_map(|(to, kind)| Some((numbers[node], *numbers.get(to)?, *kind)))
        });
        let inside: Vec<_> = inside.collect();
        Self::build(names, &inside, self.transactions)
    }
}
