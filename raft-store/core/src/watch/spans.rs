//! Which watchers' spans hold a key: an interval tree.
//!
//! In: spans with their watchers. Out: the watchers of every span that holds a key, in time that grows with
//! the number of answers and the logarithm of the number of spans.
//!
//! A treap: a binary tree in the order of the spans that is also a heap by a number drawn from each span's
//! hash, which keeps it flat without bookkeeping and makes its shape a function of what is in it. Every node
//! knows the greatest end below it, so that a search leaves out what ends too early.

use std::{cmp::Ordering, mem};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::hub::WatcherId;

/// Spans and their watchers.
#[derive(Debug)]
pub(super) struct Spans {
    root: Tree,
}

type Tree = Option<Box<Node>>;

/// Where a span ends. Ordered, so that no end is the last one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Before(Bytes),
    Never,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    start: Bytes,
    end: End,
}

#[derive(Debug)]
struct Node {
    span: Span,
    /// Sorted.
    watchers: Vec<WatcherId>,
    priority: u64,
    /// The greatest end in this tree.
    max_end: End,
    left: Tree,
    right: Tree,
}

impl Spans {
    pub(super) const fn new() -> Self {
        Self { root: None }
    }

    /// Adds a watcher to a span.
    pub(super) fn insert(&mut self, start: Bytes, end: Option<Bytes>, watcher: WatcherId) {
        insert(&mut self.root, Span::new(start, end), watcher);
    }

    /// Removes a watcher from a span. A no-op when it is not there.
    pub(super) fn remove(&mut self, start: Bytes, end: Option<Bytes>, watcher: WatcherId) {
        remove(&mut self.root, &Span::new(start, end), watcher);
    }

    /// Calls `found` with each watcher of each span that holds the key.
    pub(super) fn holding(&self, key: &[u8], found: &mut dyn FnMut(WatcherId)) {
        holding(&self.root, key, found);
    }
}

impl Span {
    fn new(start: Bytes, end: Option<Bytes>) -> Self {
        Self { start, end: end.map_or(End::Never, End::Before) }
    }

    fn priority(&self) -> u64 {
        let end = match &self.end {
            End::Before(end) => xxh3_64_with_seed(end, 1),
            End::Never => 0,
        };
        xxh3_64_with_seed(&self.start, end)
    }
}

impl End {
    fn is_after(&self, key: &[u8]) -> bool {
        match self {
            Self::Before(end) => key < &end[..],
            Self::Never => true,
        }
    }
}

impl Node {
    fn update(&mut self) {
        let below = [&self.left, &self.right].into_iter().flatten().map(|node| &node.max_end);
        let max_end = below.fold(&self.span.end, |max, end| max.max(end)).clone();
        self.max_end = max_end;
    }
}

fn insert(tree: &mut Tree, span: Span, watcher: WatcherId) {
    let Some(node) = tree else {
        let (priority, max_end) = (span.priority(), span.end.clone());
        let watchers = vec![watcher];
        *tree = Some(Box::new(Node { span, watchers, priority, max_end, left: None, right: None }));
        return;
    };
    match span.cmp(&node.span) {
        Ordering::Equal => {
            if let Err(place) = node.watchers.binary_search(&watcher) {
                node.watchers.insert(place, watcher);
            }
            return;
        }
        Ordering::Less => insert(&mut node.left, span, watcher),
        Ordering::Greater => insert(&mut node.right, span, watcher),
    }
    node.update();
    let priority = node.priority;
    let rises = |child: &Tree| child.as_ref().is_some_and(|child| child.priority > priority);
    if rises(&node.left) {
        rotate(tree, |node| &mut node.left, |node| &mut node.right);
    } else if rises(&node.right) {
        rotate(tree, |node| &mut node.right, |node| &mut node.left);
    }
}

/// Lifts the child on one side above its parent.
fn rotate(tree: &mut Tree, side: fn(&mut Node) -> &mut Tree, other: fn(&mut Node) -> &mut Tree) {
    let Some(mut parent) = tree.take() else { return };
    let Some(mut child) = side(&mut parent).take() else {
        *tree = Some(parent);
        return;
    };
    *side(&mut parent) = other(&mut child).take();
    parent.update();
    *other(&mut child) = Some(parent);
    child.update();
    *tree = Some(child);
}

fn remove(tree: &mut Tree, span: &Span, watcher: WatcherId) {
    let Some(node) = tree else { return };
    match span.cmp(&node.span) {
        Ordering::Less => remove(&mut node.left, span, watcher),
        Ordering::Greater => remove(&mut node.right, span, watcher),
        Ordering::Equal => {
            node.watchers.retain(|other| *other != watcher);
            if node.watchers.is_empty() {
                let (left, right) = (mem::take(&mut node.left), mem::take(&mut node.right));
                *tree = merge(left, right);
                return;
            }
        }
    }
    node.update();
}

/// Joins two trees, of which the left one lies wholly before the right one.
fn merge(left: Tree, right: Tree) -> Tree {
    let (mut left, mut right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (one, None) | (None, one) => return one,
    };
    if left.priority > right.priority {
        left.right = merge(left.right.take(), Some(right));
        left.update();
        Some(left)
    } else {
        right.left = merge(Some(left), right.left.take());
        right.update();
        Some(right)
    }
}

fn holding(tree: &Tree, key: &[u8], found: &mut dyn FnMut(WatcherId)) {
    let Some(node) = tree.as_ref().filter(|node| node.max_end.is_after(key)) else { return };
    holding(&node.left, key, found);
    if node.span.start <= key {
        if node.span.end.is_after(key) {
            node.watchers.iter().copied().for_each(&mut *found);
        }
        holding(&node.right, key, found);
    }
}

#[cfg(test)]
mod tests;
