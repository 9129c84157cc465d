//! Cycles of dependencies, by name.
//!
//! In: the graph. Out: for each group of transactions that depend on each other in a circle, a short cycle, named after
//! what it takes: G0 (writes alone), G1c (and reads), G-single (one did not see the other), G2 (several did not), each
//! also with the order of a process or of real time.
//!
//! Whether there is a cycle at all is decided exactly (Tarjan's components), and each group has one in the answer. It is
//! the most telling one that a bounded search finds; where that gives up, any one that there is. Deliberately absent: all
//! other cycles.

use std::collections::VecDeque;

use super::graph::{Graph, Kind, Node};
use super::transactions::TxnId;

/// How many groups are explained.
const MAX_GROUPS: usize = 20;

/// How many cycles are compared to find a short one.
const MAX_STARTS: usize = 200;

/// How many edges the search for one name may look at.
pub(super) const MAX_LOOKED_AT: usize = 5_000_000;

/// A circle of transactions, each of which comes before the next, and the last before the first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cycle {
    pub(super) class: &'static str,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: TxnId,
    /// Why it comes before the next one.
    pub(super) kind: Kind,
}

/// Which edges a cycle may take.
#[derive(Clone, Copy)]
struct Allowed {
    /// The weakest dependency.
    dependency: Kind,
    order: Scope,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Plain,
    Process,
    Realtime,
    Both,
}

impl Allowed {
    fn has(self, kind: Kind) -> bool {
        match kind {
            Kind::Ww | Kind::Wr | Kind::Rw => kind <= self.dependency,
            Kind::Process => matches!(self.order, Scope::Process | Scope::Both),
            Kind::Realtime => matches!(self.order, Scope::Realtime | Scope::Both),
            Kind::Free => true,
        }
    }
}

#[derive(Clone, Copy)]
enum Shape {
    /// Any cycle of these dependencies.
    Any(Kind),
    /// A cycle in which exactly one did not see another.
    OneUnseen,
}

/// From the strongest contradiction to the weakest: the first that is found names the cycle.
const NAMES: [(&str, Shape, Scope); 12] = [
    ("G0", Shape::Any(Kind::Ww), Scope::Plain),
    ("G1c", Shape::Any(Kind::Wr), Scope::Plain),
    ("G-single", Shape::OneUnseen, Scope::Plain),
    ("G2", Shape::Any(Kind::Rw), Scope::Plain),
    ("G0-process", Shape::Any(Kind::Ww), Scope::Process),
    ("G1c-process", Shape::Any(Kind::Wr), Scope::Process),
    ("G-single-process", Shape::OneUnseen, Scope::Process),
    ("G2-process", Shape::Any(Kind::Rw), Scope::Process),
    ("G0-realtime", Shape::Any(Kind::Ww), Scope::Realtime),
    ("G1c-realtime", Shape::Any(Kind::Wr), Scope::Realtime),
    ("G-single-realtime", Shape::OneUnseen, Scope::Realtime),
    ("G2-realtime", Shape::Any(Kind::Rw), Scope::Realtime),
];

/// One cycle for each group of transactions that form any; the search for each name may look at so many edges.
pub(super) fn find(graph: &Graph, budget: usize) -> Vec<Cycle> {
    let mut groups = components(graph, |_| true);
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort_unstable();
    groups.iter().take(MAX_GROUPS).map(|group| of_group(&graph.part(group), budget)).collect()
}

fn of_group(group: &Graph, budget: usize) -> Cycle {
    let named = NAMES.iter().find_map(|(class, shape, order)| {
        let steps = match shape {
            Shape::Any(dependency) => {
                any_cycle(group, Allowed { dependency: *dependency, order: *order }, budget)
            }
            Shape::OneUnseen => one_unseen(group, Allowed { dependency: Kind::Wr, order: *order }, budget),
        };
        steps.map(|steps| Cycle { class, steps })
    });
    named.unwrap_or_else(|| whatever_there_is(group))
}

/// The shortest cycle through one transaction of the group: every one of a group is on some. Looks at each edge once.
fn whatever_there_is(group: &Graph) -> Cycle {
    let start = (0..group.len() as Node).find(|&node| group.txn(node).is_some()).unwrap_or_default();
    let all = Allowed { dependency: Kind::Rw, order: Scope::Both };
    let mut unlimited = usize::MAX;
    let around = shortest(group, start, start, all, &mut unlimited);
    let steps = steps(group, &around.expect("in a group everyone reaches everyone, itself, too"));
    Cycle { class: name_of(&steps), steps }
}

/// The name of a cycle that was not looked for by name.
fn name_of(steps: &[Step]) -> &'static str {
    let has = |kind| steps.iter().any(|step| step.kind == kind);
    let order = match (has(Kind::Realtime), has(Kind::Process)) {
        (true, _) => Scope::Realtime,
        (false, true) => Scope::Process,
        (false, false) => Scope::Plain,
    };
    let unseen = steps.iter().filter(|step| step.kind == Kind::Rw).count();
    let fits = |shape: &Shape| match shape {
        Shape::Any(Kind::Ww) => unseen == 0 && !has(Kind::Wr),
        Shape::Any(Kind::Wr) => unseen == 0,
        Shape::OneUnseen => unseen == 1,
        Shape::Any(_) => true,
    };
    let named = NAMES.iter().find(|(_, shape, scope)| *scope == order && fits(shape));
    named.map_or("cycle", |(class, ..)| class)
}

fn any_cycle(group: &Graph, allowed: Allowed, mut budget: usize) -> Option<Vec<Step>> {
    let inner = components(group, |kind| allowed.has(kind));
    let smallest = inner.into_iter().min_by_key(Vec::len)?;
    let part = group.part(&smallest);
    let starts = (0..part.len() as Node).filter(|&node| part.txn(node).is_some()).take(MAX_STARTS);
    let mut best: Option<Vec<Step>> = None;
    for start in starts {
        let around = shortest(&part, start, start, allowed, &mut budget);
        best = shorter(best, around.map(|path| steps(&part, &path)));
    }
    best
}

fn one_unseen(group: &Graph, allowed: Allowed, mut budget: usize) -> Option<Vec<Step>> {
    let mut best: Option<Vec<Step>> = None;
    let nodes = 0..group.len() as Node;
    let unseen = nodes.flat_map(|node| group.edges(node).iter().map(move |(to, kind)| (node, *to, *kind)));
    for (reader, writer, _) in unseen.filter(|(_, _, kind)| *kind == Kind::Rw).take(MAX_STARTS) {
        let Some(mut path) = shortest(group, writer, reader, allowed, &mut budget) else { continue };
        path.insert(0, (reader, Kind::Rw));
        best = shorter(best, Some(steps(group, &path)));
    }
    best
}

fn shorter(a: Option<Vec<Step>>, b: Option<Vec<Step>>) -> Option<Vec<Step>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.len() < a.len() { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn steps(graph: &Graph, path: &[(Node, Kind)]) -> Vec<Step> {
    path.iter().filter_map(|(node, kind)| Some(Step { from: graph.txn(*node)?, kind: *kind })).collect()
}

/// The shortest way from one node to another by at least one edge: each node on it but the last, with the edge that
/// leaves it. Steps that are free count nothing.
fn shortest(
    graph: &Graph,
    from: Node,
    to: Node,
    allowed: Allowed,
    budget: &mut usize,
) -> Option<Vec<(Node, Kind)>> {
    const FAR: u32 = u32::MAX;
    let mut distance = vec![FAR; graph.len()];
    let mut came_by: Vec<Option<(Node, Kind)>> = vec![None; graph.len()];
    let mut queue = VecDeque::from([(from, 0)]);
    while let Some((node, so_far)) = queue.pop_front() {
        if node == to && came_by[to as usize].is_some() {
            return Some(way_back(&came_by, from, to));
        }
        let edges = graph.edges(node);
        *budget = budget.checked_sub(edges.len())?;
        for (next, kind) in edges.iter().filter(|(_, kind)| allowed.has(*kind)) {
            let free = *kind == Kind::Free;
            let length = so_far + u32::from(!free);
            if length >= distance[*next as usize] {
                continue;
            }
            distance[*next as usize] = length;
            came_by[*next as usize] = Some((node, *kind));
            if free {
                queue.push_front((*next, length));
            } else {
                queue.push_back((*next, length));
            }
        }
    }
    None
}

fn way_back(came_by: &[Option<(Node, Kind)>], from: Node, to: Node) -> Vec<(Node, Kind)> {
    let mut path = Vec::new();
    let mut node = to;
    while let Some((before, kind)) = came_by[node as usize] {
        path.push((before, kind));
        node = before;
        if node == from {
            break;
        }
    }
    path.reverse();
    path
}

/// Groups of nodes that reach each other over edges that are allowed (Tarjan, without recursion); single nodes are left
/// out, because no node has an edge to itself.
fn components(graph: &Graph, allowed: impl Fn(Kind) -> bool) -> Vec<Vec<Node>> {
    let mut tarjan = Tarjan {
        index: vec![0; graph.len()],
        low: vec![0; graph.len()],
        on_stack: vec![false; graph.len()],
        stack: Vec::new(),
        next: 1,
        found: Vec::new(),
    };
    for root in 0..graph.len() as Node {
        if tarjan.index[root as usize] == 0 {
            tarjan.visit(graph, root, &allowed);
        }
    }
    tarjan.found
}

struct Tarjan {
    /// In which order nodes were met, from 1; 0: not yet.
    index: Vec<u32>,
    low: Vec<u32>,
    on_stack: Vec<bool>,
    stack: Vec<Node>,
    next: u32,
    found: Vec<Vec<Node>>,
}

impl Tarjan {
    fn visit(&mut self, graph: &Graph, root: Node, allowed: &impl Fn(Kind) -> bool) {
        let mut path = vec![(root, 0_usize)];
        self.enter(root);
        while let Some((node, place)) = path.last_mut() {
            let at = *node as usize;
            let Some((next, kind)) = graph.edges(*node).get(*place) else {
                let node = *node;
                path.pop();
                if let Some((parent, _)) = path.last() {
                    let parent = *parent as usize;
                    self.low[parent] = self.low[parent].min(self.low[at]);
                }
                self.leave(node);
                continue;
            };
            *place += 1;
            if !allowed(*kind) {
                continue;
            }
            if self.index[*next as usize] == 0 {
                self.enter(*next);
                path.push((*next, 0));
            } else if self.on_stack[*next as usize] {
                self.low[at] = self.low[at].min(self.index[*next as usize]);
            }
        }
    }

    fn enter(&mut self, node: Node) {
        let at = node as usize;
        (self.index[at], self.low[at], self.on_stack[at]) = (self.next, self.next, true);
        self.next += 1;
        self.stack.push(node);
    }

    fn leave(&mut self, node: Node) {
        if self.low[node as usize] != self.index[node as usize] {
            return;
        }
        let mut group = Vec::new();
        while let Some(member) = self.stack.pop() {
            self.on_stack[member as usize] = false;
            group.push(member);
            if member == node {
                break;
            }
        }
        if group.len() > 1 {
            self.found.push(group);
        }
    }
}
