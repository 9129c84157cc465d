//! What is left of the steps: in order of time, and in order of revisions.
//!
//! In: steps that take effect, and that undo. Out: which have begun before the first one has to end, and whose turn it
//! is. Every change takes the same short time and can be undone in reverse order. Deliberately absent: what steps do.

use crate::linearizability::step::{OPEN, Step};

/// Beginnings and ends of the steps that are left, in order of time: a ring of nodes, from which a step is lifted when
/// it takes effect, and put back when that is undone.
pub(super) struct Ring {
    pub(super) next: Vec<usize>,
    previous: Vec<usize>,
    /// Whether a step has an end.
    ends: Vec<bool>,
}

impl Ring {
    pub(super) fn new(steps: &[Step]) -> Self {
        let mut events = Vec::with_capacity(2 * steps.len());
        for (number, step) in steps.iter().enumerate().filter(|(_, step)| step.must) {
            events.push((step.invoked, false, Self::call(number)));
            if step.returned != OPEN {
                events.push((step.returned, true, Self::call(number) + 1));
            }
        }
        // Steps that touch in time are concurrent: at one moment, beginnings come first.
        events.sort_unstable();
        let head = 2 * steps.len();
        let (mut next, mut previous) = (vec![head; head + 1], vec![head; head + 1]);
        let mut last = head;
        for (_, _, node) in events {
            (next[last], previous[node]) = (node, last);
            last = node;
        }
        (next[last], previous[head]) = (head, last);
        let ends = steps.iter().map(|step| step.returned != OPEN).collect();
        Self { next, previous, ends }
    }

    pub(super) fn call(step: usize) -> usize {
        2 * step
    }

    fn head(&self) -> usize {
        self.next.len() - 1
    }

    pub(super) fn first(&self) -> usize {
        self.next[self.head()]
    }

    /// The step that begins at this node.
    pub(super) fn call_of(&self, node: usize) -> Option<usize> {
        (node != self.head() && node.is_multiple_of(2)).then_some(node / 2)
    }

    /// The step that ends at this node.
    pub(super) fn return_of(&self, node: usize) -> Option<usize> {
        (node != self.head() && !node.is_multiple_of(2)).then_some(node / 2)
    }

    pub(super) fn lift(&mut self, step: usize) {
        self.unlink(Self::call(step));
        if self.ends[step] {
            self.unlink(Self::call(step) + 1);
        }
    }

    pub(super) fn unlift(&mut self, step: usize) {
        if self.ends[step] {
            self.link(Self::call(step) + 1);
        }
        self.link(Self::call(step));
    }

    fn unlink(&mut self, node: usize) {
        let (before, after) = (self.previous[node], self.next[node]);
        (self.next[before], self.previous[after]) = (after, before);
    }

    fn link(&mut self, node: usize) {
        let (before, after) = (self.previous[node], self.next[node]);
        (self.next[before], self.previous[after]) = (node, node);
    }
}

/// Whose turn it is by the store's revisions.
pub(super) struct Orders {
    /// For each step its place among the distinct orders; `None`: any time.
    places: Vec<Option<usize>>,
    /// For each place how many steps are left.
    left: Vec<usize>,
    /// The first place with steps left.
    current: usize,
}

impl Orders {
    pub(super) fn new(steps: &[Step]) -> Self {
        let mut distinct: Vec<_> =
            steps.iter().filter(|step| step.must).filter_map(|step| step.order).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut left = vec![0; distinct.len()];
        let place = |step: &Step| {
            let place =
                step.order.filter(|_| step.must).and_then(|order| distinct.binary_search(&order).ok())?;
            left[place] += 1;
            Some(place)
        };
        let places = steps.iter().map(place).collect();
        Self { places, left, current: 0 }
    }

    pub(super) fn allow(&self, step: usize) -> bool {
        self.places[step].is_none_or(|place| place == self.current)
    }

    pub(super) fn is_turn_of(&self, step: usize) -> bool {
        self.places[step] == Some(self.current)
    }

    pub(super) fn lift(&mut self, step: usize) {
        let Some(place) = self.places[step] else { return };
        self.left[place] -= 1;
        while self.left.get(self.current) == Some(&0) {
            self.current += 1;
        }
    }

    pub(super) fn unlift(&mut self, step: usize) {
        let Some(place) = self.places[step] else { return };
        self.left[place] += 1;
        self.current = self.current.min(place);
    }
}
